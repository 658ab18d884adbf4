#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two implementations of one page agree: the PyTorch twin records small training runs, and the
# program replays them: every loss, gradient and span. The twin itself is held to the recorded runs
# of the paper's code first.
#   twin_test.sh PROGRAM [PYTHON]     exit status 77: this PYTHON has no PyTorch, nothing was tested
source "$(dirname "${BASH_SOURCE[0]}")/support/twin.sh"

"$python" "$twin/check_golden.py" "$tests"/golden/{adaptive,dynamic,fixed,sgd_short_cache}.safetensors ||
  fail "the twin is not the paper's model"

for span in adaptive dynamic fixed; do
  record=$work/$span.safetensors
  "$python" "$twin/record.py" --out "$record" --span "$span"
  if "$program" parity "$record" --json --quiet >"$work/rows"; then
    echo "$span: $(wc -l <"$work/rows") quantities agree with the twin's"
  else
    fail "$span spans: adaspan and the twin differ"
    grep '"ok":false' "$work/rows" | head -n 5 | cut -c 1-160 || true
  fi
done
exit $((failures > 0))
