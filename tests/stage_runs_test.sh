#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs in stages: stopped, killed, repeated, made longer, and with their stages edited. Exit code 0
# when all cases hold.
#   stage_runs_test.sh PROGRAM
program=$(readlink -f -- "$1")
tests=$(cd "$(dirname "$0")" && pwd)
source "$tests/support/cases.sh"

seq 1 4000 >text
run prepare --format enwik8 --input text --out data

# 6 steps, then 10 at a tenth of the rate; warm-up reaches into the second stage. The text is gone
# through more than once, and validations fall into the middle of stages.
cat >two.toml <<'TOML'
lr-warmup = 8
nbatches = 4
[[stage]]
steps = 6
[[stage]]
steps = 10
lr-factor = 0.1
TOML
small=()
for ((i = 0; i < ${#tiny[@]}; i += 1)); do
  case ${tiny[i]} in
    --niter | --nbatches) i=$((i + 1)) ;;
    *) small+=("${tiny[i]}") ;;
  esac
done
in_folder() { # FOLDER [FLAG...]
  training=(train --config two.toml --data data --checkpoint "$1/ckpt" "${small[@]}" --dropout 0.2
    "${@:2}")
}

numbers() {
  grep -v '"configuration"' "$1/metrics.jsonl" | sed 's/,"clock":{[^}]*}//'
}
# The rates that metrics tell, step by step
rates() {
  grep '"grad_norm"' "$1/metrics.jsonl" | grep -o '"lr":[^,]*' | cut -d: -f2 | xargs printf '%.6g '
}
same_run() {
  expect "the weights of $2 are those of $1" cmp -s <(weights_of "$1") <(weights_of "$2")
  expect "so are all numbers" cmp -s <(numbers "$1") <(numbers "$2")
}
weights_of() { "$program" inspect "$1/ckpt" --json --quiet | grep -o '"tensors":.*'; }

in_folder whole
accept "stage 1 of 2, step 1 of 6: learning rate 0.00625" \
  "stage 2 of 2, step 1 of 10: learning rate 0.004375" \
  "16 steps of 4 x 16 tokens" "in 2 stages: 6 steps at 1, 10 at 0.1 times the learning rate" \
  "stage 2 of 2, step 10 of 10" -- "${training[@]}"
expect "the rate is a tenth in the second stage, without a warm-up of its own" [ "$(rates whole)" = \
  "0.00625 0.0125 0.01875 0.025 0.03125 0.0375 0.004375 0.005 0.005 0.005 0.005 0.005 0.005 0.005 0.005 0.005 " ]
expect "metrics tell the stage" [ "$(grep -o '"stage":[12]' whole/metrics.jsonl | sort | uniq -c |
  xargs)" = '6 stage:1 10 stage:2' ]
accept "checkpoint after step 16 of 16" "stage 2 of 2, step 10 of 10" '"stages": "6@1,10@0.1"' -- \
  inspect whole/ckpt
accept "after 16 steps (stage 2 of 2, step 10 of 10)" -- report --text --checkpoint whole/ckpt
accept "20 lines compared: every number is the same" -- repro whole
accept "13 lines compared: every number is the same" -- repro whole --steps 11

# --- the length of the whole run -----------------------------------------------------------------
# A run of fewer steps ends within a stage, goes on there, and then beyond the last one's end.
in_folder shorter --steps 5
accept "stage 1 of 2, step 5 of 5" -- "${training[@]}"
in_folder shorter --steps 9
accept "going on from step 5" "stage 1 of 2, step 6 of 6" "stage 2 of 2, step 3 of 3" -- "${training[@]}"
cp -r shorter edited
cp -r shorter longer
# Ends of runs are validated: in one that is stopped there no validation stands in the numbers.
in_folder longer --niter 5
accept "going on from step 9" "changed: --niter 5, was 1000" "stage 2 of 2, step 14 of 14" -- \
  "${training[@]}"
expect "it goes on in the last stage" [ "$(rates longer | cut -d ' ' -f 10-20)" = \
  "0.005 0.005 0.005 0.005 0.005 0.005 0.005 0.005 0.005 0.005 0.005" ]
in_folder beyond --niter 5
accept -- "${training[@]}"
expect "whose weights are those of a run that never ended" \
  cmp -s <(weights_of beyond) <(weights_of longer)

# --- stages that are edited on the way ------------------------------------------------------------
in_folder edited --stages 6,4@0.1,6@0.01
accept 'changed: --stages "6@1,4@0.1,6@0.01", was "6@1,10@0.1"' "stage 3 of 3, step 6 of 6" -- \
  "${training[@]}"
expect "the rates are the new ones" [ "$(rates edited | cut -d ' ' -f 9-12)" = "0.005 0.005 0.0005 0.0005" ]
accept "checkpoint after step 16 of 16" "stage 3 of 3, step 6 of 6" -- inspect edited/ckpt

# A run without stages goes on as one with them.
in_folder single --stages 6
accept "6 steps of 4 x 16 tokens" -- "${training[@]}"
expect "no stage is told of where there is one" [ "$(grep -c '"stage"' single/metrics.jsonl)" = 0 ]
in_folder single
accept "stage 2 of 2, step 10 of 10" -- "${training[@]}"
expect "with the weights of one that had them from the beginning" \
  cmp -s <(weights_of whole) <(weights_of single)

# --- stopped and killed in the middle of a stage -------------------------------------------------
printf 'nbatches = 50\n[[stage]]\nniter = 1\n[[stage]]\nniter = 20\nlr-factor = 0.1\n' >two.toml
in_folder undisturbed
accept "stage 2 of 2, step 1000 of 1000" -- "${training[@]}"

# end_within FOLDER SIGNAL: the run, ended by a signal after step 120 or later; a machine that is at
# other work may be too late for it, and tries again.
end_within() {
  for _ in 1 2 3 4 5; do
    rm -rf "$1"
    "$program" "${training[@]}" >"$work/out" 2>"$work/err" &
    pid=$!
    for ((i = 0; i < 3000; ++i)); do
      [ "$(grep -c '"stage":2' "$1/metrics.jsonl" 2>/dev/null)" -ge 70 ] 2>/dev/null && break
      sleep 0.01
    done
    kill -"$2" $pid 2>/dev/null
    wait $pid 2>/dev/null && continue # at its end
    last=$(steps_in "$1/metrics.jsonl" | tail -n 1)
    return
  done
  last=0
}

for signal in TERM KILL; do
  in_folder "at-$signal"
  command_line="adaspan ${training[*]} (ended by SIG$signal)"
  end_within "at-$signal" $signal
  expect "it was ended within the second stage" [ "$last" -gt 100 ]
  accept "stage 2 of 2" -- inspect "at-$signal/ckpt"
  accept "going on from step " "stage 2 of 2, step 1000 of 1000" -- "${training[@]}"
  same_run undisturbed "at-$signal"
  expect "the checkpoint is the same to the byte" cmp -s undisturbed/ckpt "at-$signal/ckpt"
done
accept "every number is the same" -- repro at-KILL --steps 120

# --- what is refused -----------------------------------------------------------------------------
refuse "[settings] expected --stages to be lengths of at least 1 and factors above 0" -- \
  train --data data --stages 5@0
printf 'lr = 1\n[[stage]]\nniter = 1\nlr-factr = 1\n' >bad.toml
refuse 'got "lr-factr"; did you mean lr-factor?' "(in bad.toml, line 4)" -- \
  train --config bad.toml --data data
refuse "[settings] expected --stages of less than 4294967295 steps together; got 1073741824r@1" -- \
  train --data data --stages 1073741824r
finish
