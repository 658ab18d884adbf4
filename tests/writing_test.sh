#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 'generate' as a person, a pipe and a script use it. Exit code 0 when all cases hold.
#   writing_test.sh PROGRAM
program=$(readlink -f -- "$1")
source "$(cd "$(dirname "$0")" && pwd)/support/cases.sh"

seq 1 4000 >text
run prepare --input text --out data
run train --data data --checkpoint run/ckpt "${tiny[@]}"
writing=(generate --checkpoint run/ckpt --length 40 --quiet)

# --- prompts ------------------------------------------------------------------------------------
run "${writing[@]}" --prompt $'12\n13'
cp "$work/out" from-flag
printf '12\n13' >prompt
accept -- "${writing[@]}" --prompt-file prompt
expect "a prompt from a file is the same prompt" cmp -s "$work/out" from-flag
"$program" "${writing[@]}" --prompt-file - <prompt >"$work/out"
expect "and from standard input" cmp -s "$work/out" from-flag
head -c 3000 text >long-prompt
accept "160 tokens" "read a prompt of 3000 tokens" "tokens/s" "MB a token" -- \
  generate --checkpoint run/ckpt --stats --length 160 --prompt-file long-prompt
: >empty-prompt
refuse "[prompt] expected a prompt" "an empty one" -- "${writing[@]}" --prompt-file empty-prompt
refuse "expected --prompt or --prompt-file; got both" -- \
  "${writing[@]}" --prompt 1 --prompt-file prompt
refuse "nowhere" -- "${writing[@]}" --prompt-file nowhere

# --- where a text ends --------------------------------------------------------------------------
first=$(head -c 12 from-flag | tail -c 1)
run "${writing[@]}" --prompt-file prompt --stop "$first"
expect "a text ends before its stop text" [ "$(grep -c -F -e "$first" "$work/out")" = 0 ]
expect "and is the beginning of the same text" \
  cmp -s -n "$(($(wc -c <"$work/out") - 1))" "$work/out" from-flag
accept '"stopped":true' -- "${writing[@]}" --prompt-file prompt --stop "$first" --json
refuse "expected --stop TEXT; got an empty text" -- "${writing[@]}" --stop ""
set -m  # as from a terminal: else its children ignore SIGINT
timeout 60 "$program" generate --checkpoint run/ckpt --length 100000000 --prompt 1 \
  >"$work/out" 2>"$work/err" &
pid=$!
set +m
for _ in {1..100}; do [ "$(wc -c <"$work/out")" -gt 200 ] && break; sleep 0.1; done
kill -INT "$pid"
wait "$pid"
code=$?
expect "a text that is interrupted has ended with a new line" [ -z "$(tail -c 1 "$work/out")" ]
expect "and tells how" [ "$code" = 130 ]

# --- several texts ------------------------------------------------------------------------------
log_p() {
  grep -o '"log_probabilities":\[[^]]*\]' "$work/out"
}
run "${writing[@]}" --prompt-file prompt --samples 5 --json
log_p >five
expect "a line for each text" [ "$(wc -l <five)" = 5 ]
expect "no two alike" [ "$(sort -u five | wc -l)" = 5 ]
expect "a number for each token" [ "$(head -n 1 five | tr ',' '\n' | wc -l)" = 40 ]
run "${writing[@]}" --prompt-file prompt --samples 1 --json
expect "the first is what it is alone" [ "$(log_p)" = "$(head -n 1 five)" ]
run "${writing[@]}" --prompt-file prompt --samples 3 --json --threads 3
expect "whatever the threads" [ "$(log_p)" = "$(head -n 3 five)" ]
accept "sample 2 of 2" -- generate --checkpoint run/ckpt --length 20 --samples 2
refuse "expected --samples from 1 to 4096; got 0" -- "${writing[@]}" --samples 0

# --- what tokens are drawn from -----------------------------------------------------------------
run "${writing[@]}" --prompt-file prompt --temperature 0
cp "$work/out" likeliest
for filter in "--top-k 1" "--top-p 1e-9" "--min-p 1" "--temperature 1e-4"; do
  # shellcheck disable=SC2086
  run "${writing[@]}" --prompt-file prompt $filter
  expect "$filter leaves the likeliest token" cmp -s "$work/out" likeliest
done
run "${writing[@]}" --prompt-file prompt --top-k 256 --top-p 1 --min-p 0
expect "filters that leave all change nothing" cmp -s "$work/out" from-flag
refuse "[generate] expected --temperature of at least 0; got -1" -- "${writing[@]}" --temperature -1
refuse "[generate] expected --top-k of at least 0; got -1" -- "${writing[@]}" --top-k -1
refuse "[generate] expected --top-p above 0 and at most 1; got 0" -- "${writing[@]}" --top-p 0
refuse "[generate] expected --min-p from 0 to 1; got 2" -- "${writing[@]}" --min-p 2
for storage in f32 bf16; do
  accept "$storage: " -- generate --checkpoint run/ckpt --length 20 --storage $storage --stats
done
refuse "expected --storage to be auto, f32 or bf16" -- "${writing[@]}" --storage f16

finish
