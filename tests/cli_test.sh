#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The program as its users see it. Exit code 0 when all cases hold.
#   cli_test.sh PROGRAM
# Wrong input gives exactly one line on stderr, exit code 2, and leaves all files as they were.
set -uo pipefail

program=$1
golden=$(cd "$(dirname "$0")" && pwd)/golden
work=$(mktemp -d)  # what is in $work/files must not change
trap 'rm -rf "$work"' EXIT
mkdir "$work/files"
cd "$work/files" || exit 1
export OMP_NUM_THREADS=1
failures=0

# --- how a case is written ----------------------------------------------------------------------
run() {
  command_line="adaspan $*"
  "$program" "$@" >"$work/out" 2>"$work/err"
  code=$?
}

failed() {
  echo "FAILED: $1: $command_line"
  printf '  exit code %s\n  stdout: %s\n  stderr: %s\n' "$code" "$(tail -n 3 "$work/out")" \
    "$(head -n 5 "$work/err")"
  failures=$((failures + 1))
}

snapshot() {
  find . -type f ! -name metrics.jsonl ! -name manifest.json ! -name '*.step-*' -exec sha256sum {} + | sort
}

refused() {
  [ "$code" -eq 2 ] || failed "exit code 2 expected"
  [ "$(wc -l <"$work/err")" -eq 1 ] || failed "one line on stderr expected"
  snapshot | cmp -s - "$work/before" || failed "no file may change"
  local text
  for text; do
    grep -qF -e "$text" "$work/err" || failed "'$text' expected on stderr"
  done
}

# refuse TEXT... -- ARGUMENT...: the program refuses the arguments with one line that has all TEXTs.
refuse() {
  local texts=()
  while [ "$1" != -- ]; do
    texts+=("$1")
    shift
  done
  shift
  snapshot >"$work/before"
  run "$@"
  refused "${texts[@]}"
}

# accept TEXT... -- ARGUMENT...: it does its work, says nothing on stderr and all TEXTs on stdout.
accept() {
  local texts=() text
  while [ "$1" != -- ]; do
    texts+=("$1")
    shift
  done
  shift
  run "$@"
  [ "$code" -eq 0 ] || failed "exit code 0 expected"
  [ ! -s "$work/err" ] || failed "nothing on stderr expected"
  for text in "${texts[@]}"; do
    grep -qF -e "$text" "$work/out" || failed "'$text' expected on stdout"
  done
}

expect() {
  local what=$1
  shift
  "$@" || failed "$what"
}

# setting FILE NAME: the value of a setting in the configuration line
setting() {
  head -n 1 "$1" | grep -o "\"$2\":[^,}]*" | head -n 1 | cut -d: -f2
}

steps_in() {  # of the lines of steps, not of validations
  grep '"grad_norm"' "$1" | grep -o '"step":[0-9]*' | cut -d: -f2
}

seq 1 4000 >text
seq -s ' ' 1 1500 >other-text
: >empty
head -c 60 text >short
tiny=(--nlayers 1 --hid-sz 16 --inner-hid-sz 32 --nheads 2 --attn-span 32 --adapt-span
  --adapt-span-ramp 4 --adapt-span-cache --batch-sz 4 --block-sz 16 --optim adagrad --lr 0.05
  --momentum 0 --nbatches 3 --niter 2 --threads 1 --log-steps 1)

# --- what goes well -----------------------------------------------------------------------------
accept "kinds (train " -- prepare --input text --out data
expect "a first preparation is no repetition" [ "$(grep -c "up to date" "$work/out")" = 0 ]
accept "was up to date" -- prepare --input text --out data
accept -- prepare --input other-text --out other
accept -- prepare --input short --out short-data

accept '"configuration"' -- train --data data --checkpoint run/ckpt "${tiny[@]}"
metrics=run/metrics.jsonl
expect "the configuration comes first" grep -q '^{"configuration":{' <(head -n 1 $metrics)
expect "it has the settings" [ "$(setting $metrics hid-sz)" = 16 ]
expect "each step is logged" [ "$(steps_in $metrics | xargs)" = "1 2 3 4 5 6" ]
expect "so are validations" [ "$(grep -c valid_loss $metrics)" = 2 ]
for key in loss bpc lr grad_norm chars_per_s spans; do
  expect "steps have $key" grep -q "\"$key\":" <(sed -n 2p $metrics)
done
expect "the best model is kept, too" [ -f run/best.safetensors ]
cp -r run finished

cp $metrics before.jsonl
accept "going on from step 6" -- train --data data --checkpoint run/ckpt "${tiny[@]}"
expect "a finished run does nothing more" cmp -s $metrics before.jsonl

accept '"part":"test"' '"bpc":' '"tokens":' -- eval --checkpoint run/ckpt
accept '"part":"valid"' -- eval --checkpoint run/ckpt --data data --part valid
accept '"part":"valid"' '"part":"test"' -- \
  train --full-eval-mode --data data --checkpoint run/ckpt "${tiny[@]}"
accept "bpc of the test text" "gzip -9" "How far each head looks back" "run/ckpt" -- \
  report --checkpoint run/ckpt
expect "the report leaves nothing behind" [ ! -e run/test-text.tmp ]
accept "checkpoint after step 6 of 6" '"hid-sz": 16' "layers.0.norm1.weight" -- inspect run/ckpt
accept "corpus of format bytes, 11 kinds of token" -- inspect data
accept "adapt_span: False" "block2.loss" -- inspect "$golden/fixed.safetensors"
accept -- generate --checkpoint run/ckpt --length 50 --seed 3
cp "$work/out" first
expect "50 characters and a new line" [ "$(wc -c <first)" = 51 ]
accept -- generate --checkpoint run/ckpt --length 50 --seed 3
expect "the seed decides the text" cmp -s first "$work/out"
accept -- generate --checkpoint run/ckpt --length 50 --prompt 12
accept '"peak_share":' '"seconds":' '"tokens_per_s":' '"useful_gflops":' '"gemm_peak_gflops":' \
  '"peak_rss_gb":' -- bench step --json --spans trained --steps 1 --adapt-span --nlayers 2 \
  --hid-sz 16 --inner-hid-sz 32 --nheads 2 --attn-span 32 --batch-sz 4 --block-sz 16
accept '"name":"block2.loss","value":' -- parity "$golden/fixed.safetensors"

# --- precision and instructions -----------------------------------------------------------------
small=("${tiny[@]}" --nbatches 1 --niter 2)
accept '"precision":"f32"' '"isa":"plain"' -- train --data data --checkpoint plain-isa/ckpt \
  "${small[@]}" --precision f32 --isa plain
accept '"precision":"f32"' '"isa":"plain"' -- train --data data --checkpoint auto-plain/ckpt \
  "${small[@]}" --isa plain
expect "auto's precision is in the configuration" \
  [ "$(setting auto-plain/metrics.jsonl precision)" = '"f32"' ]
expect "the same level has the same bits" cmp -s <(grep -o '"loss":[^,]*' plain-isa/metrics.jsonl) \
  <(grep -o '"loss":[^,]*' auto-plain/metrics.jsonl)
accept '"precision":"f32"' -- train --data data --checkpoint f32/ckpt "${small[@]}" --precision f32
refuse "[model] expected --precision f32, since the kernels of level plain compute in f32; got bf16" \
  "use --precision f32 or auto" -- train --data data --checkpoint new/ckpt "${small[@]}" \
  --precision bf16 --isa plain
refuse '[settings] expected --precision to be f32, bf16 or auto; got "half"' -- \
  train --data data --checkpoint new/ckpt "${small[@]}" --precision half
refuse '[settings] expected --isa to be auto, plain, avx2, avx512 or amx; got "sse"' -- \
  train --data data --checkpoint new/ckpt "${small[@]}" --isa sse
refuse "--precision: half not in" -- parity "$golden/fixed.safetensors" --precision half
grep -q amx_tile /proc/cpuinfo ||
  refuse "[isa] expected a level that this processor has" -- \
    train --data data --checkpoint new/ckpt "${small[@]}" --isa amx
if grep -q avx512_bf16 /proc/cpuinfo; then
  accept '"precision":"bf16"' -- train --data data --checkpoint bf16/ckpt "${small[@]}"
  accept "going on from step 2" -- train --data data --checkpoint bf16/ckpt "${small[@]}" --niter 3
  accept '"part":"test"' -- eval --checkpoint bf16/ckpt
  accept -- generate --checkpoint bf16/ckpt --length 20
  accept '"precision": "bf16"' -- inspect bf16/ckpt
  refuse '[checkpoint] expected --precision "bf16" as in bf16/ckpt; got "f32"' -- \
    train --data data --checkpoint bf16/ckpt "${small[@]}" --precision f32
  accept '"name":"eval.loss"' -- parity "$golden/fixed.safetensors" --precision bf16
fi

# --- flags, files, presets ----------------------------------------------------------------------
printf 'lr = 0.25\nnheads = 2\nhid-sz = 16\n' >my.toml
accept -- train --preset enwik8_small --config my.toml --nlayers 1 --inner-hid-sz 32 --hid-sz 24 \
  --attn-span 32 --batch-sz 4 --block-sz 16 --nbatches 1 --niter 1 --threads 1 --data data \
  --checkpoint mixed/ckpt
expect "a flag wins over the file" [ "$(setting mixed/metrics.jsonl hid-sz)" = 24 ]
expect "the file wins over the preset" [ "$(setting mixed/metrics.jsonl lr)" = 0.25 ]
expect "the preset wins over the defaults" \
  [ "$(setting mixed/metrics.jsonl optim)" = '"adagrad"' ]
accept -- train --config my.toml --nlayers 1 --inner-hid-sz 32 --attn-span 32 --batch-sz 4 \
  --block-sz 16 --nbatches 1 --niter 1 --threads 1 --data data --no-adapt-span --adapt-span \
  --checkpoint plain/ckpt
expect "the last of two flags wins" [ "$(setting plain/metrics.jsonl adapt-span)" = true ]
expect "what nobody gives has its default" [ "$(setting plain/metrics.jsonl momentum)" = 0.9 ]

accept -- train --config my.toml --nlayers 1 --inner-hid-sz 32 --attn-span 32 --batch-sz 4 \
  --block-sz 16 --nbatches 1 --niter 2 --threads 1 --data data --no-adapt-span --adapt-span \
  --checkpoint plain/ckpt --lr 0.5
expect "changed settings are recorded" [ "$(grep -c '"configuration"' plain/metrics.jsonl)" = 2 ]

# --- a run that is stopped goes on --------------------------------------------------------------
# What is left of a run, without the speed
remains() {
  sha256sum <"$1/ckpt"
  sha256sum <"$1/best.safetensors"
  sed 's/,"chars_per_s":[^}]*//; s/"checkpoint":"[^"]*"//' "$1/metrics.jsonl"
}

long=("${tiny[@]}" --data data --dropout 0.2 --nbatches 150 --niter 2)
accept -- train --checkpoint undisturbed/ckpt "${long[@]}"
for signal in TERM INT; do
  command_line="adaspan train --checkpoint $signal/ckpt ${long[*]}"
  # A shell's background jobs do not hear SIGINT unless they ask for it.
  setsid "$program" train --checkpoint $signal/ckpt "${long[@]}" >"$work/out" 2>"$work/err" &
  pid=$!
  for ((i = 0; i < 300; ++i)); do
    [ "$(grep -c grad_norm $signal/metrics.jsonl 2>/dev/null)" -ge 5 ] 2>/dev/null && break
    sleep 0.02
  done
  kill -$signal $pid
  wait $pid
  code=$?
  expect "a stopped run exits with 0" [ $code -eq 0 ]
  expect "it says how to go on" grep -q "the same command goes on from $signal/ckpt" "$work/out"
  last=$(steps_in $signal/metrics.jsonl | tail -n 1)
  expect "it was stopped before its end" [ "${last:-300}" -lt 300 ]
  accept "going on from step $last of $signal/ckpt" -- train --checkpoint $signal/ckpt "${long[@]}"
  expect "no step is missing or there twice" cmp -s <(steps_in $signal/metrics.jsonl) <(seq 1 300)
  expect "it ends as a run that was not stopped" cmp -s <(remains $signal) <(remains undisturbed)
  accept "every number is the same" -- diff $signal undisturbed
done

# --- settings on resumption ---------------------------------------------------------------------
cp -r finished changed
accept "changed: --lr 0.025, was 0.05" "changed: --niter 4, was 2" -- \
  train --data data --checkpoint changed/ckpt "${tiny[@]}" --lr 0.025 --niter 4
expect "--niter extends a run" cmp -s <(steps_in changed/metrics.jsonl) <(seq 1 12)
expect "a new learning rate takes effect" \
  [ "$(grep grad_norm changed/metrics.jsonl | grep -o '"lr":[^,]*' | uniq -c | xargs)" = \
  '6 lr:0.05 6 lr:0.025' ]
accept -- train --data data --checkpoint kept/ckpt "${tiny[@]}" --niter 5 --keep-last 3
expect "so many checkpoints are kept" \
  [ "$(cd kept && echo ckpt*)" = "ckpt ckpt.step-12 ckpt.step-9" ]

# --- what a run was, and whether it is the same -------------------------------------------------
accept "adaspan " "GNU" -- --version
for key in configuration environment version git compiler flags onednn cpu isa threads \
  text_sha256 vocabulary_sha256 seed; do
  expect "the manifest has $key" grep -q "\"$key\":" finished/manifest.json
done
accept "every number is the same" -- repro finished
accept "every number is the same" -- repro finished --threads 3 --steps 4
accept "every number is the same" -- diff finished run
run diff finished changed
expect "runs of one beginning differ in nothing but their settings" [ $code -eq 0 ]
accept -- train --data data --checkpoint faster/ckpt "${tiny[@]}" --lr 0.06
run diff finished faster
expect "a difference exits with 1" [ $code -eq 1 ]
for text in "first difference at step 1:" "  lr: 0.05 | 0.06" "  configuration.lr: 0.05 | 0.06"; do
  expect "it tells '$text'" grep -qF -e "$text" "$work/out"
done
cp -r finished forged
sed -i 's/"step":4,"loss":[0-9]/&9/' forged/metrics.jsonl
run repro forged
expect "what is not reproduced exits with 1" [ $code -eq 1 ]
expect "and names the step" grep -qF "first difference at step 4:" "$work/out"
refuse "nowhere/manifest.json" -- repro nowhere
refuse "nowhere/manifest.json" -- diff finished nowhere
refuse "[repro] expected the text that finished was trained on" -- repro finished --data other
refuse "[repro] expected --steps of at least 1; got 0" -- repro finished --steps 0

# A second run in the folder of one that is at work
"$program" train --checkpoint busy/ckpt "${long[@]}" --niter 100000 >/dev/null 2>&1 &
pid=$!
for ((i = 0; i < 300; ++i)); do
  grep -qs grad_norm busy/metrics.jsonl && break
  sleep 0.02
done
run train --checkpoint busy/ckpt "${long[@]}"
expect "one folder is not for two runs" [ $code -eq 2 ]
expect "and it says so" grep -q "another one is at work in it" "$work/err"
kill -9 $pid
wait $pid 2>/dev/null
rm -r busy

# --- help ---------------------------------------------------------------------------------------
accept "train" "eval" "generate" "report" "prepare" "inspect" "parity" "bench" "diff" "repro" \
  "import" "export" -- --help
for command in eval generate report prepare inspect parity "bench step" diff repro import export; do
  # shellcheck disable=SC2086
  accept "Usage: adaspan $command" -- $command --help
done
accept --nlayers --hid-sz --inner-hid-sz --nheads --attn-span --block-sz --batch-sz --batch-split \
  --dropout --emb-dropout --optim --lr --momentum --lr-warmup --grad-clip --nbatches --niter \
  --adapt-span --adapt-span-loss --adapt-span-ramp --adapt-span-init --adapt-span-cache --data \
  --data-unit --checkpoint --full-eval-mode --seed --threads --dynamic-span --config --preset \
  --skip-missing --log-steps --precision --isa -- train --help
for name in $(head -n 1 $metrics | grep -o '"configuration":{[^}]*}' | grep -o '"[a-z-]*":' |
  tr -d '":' | grep -v configuration); do
  expect "train --help tells of --$name" grep -qE -e "--${name}[ ,{]" "$work/out"
done

# --- what is refused ----------------------------------------------------------------------------
refuse "[bench] expected --adapt-span without --dynamic-span" -- \
  bench step --adapt-span --dynamic-span
refuse "[bench] expected --spans to be initial, trained, full or a file" -- \
  bench step --adapt-span --spans half
refuse "[file] expected to make the folder text/run" -- \
  train --data data --checkpoint text/run/ckpt "${tiny[@]}"
refuse "expected a command; got none" --
refuse "not expected: frobnicate" -- frobnicate
refuse "not expected: --frobnicate" -- train --frobnicate
refuse "not expected: --frobnicate" -- bench step --frobnicate
refuse "not expected: --frobnicate" -- prepare --input text --out new --frobnicate
for command in "eval --checkpoint" "generate --checkpoint" "report --checkpoint" inspect parity; do
  # shellcheck disable=SC2086
  refuse "not expected: --frobnicate" -- $command run/ckpt --frobnicate
done
for command in eval generate report; do
  refuse "--checkpoint is required" -- $command
  refuse "[file] expected a readable file at nowhere; got: No such file" -- \
    $command --checkpoint nowhere
done
refuse "[file] expected a readable file at nowhere" -- parity nowhere
refuse "[file] expected a readable file at nowhere" -- inspect nowhere
refuse "[prepare] expected a file of text at nowhere" -- prepare --input nowhere --out new
refuse "empty" -- prepare --input empty --out data
refuse "add to 1; got 90,5,5" -- prepare --input text --out data --split 90,5,5
refuse "--format: tokens not in" -- prepare --input text --out data --format tokens
expect "no folder for what was refused" [ ! -e new ]

refuse "expected --data with the folder" -- train --checkpoint new/ckpt "${tiny[@]}"
refuse "[corpus] expected a prepared corpus in nowhere" -- train --data nowhere "${tiny[@]}"
refuse "expected at least 68 tokens" "batch of 4 and blocks of 16; got 54" -- \
  train --data short-data --checkpoint new/ckpt "${tiny[@]}"
refuse "expected at least 136 tokens" "batch of 8 and blocks of 16" -- \
  eval --checkpoint run/ckpt --data short-data --part valid
refuse '[settings] expected the name of a preset; got "enwik9"; there are: ' "enwik8" -- \
  train --preset enwik9
refuse "[settings] expected a configuration file at nowhere" -- train --config nowhere
printf 'lr = \n' >bad.toml
refuse "[settings] expected TOML in bad.toml" "(line 1)" -- train --config bad.toml
printf 'lr = 1\nlearning = 2\n' >bad.toml
refuse 'got "learning"' "(in bad.toml, line 2)" -- train --config bad.toml

settings=(train --data data --checkpoint new/ckpt "${tiny[@]}")
refuse '[settings] expected --nlayers to be a whole number; got "two"' -- "${settings[@]}" \
  --nlayers two
refuse '[settings] expected --lr to be a number; got ""' -- "${settings[@]}" --lr ""
refuse "--batch-split to divide --batch-sz" -- "${settings[@]}" --batch-split 3
refuse "[model] expected --nheads to divide --hid-sz; got 3 heads for 16" -- "${settings[@]}" \
  --nheads 3
refuse "--adapt-span-ramp of at least 1; got 0" -- "${settings[@]}" --adapt-span-ramp 0
refuse "--attn-span of at least 1; got 0" -- "${settings[@]}" --attn-span 0
refuse "--optim to be sgd, adagrad or adam" -- "${settings[@]}" --optim lion
refuse "--threads of at least 0; got -1" -- "${settings[@]}" --threads -1
expect "no run begins with wrong settings" [ ! -e new ]
refuse "[bench] expected --spans to be" -- bench step "${tiny[@]}" --spans long
refuse "[bench] expected --steps of at least 1" -- bench step "${tiny[@]}" --steps 0
refuse "[bench] expected --adapt-span without --dynamic-span" -- bench step "${tiny[@]}" \
  --no-adapt-span

again=(train --data data --checkpoint run/ckpt "${tiny[@]}")
refuse "[checkpoint] expected --hid-sz 16 as in run/ckpt; got 32" -- "${again[@]}" --hid-sz 32
refuse "[checkpoint] expected the vocabulary" -- "${again[@]}" --data other
refuse "[checkpoint] expected the vocabulary" -- eval --checkpoint run/ckpt --data other
refuse "[checkpoint] expected the vocabulary" -- generate --checkpoint run/ckpt --data other
refuse "[checkpoint] expected a file of format" -- eval --checkpoint "$golden/fixed.safetensors"
refuse "[encode] expected text made of" -- generate --checkpoint run/ckpt --prompt abc
refuse "[generate] expected a prompt" -- generate --checkpoint run/ckpt --prompt ""
size=$(wc -c <run/ckpt)
for length in 0 4 500 $((size / 2)) $((size - 1)); do
  head -c "$length" run/ckpt >cut-short
  refuse "[safetensors] expected" "cut-short" -- eval --checkpoint cut-short
  refuse "[safetensors] expected" "cut-short" -- "${again[@]}" --checkpoint cut-short
done
cmp -s $metrics before.jsonl || { command_line=all failed "a refused run leaves its metrics"; }

# --- output that cannot be written --------------------------------------------------------------
command_line="adaspan frobnicate (error to a full device)"
"$program" frobnicate >"$work/out" 2>/dev/full
code=$?
expect "an error that cannot be told is still an exit code" [ $code -eq 2 ]
command_line="adaspan inspect (output to a full device)"
"$program" inspect run/ckpt >/dev/full 2>"$work/err"
code=$?
expect "output that is lost is an error" [ $code -eq 2 ]

# --- a full disk --------------------------------------------------------------------------------
cp -r finished full
full=(train --data data --checkpoint full/ckpt "${tiny[@]}" --niter 3)
for kilobytes in 4 8 32; do
  snapshot >"$work/before"
  (ulimit -f $kilobytes && exec "$program" "${full[@]}") >"$work/out" 2>"$work/err"
  code=$?
  command_line="adaspan ${full[*]} (no file beyond $kilobytes kB)"
  refused "expected to write full/" "free some space"
done
snapshot >"$work/before"
seq 1 20000 >"$work/text"
(ulimit -f 8 && exec "$program" prepare --input "$work/text" --out data) >"$work/out" 2>"$work/err"
code=$?
command_line="adaspan prepare (no file beyond 8 kB)"
refused "expected to write" "free some space"
rm "$work/text"
accept "going on from step 6" -- "${full[@]}"
expect "no step is missing after a full disk" cmp -s <(steps_in full/metrics.jsonl) <(seq 1 9)

# --- a loss that is no number -------------------------------------------------------------------
cp -r finished nan
diverge=(train --data data --checkpoint nan/ckpt "${tiny[@]}" --lr 1e36 --niter 3)
refuse "[train] expected a finite loss and gradient" "at step 8" "the last checkpoint is kept" -- \
  "${diverge[@]}"
refuse "[train] expected a finite validation loss" "after step 7" -- "${diverge[@]}" --nbatches 1 \
  --niter 9
accept "going on from step 6" -- train --data data --checkpoint nan/ckpt "${tiny[@]}" --niter 3
expect "no step is missing after a bad one" cmp -s <(steps_in nan/metrics.jsonl) <(seq 1 9)

[ "$failures" -eq 0 ] && echo "all cases hold"
exit $((failures > 0))
