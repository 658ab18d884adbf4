#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The program as its users see it. Exit code 0 when all cases hold.
#   cli_test.sh PROGRAM
program=$(readlink -f -- "$1")
tests=$(cd "$(dirname "$0")" && pwd)
golden=$tests/golden
source "$tests/support/cases.sh"

seq 1 4000 >text
seq -s ' ' 1 1500 >other-text
: >empty
head -c 60 text >short

# --- what goes well -----------------------------------------------------------------------------
accept "kinds (train " -- prepare --input text --out data
expect "a first preparation is no repetition" [ "$(grep -c "up to date" "$work/out")" = 0 ]
accept "was up to date" -- prepare --input text --out data
accept -- prepare --format enwik8 --input other-text --out other
accept -- prepare --input short --out short-data

accept "saved in    run/ckpt" -- train --data data --checkpoint run/ckpt "${tiny[@]}"
metrics=run/metrics.jsonl
expect "the configuration comes first" grep -q '^{"configuration":{' <(head -n 1 $metrics)
expect "it has the settings" [ "$(setting $metrics hid-sz)" = 16 ]
expect "each step is logged" [ "$(steps_in $metrics | xargs)" = "1 2 3 4 5 6" ]
expect "so are validations" [ "$(grep -c valid_loss $metrics)" = 2 ]
for key in loss bpc lr grad_norm clipped clock seconds memory_mb tokens_per_s spans; do
  expect "steps have $key" grep -q "\"$key\":" <(sed -n 2p $metrics)
done
expect "the best model is kept, too" [ -f run/best.safetensors ]
cp -r run finished

cp $metrics before.jsonl
accept "already at step 6 of 6" -- train --data data --checkpoint run/ckpt "${tiny[@]}"
expect "a finished run does nothing more" cmp -s $metrics before.jsonl

accept '"part":"test"' '"bpc":' '"tokens":' -- eval --checkpoint run/ckpt --json
accept '"part":"valid"' -- eval --checkpoint run/ckpt --data data --part valid --json
value() { sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p" "$work/out"; }
# near A B BOUND: their relative difference
near() { awk -v a="$1" -v b="$2" -v e="$3" 'BEGIN { d = a - b; exit !(a > 0 && d * d <= (e * b) ^ 2) }'; }
accept '"protocol":"exact"' '"not_scored":1,' '"bits_per_character":' -- eval --checkpoint run/ckpt --json
exact=$(value loss)
expect "all bytes but one are scored" [ "$(value tokens)" = "$(value characters)" ]
nats=$(value nats)
tokens=$(value tokens)
for shape in "1 16" "3 7" "9 100000"; do
  # shellcheck disable=SC2086
  set -- $shape
  accept "\"batch\":$1," -- eval --checkpoint run/ckpt --json --batch-sz "$1" --block-sz "$2"
  expect "rows and blocks change no value" near "$(value loss)" "$exact" 1e-6
done
accept '"protocol":"reference"' '"batch":8,"block":16,"warm_up":0' -- \
  eval --checkpoint run/ckpt --json --protocol reference
expect "the reference drops a tail" [ "$(value not_scored)" -gt 8 ]
accept "reference: 8 rows from empty memory" "tokens not scored" -- \
  eval --checkpoint run/ckpt --protocol reference
accept "standard error" "none: fewer than 20,000 tokens" "exact: every token but the first" -- \
  eval --checkpoint run/ckpt
accept "run/best.safetensors: " "difference" "cannot be told" -- \
  eval --checkpoint run/ckpt --against run/best.safetensors
accept '"verdict":"undecided"' '"difference_standard_error":null' -- \
  eval --checkpoint run/ckpt --against run/best.safetensors --json
refuse "[eval] expected neither --batch-sz nor --block-sz with --protocol reference" -- \
  eval --checkpoint run/ckpt --protocol reference --batch-sz 4
refuse "[eval] expected --protocol exact with --against" -- \
  eval --checkpoint run/ckpt --protocol reference --against run/ckpt
refuse "[eval] expected --batch-sz of 1 to " "got 0" -- eval --checkpoint run/ckpt --batch-sz 0
refuse "[eval] expected --block-sz of at least 1; got 0" -- eval --checkpoint run/ckpt --block-sz 0
refuse '[settings] expected --block-sz to be a whole number; got "x"' -- \
  eval --checkpoint run/ckpt --block-sz x
refuse "[file] expected a readable file at nowhere" -- eval --checkpoint run/ckpt --against nowhere
accept -- train --data other --checkpoint other-run/ckpt "${tiny[@]}" --niter 1
refuse "[checkpoint] expected the vocabulary" -- \
  eval --checkpoint run/ckpt --against other-run/ckpt
seq 1 8000 >counted  # of which the training part has three blocks of 10,000
accept -- prepare --input counted --out counted-data
accept -- train --data data --checkpoint early/ckpt "${tiny[@]}" --niter 1
against=(--data counted-data --part train --json --against)
accept '"standard_error_blocks":3' '"verdict":"better"' -- \
  eval --checkpoint run/ckpt "${against[@]}" early/ckpt
better=$(sed 's/.*"difference":-\([0-9.]*\),.*/\1/' "$work/out")
accept '"verdict":"worse"' "\"difference\":$better" -- \
  eval --checkpoint early/ckpt "${against[@]}" run/ckpt
accept "this one is better than the other" " +- " -- \
  eval --checkpoint run/ckpt --data counted-data --part train --against early/ckpt

# --- any text -----------------------------------------------------------------------------------
tail -c "$((tokens + 1))" text >test-part
accept '"lines":' '"not_scored":1,' -- score test-part --checkpoint run/ckpt --json
expect "a part's text costs what the part does" near "$(tail -n 1 "$work/out" | sed 's/.*"nats":\([^,]*\).*/\1/')" "$nats" 1e-9
expect "an object a line, and one" [ "$(wc -l <"$work/out")" = $(($(wc -l <test-part) + 1)) ]
head -n 3 text >few
accept "line  bytes" "bits per byte" "memory passes from line to line" -- score few --checkpoint run/ckpt
accept "each line from empty memory, after an end of a line" -- \
  score few --checkpoint run/ckpt --independent
command_line="adaspan score -"
"$program" score - --checkpoint run/ckpt --quiet <few >"$work/piped" 2>"$work/err"
expect "standard input is a text, too" cmp -s "$work/piped" <("$program" score few --checkpoint run/ckpt --quiet)
printf 'a\xff\xe2\x82\n' >no-utf8
accept 'a\xff\xe2\x82' -- score no-utf8 --checkpoint run/ckpt
accept '"text":"a\\xff\\xe2\\x82"' -- score no-utf8 --checkpoint run/ckpt --json
refuse "[score] expected a text with a token to score" "got none in empty (0 bytes)" -- \
  score empty --checkpoint run/ckpt
refuse "[file] expected a readable file at nowhere" -- score nowhere --checkpoint run/ckpt
refuse "[file] expected a regular file at data" -- score data --checkpoint run/ckpt
refuse "FILE is required" -- score --checkpoint run/ckpt
rm -f few test-part no-utf8

accept '"part":"valid"' '"part":"test"' '"protocol":"exact"' -- \
  train --full-eval-mode --json --data data --checkpoint run/ckpt "${tiny[@]}"
accept "bpc of the test text" "gzip -9" "How far each head looks back" "run/ckpt" \
  "FLOPS a token (multiply-add = 1) at a mean span of " -- \
  report --text --checkpoint run/ckpt
expect "the report leaves nothing behind" [ ! -e run/test-text.tmp ]
accept "checkpoint after step 6 of 6" '"hid-sz": 16' "layers.0.norm1.weight" \
  "FLOPS a token (multiply-add = 1) at a mean span of " -- inspect run/ckpt
expect "what a checkpoint does not know is not shown" \
  [ "$(grep -c '"log-steps"\|"threads"' "$work/out")" = 0 ]
accept "corpus of format bytes, 256 kinds of token" -- inspect data
accept "adapt_span: False" "block2.loss" -- inspect "$golden/fixed.safetensors"
accept -- generate --checkpoint run/ckpt --length 50 --seed 3
cp "$work/out" first
expect "50 characters and a new line" [ "$(wc -c <first)" = 51 ]
accept -- generate --checkpoint run/ckpt --length 50 --seed 3
expect "the seed decides the text" cmp -s first "$work/out"
accept -- generate --checkpoint run/ckpt --length 50 --prompt 12
bench=(--adapt-span --nlayers 2 --hid-sz 16 --inner-hid-sz 32 --nheads 2 --attn-span 32 --batch-sz 4
  --block-sz 16)
accept '"peak_share":' '"seconds":' '"tokens_per_s":' '"useful_gflops":' '"gemm_peak_gflops":' \
  '"spread":' '"gemm_peak_spread":' '"disturbed":' '"peak_rss_gb":' '"version":' '"attn-span":32' -- \
  bench step --json --spans trained --steps 1 "${bench[@]}"
accept 'span attention backward' 'waiting' 'the rest' -- \
  bench step --profile --spans full --steps 1 "${bench[@]}"
accept '"bytes":' '"checkpoint":"given/ckpt"' -- \
  bench checkpoint --json --spans trained --data data "${bench[@]}" given/ckpt
accept "going on from step 2" "step              4 of 4" -- \
  train --data data --checkpoint given/ckpt "${bench[@]}" --steps 4 --recompute
accept '"nlayers": 2' -- inspect given/ckpt
accept '"gemm_peak_gflops":' '"disturbed":' '"gemm_peak_spread":' '"spread":' '"span":7' '"forward_s":' '"backward_s":' '"span":32' -- \
  bench attention --json --span 7 --span 32 "${bench[@]}"
accept 'gemm_peak_gflops' 'feed-forward 2' 'weight_gradient' 'spread' -- bench gemm "${bench[@]}"
accept '"name":"block2.loss","value":' -- \
  parity --json "$golden/fixed.safetensors"

# --- precision and instructions -----------------------------------------------------------------
small=("${tiny[@]}" --nbatches 1 --niter 2)
accept "precision   f32" "running on  1 thread (--threads), plain" -- train --data data --checkpoint plain-isa/ckpt \
  "${small[@]}" --precision f32 --isa plain
accept "precision   f32" "running on  1 thread (--threads), plain" -- train --data data --checkpoint auto-plain/ckpt \
  "${small[@]}" --isa plain
expect "auto's precision is in the configuration" \
  [ "$(setting auto-plain/metrics.jsonl precision)" = '"f32"' ]
expect "the same level has the same bits" cmp -s <(grep -o '"loss":[^,]*' plain-isa/metrics.jsonl) \
  <(grep -o '"loss":[^,]*' auto-plain/metrics.jsonl)
accept "precision   f32" -- train --data data --checkpoint f32/ckpt "${small[@]}" --precision f32
refuse "[model] expected --precision f32, since the kernels of level plain compute in f32; got bf16" \
  "use --precision f32" -- train --data data --checkpoint new/ckpt "${small[@]}" \
  --precision bf16 --isa plain
refuse '[settings] expected --precision to be f32, bf16 or auto; got "half"' -- \
  train --data data --checkpoint new/ckpt "${small[@]}" --precision half
refuse '[settings] expected --isa to be auto, plain, avx2, avx512 or amx; got "sse"' -- \
  train --data data --checkpoint new/ckpt "${small[@]}" --isa sse
refuse '[settings] expected --precision to be f32 or bf16; got "half"' -- parity "$golden/fixed.safetensors" --precision half
grep -q amx_tile /proc/cpuinfo ||
  refuse "[isa] expected --isa of a level that this processor has" -- \
    train --data data --checkpoint new/ckpt "${small[@]}" --isa amx
if grep -q avx512_bf16 /proc/cpuinfo; then
  accept "precision   bf16" -- train --data data --checkpoint bf16/ckpt "${small[@]}"
  accept "going on from step 2" -- train --data data --checkpoint bf16/ckpt "${small[@]}" --niter 3
  accept "test " -- eval --checkpoint bf16/ckpt
  accept -- generate --checkpoint bf16/ckpt --length 20
  accept '"precision": "bf16"' -- inspect bf16/ckpt
  refuse '[checkpoint] expected --precision "bf16" as in bf16/ckpt; got "f32"' -- \
    train --data data --checkpoint bf16/ckpt "${small[@]}" --precision f32
  accept "agrees  eval.loss" -- parity "$golden/fixed.safetensors" --precision bf16
fi

# --- adaptive input and output ------------------------------------------------------------------
clusters=(--adapt-io --adapt-io-tied --adapt-io-divval 2 --adapt-io-cutoffs 20,80 --optim adam)
io() { # FOLDER [FLAG...]
  io=(train --data sorted --checkpoint "$1/ckpt" "${small[@]}" "${clusters[@]}" "${@:2}")
}
accept -- prepare --order falling_count --input text --out sorted
told="adaptive io: cut-offs 20, 80; widths 16, 8, 4; tied"
io io --niter 3
accept "$told" -- "${io[@]}"
io io-stopped --niter 1
accept -- "${io[@]}"
io io-stopped --niter 3
accept "going on from step 1" -- "${io[@]}"
expect "a run that was stopped ends as one that was not" cmp -s io/ckpt io-stopped/ckpt
accept "$told" "in_emb.emb_projs.2" -- inspect io/ckpt
accept "test " -- eval --checkpoint io/ckpt
accept -- generate --checkpoint io/ckpt --length 20
accept "bpc of the test text" "$told" -- report --text --checkpoint io/ckpt
refuse '[checkpoint] expected --adapt-io-cutoffs "20,80" as in io/ckpt; got "20,90"' -- \
  "${io[@]/20,80/20,90}" --checkpoint io/ckpt
refuse '[model] expected --adapt-io-cutoffs below 256, the size of the vocabulary; got 20,256' -- \
  "${io[@]/20,80/20,256}" --checkpoint new/ckpt
refuse '[train] expected a corpus whose ids go by falling count' 'with --order falling_count' -- \
  "${io[@]/sorted/data}" --checkpoint new/ckpt
refuse '[settings] expected --adapt-io-cutoffs to be whole numbers' -- \
  "${io[@]/20,80/20-80}" --checkpoint new/ckpt

# --- a checkpoint of format 2 -------------------------------------------------------------------
# Made by the last version of that format, which found these losses of it, on a corpus of the same
# text that knows only the bytes of it.
old=$tests/data/format_2.safetensors
cp -r "$tests/data/old_bytes/corpus" old-data
loss_of() { sed -n 's/.*"loss":\([0-9.]*\).*/\1/p' "$work/out"; }
while read -r part loss; do
  accept '"step":40' -- eval --checkpoint "$old" --data old-data --part "$part" --json \
    --protocol reference
  expect "the loss that its own version found" awk -v a="$(loss_of)" -v b="$loss" \
    'BEGIN { exit !((a - b) ^ 2 <= (1e-6 * b) ^ 2) }'
done <<'LOSSES'
test 2.501094307218279
valid 2.6556705747331892
LOSSES
accept "checkpoint after step 40 of 40" '"adapt-span": true' -- inspect "$old"
mkdir -p old && cp "$old" old/ckpt
accept "bpc of the test text" -- report --text --checkpoint old/ckpt --data old-data
accept -- generate --checkpoint "$old" --data old-data --length 20
refuse '[checkpoint] expected a file of format "adaspan checkpoint 3" to go on from at old/ckpt' \
  'got "adaspan checkpoint 2"' "give a --checkpoint in another folder to start anew" -- \
  train --data old-data --checkpoint old/ckpt "${tiny[@]}"

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

# --- pages --------------------------------------------------------------------------------------
accept "page  run/report.html" -- report run
accept "charts   charts" "numbers  all.csv" -- \
  report run plain --output both.html --svg charts --csv all.csv
expect "the page of both, charts and numbers are there" \
  [ -s both.html ] && [ -s charts/loss-over-steps.svg ] && [ -s all.csv ]
accept -- report plain --no-test --output alone.html
refuse "[report] expected one run with --text, --json or --checkpoint; got 2" -- \
  report run plain --text
refuse "[report] expected a run or --checkpoint; got both" -- report run --checkpoint run/ckpt
refuse "[run] expected the folder of a run, with a metrics.jsonl" -- report run elsewhere-none
refuse "[settings] expected --report-every of at least 0; got -1" \
  -- train --data data --checkpoint fresh/ckpt "${tiny[@]}" --report-every -1
accept -- train --data data --checkpoint fresh/ckpt "${tiny[@]}" --report-every 1
expect "a page of the run that has ended" [ "$(grep -c 'data-refresh="' fresh/report.html)" = 0 ]
expect "its pace is no setting of the run" [ "$(grep -c report-every fresh/metrics.jsonl)" = 0 ]

# --- event files --------------------------------------------------------------------------------
accept -- train --data data --checkpoint plain-events/ckpt "${tiny[@]}" --tensorboard events/run
expect "they are there" [ "$(find events/run -name 'events.out.tfevents.*' | wc -l)" = 1 ]
expect "they are no setting of the run" [ "$(grep -c tensorboard plain-events/metrics.jsonl)" = 0 ]
refuse "[tensorboard] expected a folder for the run of other-events/ckpt alone; got events/run" -- \
  train --data data --checkpoint other-events/ckpt "${tiny[@]}" --tensorboard events/run
refuse "[tensorboard] expected --tensorboard with a folder to write to; got text" "is a file" -- \
  train --data data --checkpoint other-events/ckpt "${tiny[@]}" --tensorboard text

# --- help ---------------------------------------------------------------------------------------
commands=(prepare presets plan train eval score report spans generate inspect diff repro parity bench import export
  completion man)
accept "${commands[@]}" "Exit codes:" "  2  refused or failed" -- --help
for command in "${commands[@]}" "bench step" "bench checkpoint" "bench attention" "bench gemm"; do
  # shellcheck disable=SC2086
  accept "Usage: adaspan $command" "Examples:" -- $command --help
  sed -n '/^Examples:/,$ s/^  //p' "$work/out" >>"$work/examples"
done
expect "there are examples" [ "$(wc -l <"$work/examples")" -gt 20 ]
while read -r line; do  # The shell reads them as a person's would: with quotes, not with pipes.
  command_line=$line
  eval "set -- ${line%%[|<]*}"
  [ "$1" = adaspan ] || continue
  (cd "$work" && timeout 1 "$program" "${@:2}") >"$work/out" 2>"$work/err"
  expect "an example is a command line" [ "$(grep -c 'COMMAND --help' "$work/err")" = 0 ]
done <"$work/examples"
rm -rf "$work/runs" "$work/man1"
accept --nlayers --hid-sz --inner-hid-sz --nheads --attn-span --block-sz --batch-sz --batch-split \
  --dropout --emb-dropout --optim --lr --momentum --lr-warmup --grad-clip --nbatches --niter \
  --adapt-span --adapt-span-loss --adapt-span-ramp --adapt-span-init --adapt-span-cache --data \
  --data-unit --checkpoint --full-eval-mode --seed --threads --dynamic-span --config --preset \
  --skip-missing --log-steps --precision --isa -- train --help
for name in $(head -n 1 $metrics | grep -o '"configuration":{[^}]*}' | grep -o '"[a-z-]*":' |
  tr -d '":' | grep -v configuration); do
  expect "train --help tells of --$name" grep -qE -e "--${name}[ ,{]" "$work/out"
done

accept --hid-sz --batch-sz --threads --precision -- bench gemm --help
expect "help lists only what is of use" [ "$(grep -cE -e '--(niter|lr|nheads|data) ' "$work/out")" = 0 ]
accept "--niter has no effect here" "--nheads has no effect here" -- \
  bench gemm "${tiny[@]}"

# --- presets ------------------------------------------------------------------------------------
accept "demo " "Expect" "1.04 bpc" "38,538,541 parameters; 38.2M FLOPS a token" \
  "41.6M FLOPS a token (multiply-add = 1) at a mean span of 314 (published: 42M)" \
  "216.7M FLOPS a token (multiply-add = 1) at a mean span of 245 (published: 179M)" \
  "; in 2 stages: 250000 steps at 1, 20000 at 0.1 times the learning rate" -- presets
accept '"name":"enwik8"' '"expect":"Expect (paper' '"stages":"250r@1,20r@0.1"' \
  '"parameters":132493746' '"published_flops_per_token":42000000.0' -- presets --json
accept -- presets --names
expect "a name for each file" \
  diff "$work/out" <(cd "$tests/../presets" && printf '%s\n' *.toml | sed 's/\.toml$//')

# --- plan ---------------------------------------------------------------------------------------
accept "38,538,541" "--batch-split 2" "600,000 steps" "not timed" -- \
  plan --preset enwik8 --no-timing --memory 1000
accept '"parameters":38538541' '"fits":false' '"settings":"--batch-split' -- \
  plan --preset enwik8 --no-timing --memory 1.5 --json
accept '"vocabulary":9,' '"timed_sequences":4,' '"seconds_per_step":' -- \
  plan "${tiny[@]}" --vocabulary 9 --json
accept "mean 32 and at most 32 tokens" -- plan --preset demo --spans initial --no-timing
refuse "[plan] expected a vocabulary size" -- plan --nlayers 2
refuse "[plan] expected a corpus in nowhere, as --data says" -- plan --preset demo --data nowhere
accept "more than 30 MB, which is what was given" -- plan --preset demo --no-timing --memory 0.03
expect "no settings twice" [ -z "$(sed -n '/^  settings/,$ s/^ *\(.*[^ ]\)  *[0-9.]* [MG]B .*/\1/p' "$work/out" | sort | uniq -d)" ]
refuse '[plan] expected --memory in gigabytes, a number above 0; got "much"' -- \
  plan --preset demo --memory much
refuse "[memory] expected this model's weights to fit into 0 MB" -- \
  plan --preset demo --no-timing --memory 0.0001
refuse "[bench] expected --adapt-span without --dynamic-span" -- \
  plan --preset demo --dynamic-span --spans full

# --- did you mean -------------------------------------------------------------------------------
refuse "not expected: trian" "did you mean train?" -- trian
refuse "did you mean step?" -- bench stpe
refuse "did you mean --nlayers?" -- train --nlayer=3
refuse "not expected: x --checkpont; did you mean --checkpoint?" -- eval --checkpont x
refuse "did you mean demo?" -- train --preset dmeo
refuse "did you mean adagrad?" -- train --optim adagard
refuse "did you mean valid?" -- eval --checkpoint x --part vald
refuse "did you mean words?" -- prepare --input text --out new --format word
printf 'nlayers = 1\nadapt-spann = true\n' >bad.toml
refuse 'got "adapt-spann"; did you mean adapt-span?' "(in bad.toml, line 2)" -- train --config bad.toml
refuse "did you mean eval?" -- man evla
run frobnicate
expect "what is like nothing has no suggestion" [ "$(grep -c 'did you mean' "$work/err")" = 0 ]

# --- folders, empty texts, numbers --------------------------------------------------------------
accept "checkpoint after step 6 of 6" "using run/best.safetensors" -- inspect run
refuse "got the folder run; use --checkpoint run/checkpoint.safetensors" -- \
  train --data data --checkpoint run "${tiny[@]}"
for flag in preset config; do
  refuse "expected --$flag " "got an empty text" -- train --$flag ""
done
for flag in checkpoint data precision; do
  refuse "expected --$flag " -- train --data data "${tiny[@]}" --$flag ""
done
refuse "expected --data DIR; got an empty text" -- eval --checkpoint run/ckpt --data ""
refuse 'expected --seed to be a whole number of at least 0; got "-1"' -- \
  generate --checkpoint run/ckpt --seed -1
refuse 'expected --length to be a whole number; got "1e3"' -- \
  generate --checkpoint run/ckpt --length 1e3
for command in eval report generate; do
  refuse "expected --threads of at most 4096; got 5000" -- \
    $command --checkpoint run/ckpt --threads 5000
done
mkdir -p elsewhere
command_line="adaspan eval, in another folder"
(cd elsewhere && "$program" eval --checkpoint ../run/ckpt) >"$work/out" 2>"$work/err"
expect "it is told where the corpus was named from" grep -qF \
  "it is named from the folder that 'train' was started in" "$work/err"
expect "and where it is" grep -qF -e "--data $PWD/data" "$work/err"

# --- what is refused ----------------------------------------------------------------------------
refuse "[bench] expected --adapt-span without --dynamic-span" -- \
  bench step --adapt-span --dynamic-span
refuse "[bench] expected --spans to be initial, trained, full or a file" -- \
  bench step --adapt-span --spans half
refuse "[checkpoint] expected a folder for --checkpoint; got text, which is a file" -- \
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
  refuse "expected --checkpoint, or a run in runs/; got neither" -- $command
  refuse "[file] expected a readable file at nowhere; got: No such file" -- \
    $command --checkpoint nowhere
done
refuse "[file] expected a readable file at nowhere" -- parity nowhere
refuse "[file] expected a readable file at nowhere" -- inspect nowhere
refuse "[prepare] expected a file of text at nowhere" -- prepare --input nowhere --out new
refuse "empty" -- prepare --input empty --out data
refuse "add to 1; got 90,5,5" -- prepare --input text --out data --split 90,5,5
refuse '[settings] expected --format to be bytes, enwik8, text8 or words; got "tokens"' -- prepare --input text --out data --format tokens
expect "no folder for what was refused" [ ! -e new ]

refuse "expected --data with the folder" -- train --checkpoint new/ckpt "${tiny[@]}"
refuse "[corpus] expected a prepared corpus in nowhere" -- train --data nowhere "${tiny[@]}"
refuse "expected at least 68 tokens" "batch of 4 and blocks of 16; got 54" -- \
  train --data short-data --checkpoint new/ckpt "${tiny[@]}"
refuse "expected at least 136 tokens" "batch of 8 and blocks of 16" -- \
  eval --checkpoint run/ckpt --data short-data --part valid --protocol reference
refuse '[settings] expected the name of a preset; got "enwik9"; did you mean enwik8?; there are: ' "enwik8" -- \
  train --preset enwik9
refuse '[settings] expected the name of a preset; got "../presets/demo"' -- \
  train --preset ../presets/demo
refuse '[settings] expected --threads of at least 0; got -3' -- eval --checkpoint none --threads -3
refuse 'in run.data' -- train --data run.data
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
refuse "[bench] expected --steps of 1 to 10000; got 0" -- bench step "${tiny[@]}" --steps 0
refuse "[bench] expected --steps of 1 to 10000; got 9223372036854775807" -- \
  bench step "${tiny[@]}" --steps 9223372036854775807
refuse "[bench] expected --adapt-span without --dynamic-span" "got --no-adapt-span" -- \
  bench step "${tiny[@]}" --no-adapt-span
refuse "[bench] expected --adapt-span without --dynamic-span" "got --dynamic-span" -- \
  bench attention "${tiny[@]}" --dynamic-span
refuse "[bench] expected --span in [1, 32], the limit --attn-span; got 33" -- \
  bench attention "${bench[@]}" --span 4 --span 33
refuse "[bench] expected the name of a new file; got given/ckpt" "there already" -- \
  bench checkpoint "${bench[@]}" --data data given/ckpt
refuse "[bench] expected --adapt-span without --dynamic-span" -- \
  bench checkpoint "${bench[@]}" --dynamic-span --data data other.ckpt
refuse "[bench] expected step, checkpoint, attention or gemm; got none" -- bench
refuse "not expected: foo" -- bench foo
while read -r spans got; do
  echo "$spans" >spans.json
  refuse "[bench] expected in spans.json a JSON list of 2 layers, each a list of 2 spans z in [0, 32]" \
    "; got $got; write one" -- bench step "${bench[@]}" --spans spans.json
done <<'SPANS'
[[1,2 something else
{"spans":1} something else
[[1,2]] 1 layers
[[1,2],[3]] 1 spans in layer 1
[[1,2],3] 0 spans in layer 1
[[1,2],[3,33]] 33 for head 1 of layer 1
[[true,2],[3,4]] true for head 0 of layer 0
[[[],2],[3,4]] a list for head 0 of layer 0
SPANS

again=(train --data data --checkpoint run/ckpt "${tiny[@]}")
refuse "[checkpoint] expected --hid-sz 16 as in run/ckpt; got 32" -- "${again[@]}" --hid-sz 32
refuse "[checkpoint] expected the vocabulary" -- "${again[@]}" --data other
refuse "[checkpoint] expected the vocabulary" -- eval --checkpoint run/ckpt --data other
refuse "[checkpoint] expected the vocabulary" -- generate --checkpoint run/ckpt --data other
refuse "[checkpoint] expected a file of format" -- eval --checkpoint "$golden/fixed.safetensors"
accept -- generate --checkpoint run/ckpt --prompt abc
refuse "[prompt] expected a prompt" "an empty one" -- generate --checkpoint run/ckpt --prompt ""
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

# --- a loss that is no number -------------------------------------------------------------------
cp -r finished nan
diverge=(train --data data --checkpoint nan/ckpt "${tiny[@]}" --lr 1e36 --niter 3)
give_up "[train] expected a finite loss and gradient" "at step 8" "what was saved stays" -- \
  "${diverge[@]}"
give_up "[train] expected a finite validation loss" "after step 7" -- "${diverge[@]}" --nbatches 1 \
  --niter 9
accept "going on from step 6" -- train --data data --checkpoint nan/ckpt "${tiny[@]}" --niter 3
expect "no step is missing after a bad one" cmp -s <(steps_in nan/metrics.jsonl) <(seq 1 9)

finish
