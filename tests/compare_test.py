#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bench/compare finds out before it measures, and what it prints, with a PyTorch, a twin and a
program that only pretend: nothing is installed, built or timed.

usage: compare_test.py
"""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import re
import shutil
import sys
import tempfile
import unittest
from argparse import Namespace
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent / "bench"
TORCH = """
import sysconfig
from types import SimpleNamespace as Part
__version__ = "{version}"
__config__ = Part(show=lambda: "MKL-DNN v3.1.2 (Git Hash), BLAS_INFO={blas}, BUILD_TYPE=Release")
backends = Part(mkl=Part(is_available=lambda: "{blas}" == "mkl"))
compiler = Part(**{compiler})
sysconfig.get_path = lambda name: "{headers}"
"""
# Prints the seconds of a step, and fails under torch.compile in bf16.
TWIN = """
import json, sys
compiled, bf16 = "--compile" in sys.argv, "bf16" in sys.argv
if compiled and bf16:
    sys.exit("[twin] torch.compile failed: no bf16")
seconds = 3 if compiled else 4
print(json.dumps(dict(seconds=seconds, tokens_per_s=12 / seconds, peak_rss_gb=seconds)))
"""
OURS = """#!/bin/sh
echo '{"seconds": 2, "tokens_per_s": 6, "peak_share": 0.75, "share_of_reading": 0.8, "gemm_peak_gflops": 250,
  "peak_rss_gb": 1, "cpu": "a processor", "git": "abc", "isa": "avx2", "onednn": "2.6"}'
"""


def load_compare():
    """bench/compare as a module of its own, whose parts a test can replace"""
    loader = importlib.machinery.SourceFileLoader("compare", str(BENCH / "compare"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(module)
    return module


class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.installed = Path(folder.name), []
        self.compare = load_compare()
        self.compare.TCMALLOC = str(self.folder / "libtcmalloc.so")
        self.compare.OPENBLAS = str(self.folder / "openblas")
        self.compare.install = self.cannot_install
        self.compare.processor = lambda: {"GenuineIntel", "avx2"}
        self.compare.TWIN, self.compare.ADASPAN = self.folder / "twin", self.folder / "ours"
        self.compare.TWIN.mkdir()
        for work in ("step", "generate"):
            (self.compare.TWIN / f"bench_{work}.py").write_text(TWIN)
        self.compare.ADASPAN.write_text(OURS)
        self.compare.ADASPAN.chmod(0o755)
        (self.folder / "Python.h").touch()

    def cannot_install(self, packages):
        self.installed += packages
        return "no network"

    def twin(self, blas="mkl", version="2.13", compiler="dict(set_stance=1)", headers=None):
        """A twin and what was said about it"""
        (self.folder / "torch.py").write_text(TORCH.format(
            blas=blas, version=version, compiler=compiler, headers=headers or self.folder))
        python = self.folder / "python"
        python.write_text(f"#!/bin/sh\nPYTHONDONTWRITEBYTECODE=1 PYTHONPATH='{self.folder}' "
                          f"exec '{sys.executable}' \"$@\"\n")
        python.chmod(0o755)
        return self.saying(lambda: self.compare.Twin(str(python), 2))

    def saying(self, work):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            result = work()
        return result, said.getvalue()

    def refusal(self, work):
        """The line with which a piece of work ends the program"""
        def caught():
            with self.assertRaises(SystemExit) as end:
                work()
            self.assertEqual(end.exception.code, 2)
        text = self.saying(caught)[1]
        self.assertEqual(text.count("\n"), 1)
        return text

    def test_without_tcmalloc_it_says_so_here_and_in_the_heading(self):
        twin, said = self.twin()
        self.assertEqual(self.installed, ["libtcmalloc-minimal4"])
        self.assertIn("without tcmalloc", said)
        self.assertIn("no network", said)
        self.assertIn("NO tcmalloc", str(twin))
        self.assertNotIn(self.compare.TCMALLOC, twin.env.get("LD_PRELOAD", ""))

    def test_tcmalloc_is_installed_for_any_pytorch_and_then_loaded(self):
        maps = Path("/proc/self/maps").read_text()
        any_library = re.search(r"/\S*/libc\.so\S*|/\S*/libc-\S*\.so", maps)[0]

        def can_install(packages):
            shutil.copy(any_library, self.compare.TCMALLOC)
            return ""
        self.compare.install = can_install
        twin, said = self.twin()
        self.assertEqual(said, "")
        self.assertTrue(twin.env["LD_PRELOAD"].startswith(self.compare.TCMALLOC))
        self.assertEqual(str(twin), "PyTorch 2.13, oneDNN 3.1.2, MKL, tcmalloc")

    def test_only_a_pytorch_on_the_systems_blas_is_led_to_openblas(self):
        (self.folder / "openblas").mkdir()
        for blas, led in (("mkl", False), ("open", False), ("generic", True)):
            twin, _ = self.twin(blas)
            path = twin.env.get("LD_LIBRARY_PATH", "").split(":")
            self.assertEqual(self.compare.OPENBLAS in path, led, blas)

    @unittest.skipUnless(shutil.which("c++"), "no compiler")
    def test_mkl_takes_an_amd_for_an_intel(self):
        self.compare.processor = lambda: {"AuthenticAMD", "avx512f"}
        twin, _ = self.twin()
        self.addCleanup(twin.folder.cleanup)
        self.assertTrue(Path(twin.env["LD_PRELOAD"].split(":")[0]).is_file())
        self.assertIn("MKL as on Intel", str(twin))
        twin, _ = self.twin("open")
        self.assertNotIn("amd_as_intel", twin.env.get("LD_PRELOAD", ""))

    def test_a_missing_openblas_is_said(self):
        twin, said = self.twin("generic")
        self.assertIn("libopenblas0-openmp", self.installed)
        self.assertIn("without the OpenBLAS", said)
        self.assertIn("the system's BLAS", str(twin))

    def test_compile_wants_a_compiler_and_the_headers_of_python(self):
        self.compare.os.environ["CXX"] = "no-such-compiler"
        self.addCleanup(self.compare.os.environ.pop, "CXX")
        twin, _ = self.twin(headers="/no/such/folder")
        text = self.refusal(twin.can_compile)
        self.assertIn("no-such-compiler, /no/such/folder/Python.h", text)

    def test_compile_is_possible_where_all_is_there(self):
        self.compare.os.environ["CXX"] = "sh"
        self.addCleanup(self.compare.os.environ.pop, "CXX")
        twin, _ = self.twin()
        self.assertEqual(self.saying(twin.can_compile), (True, ""))

    def test_an_old_pytorch_stays_eager_and_says_so(self):
        twin, _ = self.twin(version="1.13", compiler="{}")
        able, said = self.saying(twin.can_compile)
        self.assertFalse(able)
        self.assertIn("2.6 or later; got 1.13", said)

    def test_no_pytorch_is_refused(self):
        self.assertIn("/no/python", self.refusal(lambda: self.compare.Twin("/no/python", 2)))

    def test_wrong_options_are_refused_in_one_line(self):
        self.addCleanup(setattr, sys, "argv", sys.argv)
        for words in (["--bogus"], ["--runs", "0"], ["--threads", "0"], ["--spans", "no-file"],
                      ["--precision", "f16"], ["--json", "/no/folder/file"],
                      ["--set", "batch"], ["--long-heads", "--set", "batch-sz=8"],
                      ["--generate", "--compile"], ["--runs", "2", "--samples", "8"]):
            sys.argv = ["compare", *words]
            self.assertIn(words[-1].split("/")[-1], self.refusal(self.compare.command_line))

    def table(self, compiles, kind=None, settings=(), work="step"):
        twin, _ = self.twin()
        args = Namespace(preset="demo", spans=["full"], precision=["f32", "bf16"], runs=2,
                         steps=3, threads=2, set=settings, samples=8)
        bench = self.compare.Bench(args, twin, compiles, work)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            _, said = self.saying(lambda: (kind or self.compare.compare_steps)(bench))
        return out.getvalue(), said, bench.results

    def rows(self, text):
        return [[cell.strip() for cell in line.split("|")[1:-1]]
                for line in text.splitlines() if line.startswith("| ")]

    def test_the_peer_is_the_better_one_and_eager_where_compiling_fails(self):
        text, said, results = self.table(compiles=True)
        head, line, f32, bf16 = self.rows(text)
        self.assertEqual(len(head), len(line))
        self.assertEqual(f32, ["full", "f32", "2.000", "4.000", "3.000", "1.50 (compiled)", "6",
                               "4", "75%", "250", "1.0", "3.0"])
        self.assertEqual(bf16, ["full", "bf16", "2.000", "4.000", "-", "2.00 (eager)", "6", "3",
                                "75%", "250", "1.0", "4.0"])
        self.assertEqual(said.count("\n"), 1)
        self.assertIn("torch.compile failed: no bf16; eager it is", said)
        self.assertEqual([r["program"] for r in results[:3]], ["ours", "eager", "compiled"])
        json.dumps(results)

    def test_long_heads_leave_out_a_twin_that_does_not_fit(self):
        self.compare.LONG_SPANS = (1024, 10**9)
        text, said, _ = self.table(
            compiles=True, kind=lambda b: self.compare.compare_long_heads(b, self.folder))
        rows = self.rows(text)
        self.assertEqual(rows[2], ["1024", "1 of 4", "f32", "2.000", "4.000", "3.000",
                                   "1.50 (compiled)"])
        self.assertEqual(rows[4], [str(10**9), "1 of 4", "f32", "2.000", "-", "-", "-"])
        self.assertIn("the twin is left out there", said)

    def test_writing_is_timed_in_tokens_of_both(self):
        text, _, results = self.table(False, self.compare.compare_writing, work="generate")
        self.assertIn("Writing with demo, 8 side by side, 2 threads", text)
        self.assertEqual(self.rows(text)[2], ["full", "f32", "6", "0.80", "3.0", "2"])
        self.assertEqual(results[0]["options"][-2:], ["--samples", "8"])

    def test_other_settings_go_to_both_programs_and_into_the_heading(self):
        text, _, results = self.table(compiles=False, settings=["--batch-sz=8", "--batch-split=1"])
        self.assertIn("One step of demo with batch-sz=8, batch-split=1, 2 threads", text)
        self.assertEqual({"ours", "eager"}, {r["program"] for r in results})
        for result in results:
            self.assertEqual(["--batch-sz=8", "--batch-split=1"], result["options"][2:4])

    def test_the_heading_names_machine_commit_and_versions(self):
        text, _, _ = self.table(compiles=False)
        for part in ("a processor", "abc", "avx2", "oneDNN 2.6", "PyTorch 2.13", "oneDNN 3.1.2",
                     "2 threads", "2 runs"):
            self.assertIn(part, text.split("|")[0])
        self.assertEqual(self.rows(text)[2][5], "2.00 (eager)")


if __name__ == "__main__":
    unittest.main()
