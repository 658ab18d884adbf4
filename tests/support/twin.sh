# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests that run the PyTorch twin, called with PROGRAM [PYTHON]: an empty folder $work, the twin's
# folder $twin, and fail(), which counts; exit status 77 where this PYTHON has no PyTorch.
set -euo pipefail

program=$1
python=${2:-/usr/bin/python3}
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
twin=$tests/../bench/twin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1

if ! "$python" -c 'import torch' 2>/dev/null; then
  echo "skipped: $python has no PyTorch (Debian, Ubuntu: package python3-torch)"
  exit 77
fi

failures=0
fail() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}
