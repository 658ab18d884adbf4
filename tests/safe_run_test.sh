#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What keeps a run safe, as its user sees it: schedules, skipped steps, averaged weights, patience,
# and what moves the spans. Exit code 0 when all cases hold.
#   safe_run_test.sh PROGRAM
program=$(readlink -f -- "$1")
tests=$(cd "$(dirname "$0")" && pwd)
source "$tests/support/cases.sh"

seq 1 4000 >text
run prepare --format enwik8 --input text --out data

# --- everything on ------------------------------------------------------------------------------
safe=(--lr-schedule cosine --lr-min-factor 0.1 --lr-warmup 2 --ema 0.9 --patience 9
  --on-divergence skip --max-skips 5 --divergence-factor 100)
training=(train --data data --checkpoint run/ckpt "${tiny[@]}" "${safe[@]}")
accept '"step":6' "after 2 steps of warm-up, then cosine to 0.1 of it" \
  "an average of the weights, which follows them by 0.1 a step" -- "${training[@]}" --json
expect "the rate ends at a tenth" [ "$(grep -o '"lr":[^,]*' run/metrics.jsonl | tail -n 1)" = \
  '"lr":0.005000000000000001' ]
expect "metrics have both gradients" \
  [ "$(grep -c '"span_gradient_loss":\[\[.*"span_gradient_penalty":[0-9]' run/metrics.jsonl)" = 6 ]
accept "weights averaged over 6 updates (--weights ema)" "what moves each head's span" \
  "d(loss)/dz  d(penalty)/dz" "ema.key_pe" -- inspect run/ckpt
accept "already at step 6 of 6" -- "${training[@]}"
accept "every number is the same" -- repro run
accept -- train --data data --checkpoint twin/ckpt "${tiny[@]}" "${safe[@]}"
accept "every number is the same" -- diff run twin

# --- averaged weights ---------------------------------------------------------------------------
accept "with weights averaged over 6 updates" '"weights":"ema"' -- \
  eval --checkpoint run/ckpt --weights ema --json
grep -o '"loss":[^,]*' "$work/out" >averaged
accept -- eval --checkpoint run/ckpt --json
expect "they have another loss" [ "$(grep -cxFf averaged <(grep -o '"loss":[^,]*' "$work/out"))" = 0 ]
accept "with weights averaged" "How far each head looks back" -- \
  report --text --checkpoint run/ckpt --weights ema
accept "with weights averaged" -- generate --checkpoint run/ckpt --weights ema --length 20
accept "with weights averaged" -- inspect run/best.safetensors --weights ema
accept -- train --data data --checkpoint plain/ckpt "${tiny[@]}"
for command in eval report generate; do
  refuse "[checkpoint] expected averaged weights in plain/ckpt" "with --ema, as 0.999" -- \
    $command --checkpoint plain/ckpt --weights ema
done
refuse "expected --weights to be last or ema" -- eval --checkpoint plain/ckpt --weights mean

# --- patience -----------------------------------------------------------------------------------
patient=(train --data data --checkpoint patient/ckpt "${tiny[@]}" --lr 0 --niter 9)
accept "ended early, after step 9: no better validation in 2" "ended early       no better" -- \
  "${patient[@]}" --patience 2
accept "already ended at step 9 of 27: no better validation in 2; raise --patience" -- \
  "${patient[@]}" --patience 2
accept '"ended_early":true' '"step":15' -- "${patient[@]}" --patience 4 --json
accept "rolling validations read other text each time" "--validation fixed is better for it" -- \
  train --data data --checkpoint rolling/ckpt "${tiny[@]}" --patience 4 --validation rolling

# --- steps that diverge ---------------------------------------------------------------------------
wild=(train --data data "${tiny[@]}" --optim sgd --niter 9 --stages 7,20@1e30 --log-steps 5
  --nbatches 20)
give_up "[train] expected a finite loss and gradient" " at step 9; what was saved stays" -- \
  "${wild[@]}" --checkpoint stopped/ckpt
give_up "after 4 skipped in a row before it" " at step 13" -- \
  "${wild[@]}" --checkpoint skipped/ckpt --on-divergence skip --max-skips 4
expect "each is noted" [ "$(grep -c 'skipped, which made no update' "$work/err")" = 4 ]
expect "each is in the metrics" \
  [ "$(grep -c '"loss":null.*"skipped":true' skipped/metrics.jsonl)" = 4 ]

# --- what makes no sense --------------------------------------------------------------------------
new=(train --data data --checkpoint new/ckpt "${tiny[@]}")
refuse "[settings] expected --lr-warmup of at least 1 with --lr-schedule inverse-sqrt" -- \
  "${new[@]}" --lr-schedule inverse-sqrt
refuse "expected --lr-min-factor with --lr-schedule cosine or linear" -- \
  "${new[@]}" --lr-min-factor 0.1
refuse "expected --lr-min-factor from 0 to 1; got 2" -- \
  "${new[@]}" --lr-schedule linear --lr-min-factor 2
refuse "--lr-schedule to be flat, cosine, inverse-sqrt or linear" -- "${new[@]}" --lr-schedule square
refuse "expected --ema from 0 (none) to below 1; got 1" -- "${new[@]}" --ema 1
refuse "expected --divergence-factor above 1, or 0 for none; got 1" -- \
  "${new[@]}" --divergence-factor 1
refuse "expected --max-skips of at least 1; got 0" -- "${new[@]}" --max-skips 0
refuse "expected --patience of at least 0; got -1" -- "${new[@]}" --patience -1
refuse "expected --adapt-io with --adapt-io-cutoffs, which has no effect without it" -- \
  "${new[@]}" --adapt-io-cutoffs 5,9
refuse "expected --adapt-io with --adapt-io-tied" -- "${new[@]}" --adapt-io-tied

finish
