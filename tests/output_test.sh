#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What goes where: results to stdout, as text or as JSON, notes and progress to stderr, nothing to
# stderr with --quiet. Exit code 0 when all cases hold.
#   output_test.sh PROGRAM
program=$(readlink -f -- "$1")
tests=$(cd "$(dirname "$0")" && pwd)
source "$tests/support/cases.sh"

seq 1 4000 >text
training=(train --data data --checkpoint run/ckpt "${tiny[@]}")

# says RESULT NOTE -- ARGUMENT...: RESULT on stdout and not on stderr, NOTE the other way round; with
# --quiet the same result and no note; with --json lines that are JSON objects, and nothing else.
says() {
  local result=$1 note=$2
  shift 3
  run "$@"
  [ "$code" -eq 0 ] || failed "exit code 0 expected"
  expect "'$result' on stdout" grep -qF -e "$result" "$work/out"
  expect "not on stderr" [ "$(grep -cF -e "$result" "$work/err")" = 0 ]
  expect "no JSON" [ "$(grep -c '^{' "$work/out")" = 0 ]
  if [ -n "$note" ]; then
    expect "'$note' on stderr" grep -qF -e "$note" "$work/err"
    expect "not on stdout" [ "$(grep -cF -e "$note" "$work/out")" = 0 ]
    run "$@" --quiet
    [ "$code" -eq 0 ] || failed "exit code 0 expected"
    expect "nothing on stderr" [ ! -s "$work/err" ]
    expect "'$result' on stdout" grep -qF -e "$result" "$work/out"
  fi
  run "$@" --json
  [ "$code" -eq 0 ] || failed "exit code 0 expected"
  expect "JSON" [ -s "$work/out" ]
  expect "nothing but objects" [ "$(grep -cv '^{.*}$' "$work/out")" = 0 ]
  if command -v python3 >/dev/null; then
    expect "that any reader of JSON takes" python3 -c 'import json, sys
for line in open(sys.argv[1]): json.loads(line)' "$work/out"
  fi
}

says "tokens of 256 kinds" "" -- prepare --input text --out data
printf 'A' | cat text - >other-text
says "tokens of 256 kinds" "1 kind of token is not in the training part" -- \
  prepare --input other-text --out other
run "${training[@]}"
expect "the settings are lines, each with its name" grep -qx 'parameters  [0-9,]*' "$work/err"
for name in model data optimizer length precision "running on" "saved in"; do
  expect "'$name' is told" grep -q "^$name  " "$work/err"
done
expect "values are below each other" \
  [ "$(sed -n '1,/^saved in/ p' "$work/err" | grep -vc '^.\{10\}  [^ ]')" = 0 ]
expect "no JSON is shown" [ "$(cat "$work/out" "$work/err" | grep -c '[{}]')" = 0 ]
expect "progress is a note" grep -q '^step 6/6 ' "$work/err"
says "checkpoint        run/ckpt" "already at step 6 of 6" -- "${training[@]}"
expect "the result is that of the run" grep -q '"step":6,"steps":6,' "$work/out"
says "test   " "evaluated on 1 thread" -- eval --checkpoint run/ckpt
expect "eval's JSON begins as it was" grep -qE \
  '^\{"part":"test","loss":[0-9.]+,"bpc":[0-9.]+,"tokens":[0-9]+,"step":6,' "$work/out"
says "bits per byte" "scored on 1 thread" -- score text --checkpoint run/ckpt
says "bpc of the test text" "evaluating" -- report --text --checkpoint run/ckpt
run generate --checkpoint run/ckpt --prompt 10 --length 60 --quiet
first_line=$(grep -m 1 ... "$work/out")
says "$first_line" "60 tokens, written on 1 thread" -- \
  generate --checkpoint run/ckpt --prompt 10 --length 60
says "checkpoint after step 6" "" -- inspect run/ckpt
says "corpus of format bytes" "" -- inspect data
says "block2.loss" "" -- inspect "$tests/golden/fixed.safetensors"
says "every number is the same" "trained again on 1 thread" -- repro run --steps 2
says "every number is the same" "" -- diff run run
says "agrees  block2.loss" "quantities agree" -- parity "$tests/golden/fixed.safetensors"
expect "parity's JSON is as it was" grep -qE \
  '^\{"name":"block2.loss","value":[0-9.]+,"rel_error":[0-9.e-]+,"bound":0.0001,"ok":true\}$' "$work/out"
says "demo " "" -- presets
says "seconds" "--niter has no effect here" -- bench step --steps 1 "${tiny[@]}"

# --- errors are told whatever is asked for ------------------------------------------------------
refuse "expected a readable file at nowhere" -- inspect nowhere --quiet --json
refuse "expected a prepared corpus in nowhere" -- train --data nowhere --quiet --json

# --- on a terminal ------------------------------------------------------------------------------
if command -v script >/dev/null; then
  command_line="adaspan train (on a terminal)"
  script -qec "'$program' train --data data --checkpoint tty/ckpt ${tiny[*]} --nbatches 400" \
    /dev/null >"$work/out" 2>&1 </dev/null
  expect "progress is one line that is written over" grep -q $'\rstep [0-9]*/800 ' "$work/out"
  expect "what comes after it begins a line of its own" \
    [ "$(grep -c 'left.*validation' "$work/out")" = 0 ]
fi

finish
