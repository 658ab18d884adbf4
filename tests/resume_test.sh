#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How a run is recorded, compared, stopped and gone on with. Exit code 0 when all cases hold.
#   resume_test.sh PROGRAM
program=$(readlink -f -- "$1")
tests=$(cd "$(dirname "$0")" && pwd)
source "$tests/support/cases.sh"

seq 1 4000 >text
seq -s ' ' 1 1500 >other-text
run prepare --format enwik8 --input text --out data
run prepare --format enwik8 --input other-text --out other

# in_folder FOLDER [FLAG...]: trains there; sets the arguments, so that they can be given again
in_folder() {
  training=(train --data data --checkpoint "$1/ckpt" "${tiny[@]}" "${@:2}")
}

# numbers FOLDER: its metrics but for speed and configurations
numbers() {
  grep -v '"configuration"' "$1/metrics.jsonl" | sed 's/,"clock":{[^}]*}//'
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

# --- what a run's folder holds ------------------------------------------------------------------
# A folder is one run's.
cp -r finished owned
in_folder owned --niter 1 --lr 1e-4
training[4]=owned/other
refuse "[checkpoint] expected a folder of its own for --checkpoint owned/other" \
  "got that of another run, owned/ckpt" -- "${training[@]}"

# The same text, cut elsewhere, is other data.
run prepare --format enwik8 --input text --out recut --split 0.5,0.25,0.25
in_folder owned --niter 4
training[2]=recut
refuse "[checkpoint] expected the training part that owned/ckpt was trained on (SHA-256 " \
  "; got another (" "--init-from owned/ckpt" -- "${training[@]}"

# Without its checkpoints, records are not started over.
cp -r finished lost
rm lost/ckpt*
in_folder lost
if [ -e lost/best.safetensors ]; then mv lost/best.safetensors best-of-lost; fi
refuse "[run] expected the checkpoint lost/ckpt of the run that lost/metrics.jsonl records up to step 6" \
  -- "${training[@]}"

# Gone back to an older checkpoint.
in_folder back --niter 4 --keep-last 4
accept -- "${training[@]}"
cp back/ckpt.step-6 back/ckpt
in_folder back --niter 4 --keep-last 2 --lr 0.01
accept "going on from step 6 of back/ckpt" "gone back to step 6: what was made after it is now" \
  "back/ckpt.step-9.set-aside-1" "back/metrics.jsonl.set-aside-1" -- "${training[@]}"
expect "the abandoned steps are kept" [ -f back/ckpt.step-9.set-aside-1 ]
expect "the new one takes the name" grep -q '"lr":0.01' <(tail -n 3 back/metrics.jsonl)

# A run that is at its end says so, and writes nothing.
in_folder finished
snapshot >"$work/before"
accept "already at step 6 of 6; raise --niter" -- "${training[@]}"
expect "nothing is written" cmp -s <(snapshot) "$work/before"
in_folder by-steps
training=("${training[@]/--niter/--steps}")
for i in "${!training[@]}"; do [ "${training[i]}" = --steps ] && training[i + 1]=5; done
accept -- "${training[@]}"
expect "a run of so many steps ends there" [ "$(steps_in by-steps/metrics.jsonl | tail -n 1)" = 5 ]
expect "validated" grep -q '"valid_loss"' <(tail -n 1 by-steps/metrics.jsonl)
accept "already at step 5 of 5" -- "${training[@]}"
refuse "expected --niter or --steps; got both" -- "${training[@]}" --niter 3

# What would fail at the first save fails at the start, and leaves no folder.
for name in best.safetensors metrics.jsonl manifest.json c.tmp c.step-3; do
  in_folder "new/$name"
  training[4]=new/$name
  refuse "[checkpoint] expected another --checkpoint than new/$name" -- "${training[@]}"
done
in_folder new
training[4]=new/$(printf 'x%.0s' {1..250})
refuse "[checkpoint] expected a name of at most " "for --checkpoint" -- "${training[@]}"
training[4]=data/train.tok
refuse "got a file of the corpus in data" -- "${training[@]}"
expect "no folder is made" [ ! -e new ]

# A repetition that ends where the settings changed says so.
accept "the run went on with other settings after step 6" -- repro faster --steps 9

# --- with the weights of another run -------------------------------------------------------------
in_folder begun --init-from finished/ckpt
accept "begins with the weights of finished/ckpt (step 6, SHA-256 $(hash_of finished/ckpt | cut -c 1-12))" \
  "all tokens are its own" -- "${training[@]}"
expect "its hash is recorded" [ "$(grep -A 3 '"init_from"' begun/manifest.json |
  grep -o '"sha256": "[^"]*' | cut -d '"' -f 4)" = "$(hash_of finished/ckpt)" ]
accept "already at step 6" -- "${training[@]}"
accept "8 lines compared: every number is the same" -- repro begun --steps 6
in_folder begun --niter 3
accept "going on from step 6 of begun/ckpt" -- "${training[@]}"
expect "it does not begin again" [ "$(grep -c begins "$work/err")" = 0 ]
in_folder elsewhere --init-from finished/ckpt --init-optimizer
training[2]=other
accept "begins with the weights and the optimizer's state of finished/ckpt" \
  "tokens are its own, 1 are new" -- "${training[@]}"
in_folder larger --init-from finished/ckpt --hid-sz 32
refuse "[init] expected --hid-sz 16 as in finished/ckpt; got 32" -- "${training[@]}"
in_folder larger --init-optimizer
refuse "expected --init-from, whose optimizer --init-optimizer takes; got none" -- "${training[@]}"

# --- a run that is stopped ----------------------------------------------------------------------
stopped=(--nbatches 100 --niter 3 --keep-last 1)
in_folder undisturbed "${stopped[@]}"
accept -- "${training[@]}"
for signal in INT TERM; do
  in_folder stop-$signal "${stopped[@]}"
  command_line="adaspan ${training[*]} (stopped by SIG$signal)"
  set -m  # else a shell has its children ignore SIGINT
  "$program" "${training[@]}" >"$work/out" 2>"$work/err" &
  pid=$!
  set +m
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
  expect "a stopped run exits with 128 + the signal" [ $code -eq $((128 + $(kill -l $signal))) ]
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
