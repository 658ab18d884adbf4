# SPDX-License-Identifier: MIT
"""The page of `adaspan report` in a browser: no message on the console, marks in every chart, in light,
dark, print and at 390 pixels; numbers by keyboard; runs can be hidden; without script nothing is missing.
Exit status 77 where there is no chromedriver (Debian: packages chromium, chromium-driver).
  run_page_test.py PROGRAM [FOLDER]     with a folder, pictures of each are left there"""
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from browser import Browser, skip_without_browser  # noqa: E402

CHARTS = ["loss-over-steps", "loss-over-hours", "clipped", "memory", "heads", "span-history", "mean-span", "largest-span", "flops-per-token",
          "learning-rate", "gradient-norm", "speed"]


def expect(what, holds, *shown):
    if not holds:
        sys.exit(f"FAILED: {what}: {shown}")


def marks_of(browser):
    return browser.run("Object.fromEntries([...document.querySelectorAll('figure')].map(f => [f.id, "
                       "f.querySelectorAll('.plot .line, .mark, .cell').length]))")


def looked_at(browser, page, pictures):
    for name, settings in {"light": {}, "dark": {"scheme": "dark"}, "print": {"media": "print", "width": 800},
                           "phone": {"width": 390}}.items():
        browser.open(page, **settings)
        marks = marks_of(browser)
        expect(f"every chart has its marks ({name})", min(marks.values()) > 0 and len(marks) >= len(CHARTS), marks)
        width = browser.run("[document.documentElement.scrollWidth, innerWidth]")
        expect(f"all fits the window ({name})", width[0] <= width[1], width)
        back = browser.run("getComputedStyle(document.querySelector('svg .back')).fill")
        expect(f"charts have the page's colours ({name})", (back == "rgb(255, 255, 255)") == (name != "dark"), back)
        if pictures:
            browser.picture(pictures / f"{page.stem}-{name}.png")
    return marks


def pressed(browser, key):
    browser.call("/actions", {"actions": [{"type": "key", "id": "k", "actions": [
        {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})
    return browser.run("document.querySelector('#mean-span .said').textContent")


def main():
    program = os.path.abspath(sys.argv[1])
    pictures = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    skip_without_browser()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        pathlib.Path("text").write_text("a cat sat on a mat, an owl flew to café <b> & 'c'\n" * 150)

        def adaspan(*arguments):
            subprocess.run([program, *arguments], check=True, capture_output=True)

        adaspan("prepare", "--format", "enwik8", "--input", "text", "--out", "data")
        for run, rate in (("a", "0.01"), ("b", "0.02")):
            adaspan("train", "--data", "data", "--checkpoint", f"{run}/c", "--adapt-span", "--nlayers", "2",
                    "--hid-sz", "16", "--inner-hid-sz", "32", "--nheads", "2", "--attn-span", "32",
                    "--adapt-span-ramp", "4", "--batch-sz", "4", "--block-sz", "16", "--nbatches", "20",
                    "--niter", "2", "--log-steps", "1", "--lr", rate, "--threads", "1")
        adaspan("report", "a", "--svg", "charts", "--csv", "numbers.csv")
        adaspan("report", "a", "b", "--output", "both.html")
        for chart in pathlib.Path("charts").iterdir():
            xml.etree.ElementTree.parse(chart)
        expect("numbers are written", pathlib.Path("numbers.csv").read_text().count("\n") == 43)
        one, both = pathlib.Path("a/report.html").resolve(), pathlib.Path("both.html").resolve()
        for script in (True, False):
            browser = Browser(script)
            try:
                marks = looked_at(browser, one, pictures if script else None)
                expect("all charts are there", set(CHARTS) <= set(marks), marks)
                expect("and the sample", len(browser.run("document.querySelector('pre').textContent")) > 100)
                if script:
                    browser.run("document.querySelector('#mean-span .scroll').focus()")
                    said = pressed(browser, "\ue014")
                    expect("a key tells a number", said.startswith("a: ") and said.endswith(" at 1"), said)
                    expect("the next one", pressed(browser, "\ue014").endswith(" at 2"))
                looked_at(browser, both, pictures if script else None)
                shown = ("[...document.querySelectorAll('#mean-span .plot .line')]"
                         ".filter(l => getComputedStyle(l).display !== 'none').length")
                expect("two runs", browser.run(shown) == 2)
                if script:
                    browser.run("document.querySelector('.filter input').click()")
                    expect("one can be hidden", browser.run(shown) == 1)
                expect("no message on the console", browser.messages() == [])
            finally:
                browser.end()
    print("all cases hold")


main()
