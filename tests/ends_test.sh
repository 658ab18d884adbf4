#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How the program may be asked to end, what it starts with, and where a run that names no place is
# kept. Exit code 0 when all cases hold.
#   ends_test.sh PROGRAM
program=$(readlink -f -- "$1")
tests=$(cd "$(dirname "$0")" && pwd)
source "$tests/support/cases.sh"

seq 1 4000 >text
run prepare --input text --out data

# --- signals ------------------------------------------------------------------------------------
# start FOLDER [WORD...]: trains there for long, in the background, as `WORD... adaspan train`; waits
# for some steps
start() {
  command_line="adaspan train ... ($1)"
  # As from a terminal: a shell without job control has its children ignore SIGINT.
  set -m
  "${@:2}" "$program" train --data data --checkpoint "$1/ckpt" "${tiny[@]}" --nbatches 1000 \
    --niter 30 >"$work/out" 2>"$work/err" &
  pid=$!
  set +m
  for ((i = 0; i < 500; ++i)); do
    [ "$(grep -c grad_norm "$1/metrics.jsonl" 2>/dev/null)" -ge 3 ] 2>/dev/null && break
    sleep 0.02
  done
}
end() {
  wait "$pid" 2>/dev/null
  code=$?
}

for signal in INT TERM HUP; do
  start "stopped-$signal"
  kill -$signal "$pid"
  end
  expect "128 + the signal" [ "$code" = $((128 + $(kill -l $signal))) ]
  expect "it says at once what it waits for" grep -q "will stop after this step" "$work/err"
  last=$(steps_in "stopped-$signal/metrics.jsonl" | tail -n 1)
  expect "and what it did" grep -q "stopped after step $last;" "$work/err"
  accept "step $last" -- inspect "stopped-$signal/ckpt"
done

start twice
kill -STOP "$pid"  # so that both come before the step under way ends
kill -TERM "$pid"
kill -INT "$pid"
kill -CONT "$pid"
end
expect "a second signal ends it" [ "$code" -gt 128 ]
expect "at once" [ ! -e twice/ckpt ]

start nohup env sh -c 'trap "" HUP; exec "$0" "$@"'
kill -HUP "$pid"
sleep 0.1
expect "a signal that was ignored stays so" kill -0 "$pid"
kill -TERM "$pid"
end
expect "and others do not" [ "$code" = 143 ]

# --- pipes and streams --------------------------------------------------------------------------
"$program" train --data data --checkpoint pipe/ckpt "${tiny[@]}" 2>&1 | head -n 1 >/dev/null
accept "step 6 of 6" -- inspect pipe/ckpt
"$program" generate --quiet --checkpoint pipe/ckpt --length 3000 2>"$work/err" | head -c 1 >/dev/null
expect "a reader that has enough is no error" [ ! -s "$work/err" ]

(exec "$program" train --data data --checkpoint closed/ckpt "${tiny[@]}" <&- >&- 2>&-)
expect "what is printed lands in no record" [ "$(grep -vc '^{.*}$' closed/metrics.jsonl)" = 0 ]
expect "nor in a checkpoint" cmp -s closed/ckpt pipe/ckpt

# --- places -------------------------------------------------------------------------------------
unplaced=(train "${tiny[@]}")
accept "runs/data/checkpoint.safetensors" -- "${unplaced[@]}" --data data
accept "runs/demo-data/checkpoint.safetensors" -- "${unplaced[@]}" --preset demo --data data/ \
  --no-dynamic-span
seq 1 4321 >other-text
mkdir elsewhere
run prepare --input other-text --out elsewhere/data
snapshot ! -path './runs/data-*' >"$work/before"
accept -- "${unplaced[@]}" --data elsewhere/data
expect "another corpus of that name has a place of its own" \
  [ -f runs/data-"$(sha256sum other-text | cut -c 1-8)"/checkpoint.safetensors ]
expect "and touches no other" cmp -s <(snapshot ! -path './runs/data-*') "$work/before"

for command in report generate eval; do
  accept "using runs/data/best.safetensors" -- $command --checkpoint runs/data --data data
  accept "using runs/data-" -- $command --data elsewhere/data
  accept -- $command --checkpoint runs/data/checkpoint.safetensors --data data
  expect "a file means that file" [ "$(grep -c '^using' "$work/err")" = 0 ]
done
mkdir empty-folder
refuse "expected a run's folder with its checkpoints; got empty-folder" -- \
  eval --checkpoint empty-folder
echo mine >runs/data/test-text.tmp
snapshot >"$work/before"
accept "gzip -9" -- report --text --checkpoint runs/data --data data
expect "a report writes nothing" cmp -s <(snapshot) "$work/before"

# --- threads ------------------------------------------------------------------------------------
threads_of() {  # "3 threads (WHY)" of a run under the given environment
  (cd "$work" && env -u OMP_NUM_THREADS "$@" "$program" eval --checkpoint files/pipe/ckpt --data \
    files/data 2>&1 >/dev/null) | grep -o '[0-9]* threads\? ([^)]*)'
}
expect "of a list the first" [ "$(threads_of OMP_NUM_THREADS=3,2)" = "3 threads (OMP_NUM_THREADS)" ]
expect "nonsense is ignored" [ "$(threads_of OMP_NUM_THREADS=many)" = "$(threads_of)" ]
OMP_NUM_THREADS=many run eval --checkpoint pipe/ckpt --data data
expect "and told" grep -q 'OMP_NUM_THREADS is ignored: expected a number of threads; got "many"' \
  "$work/err"
accept "5 threads (--threads)" -- eval --checkpoint pipe/ckpt --data data --threads 5
expect "one processor, one thread" \
  [ "$(threads_of taskset -c 0)" = "1 thread (one for each processor)" ]

finish
