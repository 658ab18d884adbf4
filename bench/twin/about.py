# SPDX-License-Identifier: MIT
"""Prints, as JSON, what a PyTorch is and what torch.compile would find here.

usage: about.py
"""
import json
import os
import re
import shutil
import sysconfig
from pathlib import Path

import torch


def pytorch():
    build = torch.__config__.show()
    onednn = re.search(r"MKL-DNN v([\d.]+)", build)
    blas = re.search(r"BLAS_INFO=(\w+)", build)  # mkl, open, accelerate, ...; generic: the system's
    return {"torch": torch.__version__, "onednn": onednn[1] if onednn else "",
            "blas": "MKL" if torch.backends.mkl.is_available() else blas[1] if blas else "no BLAS",
            "tcmalloc": "libtcmalloc" in Path("/proc/self/maps").read_text()}


def missing_for_compile():
    """What torch.compile needs and this machine lacks: a compiler, and Python's headers."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    compiler = os.environ.get("CXX", "g++")
    return ([] if shutil.which(compiler) else [compiler]) + \
           ([] if headers.exists() else [str(headers)])


def main():
    # set_stance, of 2.6, is what makes sure that nothing is compiled while it is timed.
    compiles = hasattr(getattr(torch, "compiler", None), "set_stance")
    print(json.dumps(pytorch() | {"compiles": compiles, "missing": missing_for_compile()}))


if __name__ == "__main__":
    main()
