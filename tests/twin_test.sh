#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two implementations of one page agree: the PyTorch twin records small training runs, and the
# program replays them: every loss, gradient and span. The twin itself is held to the recorded runs
# of the paper's code first.
#   twin_test.sh PROGRAM [PYTHON]     exit status 77: this PYTHON has no PyTorch, nothing was tested
source "$(dirname "${BASH_SOURCE[0]}")/support/twin.sh"

"$python" "$twin/check_golden.py" "$tests"/golden/*.safetensors ||
  fail "the twin is not the paper's model"

recorded_run() { # options of record.py
  "$python" "$twin/record.py" --out "$work/record" "$@"
  if "$program" parity "$work/record" --json --quiet >"$work/rows"; then
    echo "$*: $(wc -l <"$work/rows") quantities agree with the twin's"
  else
    fail "$*: adaspan and the twin differ"
    grep '"ok":false' "$work/rows" | head -n 5 | cut -c 1-160 || true
  fi
}

for span in adaptive dynamic fixed; do
  recorded_run --span "$span"
  recorded_run --span "$span" --pers-mem-size 11
done
recorded_run --batch-split 3 --optim sgd --grad-clip 0
recorded_run --adapt-io --adapt-io-divval 2
recorded_run --adapt-io --adapt-io-divval 3 --adapt-io-cutoffs 20 --adapt-io-tied --pers-mem-size 1
exit $((failures > 0))
