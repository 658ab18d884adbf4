#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How a run is recorded, compared, stopped and gone on with. Exit code 0 when all cases hold.
#   resume_test.sh PROGRAM
program=$(readlink -f -- "$1")
tests=$(cd "$(dirname "$0")" && pwd)
source "$tests/support/cases.sh"

seq 1 4000 >text
seq -s ' ' 1 1500 >other-text
run prepare --input text --out data
run prepare --input other-text --out other

# in_folder FOLDER [FLAG...]: trains there; sets the arguments, so that they can be given again
in_folder() {
  training=(train --data data --checkpoint "$1/ckpt" "${tiny[@]}" "${@:2}")
}

# numbers FOLDER: its metrics but for speed and configurations
numbers() {
  grep -v '"configuration"' "$1/metrics.jsonl" | sed 's/,"chars_per_s":[^}]*//'
}

# same_run A B: their checkpoints are the same to the byte, and all their numbers
same_run() {
  expect "the checkpoint of $2 is that of $1" cmp -s "$1/ckpt" "$2/ckpt"
  expect "so are all numbers" cmp -s <(numbers "$1") <(numbers "$2")
}

in_folder run
accept -- "${training[@]}"
cp -r run finished
in_folder longer --niter 3
accept -- "${training[@]}"

# --- the record ---------------------------------------------------------------------------------
# recorded NAME: its value in the first entry of a manifest
recorded() {
  grep -o "\"$1\": [^,]*" run/manifest.json | head -n 1 | cut -d ' ' -f 2- | tr -d '"'
}
hash_of() { sha256sum "$1" | cut -d ' ' -f 1; }

accept -- --version
expect "one line" [ "$(wc -l <"$work/out")" = 1 ]
expect "the version is the one recorded" [ "$(cat "$work/out")" = "adaspan $(recorded version) ($(
  recorded git), $(recorded compiler), $(recorded flags))" ]
expect "the text is recorded" [ "$(recorded text_sha256)" = "$(hash_of text)" ]
expect "and the vocabulary" [ "$(recorded vocabulary_sha256)" = "$(hash_of data/vocab.txt)" ]
expect "a setting" [ "$(recorded adapt-span-ramp)" = 4 ]
expect "a default" [ "$(recorded keep-last)" = 2 ]
expect "the threads" [ "$(recorded threads)" = 1 ]
for name in isa precision; do
  expect "$name, not auto" grep -qE '^(plain|avx2|avx512|amx|f32|bf16)$' <(recorded $name)
done
for name in cpu onednn; do
  expect "$name is recorded" [ -n "$(recorded $name)" ]
done

# --- two runs, and one again --------------------------------------------------------------------
in_folder twin --threads 2
accept -- "${training[@]}"
in_folder changed --lr 0.1
accept -- "${training[@]}"
accept "8 lines compared: every number is the same" "environment.threads: 1 | 2" -- diff run twin
accept "8 lines compared: every number is the same" -- diff run run
expect "nothing else is said" [ "$(wc -l <"$work/out")" = 1 ]
run diff run changed
expect "other numbers are exit code 1" [ "$code" = 1 ]
expect "the first step is named" grep -q '^first difference at step 1:$' "$work/out"
expect "with its numbers" grep -qF '  lr: 0.05 | 0.1' "$work/out"
expect "and settings" grep -qF '  configuration.lr: 0.05 | 0.1' "$work/out"
expect "and only with what differs" [ "$(grep -c configuration "$work/out")" = 1 ]

snapshot >"$work/before"
accept "5 lines compared: every number is the same" -- repro run --steps 4 --threads 3
expect "a repetition writes nothing" cmp -s <(snapshot) "$work/before"
mv data moved
accept "8 lines compared: every number is the same" -- repro run --data moved --steps 100
mv moved data
sed -E '/"step":5/ s/"grad_norm":0/"grad_norm":1/' run/metrics.jsonl >edited
cp -r run forged && mv edited forged/metrics.jsonl
run repro forged
expect "a number that is not that of the run is exit code 1" [ "$code" = 1 ]
expect "it is named" grep -q '  grad_norm: 1\.' "$work/out"
expect "with its step" grep -q '^first difference at step 5:$' "$work/out"

refuse "[repro] expected --steps of at least 1; got 0" -- repro run --steps 0
refuse "[repro] expected the text that run was trained on" -- repro run --data other
refuse "RUN_DIR is required" -- repro
refuse "RUN_B is required" -- diff run
refuse "expected a readable file at data/manifest.json" -- diff run data
refuse "expected a readable file at nowhere/manifest.json" -- repro nowhere

# --- other settings on the way ------------------------------------------------------------------
in_folder run --niter 3
accept "going on from step 6 of run/ckpt" "changed: --niter 3, was 2" -- "${training[@]}"
expect "nothing else has changed" [ "$(grep -c '^changed' "$work/err")" = 1 ]
expect "both are in the metrics" [ "$(grep -c '"configuration"' run/metrics.jsonl)" = 2 ]
expect "and in the manifest" [ "$(grep -c '"configuration"' run/manifest.json)" = 2 ]
same_run longer run

cp -r finished faster
in_folder faster --niter 3 --lr 0.3 --threads 2 --log-steps 2
accept "changed: --lr 0.3, was 0.05" -- "${training[@]}"
expect "what no number depends on is no change" [ "$(grep -c '^changed' "$work/err")" = 2 ]
expect "the new rate is used" [ "$(numbers faster | grep '"step":8' | grep -c '"lr":0.3,')" = 1 ]
expect "and other weights come of it" [ "$(cmp -s faster/ckpt longer/ckpt)$?" = 1 ]
expect "the first steps stay" cmp -s <(numbers faster | head -n 8) <(numbers finished)

cp -r finished warm
in_folder warm --niter 3 --lr 0.3 --lr-warmup 30
accept "changed: --lr-warmup 30, was 0" -- "${training[@]}"
expect "with warm-up, too" [ "$(numbers warm | grep '"step":9' | grep -c '"lr":0.09')" = 1 ]

in_folder parts --exact-split --batch-split 4 --niter 1
accept -- "${training[@]}"
in_folder parts --exact-split --niter 2
accept "changed: --niter 2, was 1" -- "${training[@]}"
expect "exact parts are no change" [ "$(grep -c '^changed' "$work/err")" = 1 ]
in_folder exact --exact-split --batch-split 2
accept -- "${training[@]}"
same_run exact parts

# --- checkpoints that are kept, and damaged ones ------------------------------------------------
kept() { find "$1" -name 'ckpt*' -printf '%f\n' | sort | xargs; }
in_folder kept --niter 5 --keep-last 3
accept -- "${training[@]}"
expect "as many are kept as were asked for" [ "$(kept kept)" = "ckpt ckpt.step-12 ckpt.step-9" ]
in_folder kept --niter 6 --keep-last 1
accept -- "${training[@]}"
expect "and fewer when fewer are" [ "$(kept kept)" = ckpt ]
expect "the best is always kept" [ -f kept/best.safetensors ]

cp -r longer damaged
printf 'x' | dd of=damaged/ckpt bs=1 seek=30000 conv=notrunc status=none
cp damaged/ckpt bad
refuse "the file is damaged" "damaged/ckpt" -- eval --checkpoint damaged/ckpt
in_folder damaged --niter 3
accept "skipped damaged/ckpt, now damaged/ckpt.damaged-1: [safetensors] expected " \
  "going on from step 6 of damaged/ckpt.step-6" -- "${training[@]}"
expect "the damaged one is there" cmp -s bad damaged/ckpt.damaged-1
same_run longer damaged
for file in damaged/ckpt damaged/ckpt.step-6 damaged/best.safetensors; do
  head -c 20000 $file >half && mv half $file
done
refuse "expected a whole checkpoint in damaged; got 3 damaged ones" -- "${training[@]}"

# --- a run that is stopped ----------------------------------------------------------------------
stopped=(--nbatches 100 --niter 3 --keep-last 1)
in_folder undisturbed "${stopped[@]}"
accept -- "${training[@]}"
for signal in INT TERM; do
  in_folder stop-$signal "${stopped[@]}"
  command_line="adaspan ${training[*]} (stopped by SIG$signal)"
  "$program" "${training[@]}" >"$work/out" 2>"$work/err" &
  pid=$!
  for ((i = 0; i < 500; ++i)); do
    [ "$(grep -c grad_norm stop-$signal/metrics.jsonl 2>/dev/null)" -ge 5 ] 2>/dev/null && break
    sleep 0.02
  done
  if [ $signal = INT ]; then
    "$program" "${training[@]}" >"$work/second" 2>&1
    expect "two runs in one folder are refused" [ $? = 2 ]
    expect "and why is said" grep -q "another one is at work in it" "$work/second"
  fi
  kill -$signal $pid
  wait $pid
  code=$?
  expect "a stopped run exits with 0" [ $code -eq 0 ]
  last=$(steps_in stop-$signal/metrics.jsonl | tail -n 1)
  expect "it says how to go on" grep -qF "stopped after step $last; the same command goes on from" \
    "$work/err"
  expect "it was stopped before its end" [ "${last:-300}" -lt 300 ]
  accept "going on from step $last of stop-$signal/ckpt" -- "${training[@]}"
  expect "no step is missing or there twice" \
    cmp -s <(steps_in stop-$signal/metrics.jsonl) <(seq 1 300)
  expect "there is one configuration" [ "$(grep -c configuration stop-$signal/metrics.jsonl)" = 1 ]
  same_run undisturbed stop-$signal
  expect "so is the best one" cmp -s {undisturbed,stop-$signal}/best.safetensors
done

# --- a full disk --------------------------------------------------------------------------------
# full_at KILOBYTES ARGUMENT...: no file can grow beyond that. The program writes into a pipe: what
# it says is no file of a run.
full_at() {
  command_line="adaspan ${*:2} (no file beyond $1 kB)"
  : >"$work/out"
  (ulimit -f "$1" && exec "$program" "${@:2}") 2>&1 >/dev/null | cat >"$work/err"
  code=${PIPESTATUS[0]}
}

cp -r finished full
in_folder full --niter 3
size=$((($(wc -c <longer/ckpt) + 1023) / 1024))
snapshot "${records[@]}" >"$work/before"
for kilobytes in 0 1 2 4 8 16 32 $((size - 1)); do
  full_at "$kilobytes" "${training[@]}"
  one_line "expected to write full/" "free some space"
  expect "no checkpoint may change" cmp -s <(snapshot "${records[@]}") "$work/before"
done
accept "going on from step 6" -- "${training[@]}"
same_run longer full
cp -r finished exact-fit
in_folder exact-fit --niter 3
full_at "$size" "${training[@]}"
expect "a disk just large enough will do" [ "$code" = 0 ]
same_run longer exact-fit

snapshot >"$work/before"
seq 1 20000 >"$work/text"
full_at 8 prepare --input "$work/text" --out data
one_line "expected to write" "free some space"
expect "the old corpus stays" cmp -s <(snapshot) "$work/before"

finish
