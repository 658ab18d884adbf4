# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# How a case of the program's tests is written; for scripts that begin with
#   program=PROGRAM
#   source .../support/cases.sh      into an empty folder of its own
#   ...cases...
#   finish
# Wrong input gives exactly one line on stderr, exit code 2, and leaves all files as they were.
set -uo pipefail

work=$(mktemp -d)  # what is in $work/files must not change
trap 'rm -rf "$work"' EXIT
mkdir "$work/files"
cd "$work/files" || exit 1
export OMP_NUM_THREADS=1
failures=0

run() {
  command_line="adaspan $*"
  "$program" "$@" >"$work/out" 2>"$work/err"
  code=$?
}

failed() {
  echo "FAILED: $1: $command_line"
  printf '  exit code %s\n  stdout: %s\n  stderr: %s\n' "$code" \
    "$(tail -n 3 "$work/out" | cut -c 1-300)" "$(head -n 5 "$work/err")"
  failures=$((failures + 1))
}

expect() {
  local what=$1
  shift
  "$@" || failed "$what"
}

# snapshot [EXCLUSION...]: what is in all files but those that find's tests exclude
snapshot() {
  find . -type f "$@" -exec sha256sum {} + | sort
}

# What a run may write before it fails, all of it without effect on the checkpoints it had
records=(! -name metrics.jsonl ! -name manifest.json ! -name '*.step-*')

# one_line TEXT...: the program has ended with one line of error, the last one, that has all TEXTs
one_line() {
  local text
  [ "$code" -eq 2 ] || failed "exit code 2 expected"
  [ "$(grep -c '^adaspan: ' "$work/err")" -eq 1 ] || failed "one error on stderr expected"
  for text; do
    tail -n 1 "$work/err" | grep -qF -e "$text" || failed "'$text' expected at the end of stderr"
  done
}

exempt=()  # exclusions of what refuse() takes for unchanged

# refuse TEXT... -- ARGUMENT...: the program refuses the arguments with one line that has all TEXTs.
refuse() {
  local texts=()
  while [ "$1" != -- ]; do
    texts+=("$1")
    shift
  done
  shift
  snapshot "${exempt[@]}" >"$work/before"
  run "$@"
  one_line "${texts[@]}"
  # What a run said before it failed may be there, too.
  [ "${#exempt[@]}" -gt 0 ] || [ "$(wc -l <"$work/err")" -eq 1 ] || failed "one line on stderr expected"
  snapshot "${exempt[@]}" | cmp -s - "$work/before" || failed "no file may change"
}

# give_up TEXT... -- ARGUMENT...: the same, but for the records of a run that had begun
give_up() {
  exempt=("${records[@]}")
  refuse "$@"
  exempt=()
}

# accept TEXT... -- ARGUMENT...: it does its work and says all TEXTs, as a result (on stdout) or as a
# note (on stderr); which of the two, output_test.sh looks at.
accept() {
  local texts=() text
  while [ "$1" != -- ]; do
    texts+=("$1")
    shift
  done
  shift
  run "$@"
  [ "$code" -eq 0 ] || failed "exit code 0 expected"
  for text in "${texts[@]}"; do
    grep -qF -e "$text" "$work/out" "$work/err" || failed "'$text' expected on stdout or stderr"
  done
}

# setting FILE NAME: the value of a setting in the first configuration of a file of metrics
setting() {
  head -n 1 "$1" | grep -o "\"$2\":[^,}]*" | head -n 1 | cut -d: -f2
}

steps_in() {  # of the lines of steps, not of validations
  grep '"grad_norm"' "$1" | grep -o '"step":[0-9]*' | cut -d: -f2
}

finish() {
  [ "$failures" -eq 0 ] && echo "all cases hold"
  exit $((failures > 0))
}

# A run of 6 steps that takes a blink
tiny=(--nlayers 1 --hid-sz 16 --inner-hid-sz 32 --nheads 2 --attn-span 32 --adapt-span
  --adapt-span-ramp 4 --adapt-span-cache --batch-sz 4 --block-sz 16 --optim adagrad --lr 0.05
  --momentum 0 --nbatches 3 --niter 2 --threads 1 --log-steps 1)
