#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Texts, corpora and prompts as users of the program have them. Exit code 0 when all cases hold.
#   data_test.sh PROGRAM
program=$(readlink -f -- "$1")
tests=$(cd "$(dirname "$0")" && pwd)
source "$tests/support/cases.sh"

seq 1 4000 >text

# told TEXT...: the program did its work and said all TEXTs on stderr
told() {
  local text
  expect "exit code 0" [ "$code" = 0 ]
  for text; do
    expect "'$text' on stderr" grep -qF -e "$text" "$work/err"
  done
}

# --- corpora and runs of the time when the bytes' vocabulary had only those of the text ----------
# Made on `text`, by the last version that made such corpora, which found this loss.
cp -r "$tests/data/old_bytes" old
accept -- eval --checkpoint old/checkpoint.safetensors --data old/corpus --json --protocol reference
expect "the loss that its own version found" awk \
  -v a="$(sed -n 's/.*"loss":\([0-9.]*\).*/\1/p' "$work/out")" \
  'BEGIN { exit !((a - 2.3511630467) ^ 2 <= 1e-10) }'
snapshot -path './old/corpus/*' >"$work/corpus"
accept "of 11 kinds" "was up to date" \
  "has the older vocabulary of 11 bytes, which runs may depend on; another --out folder gets" -- \
  prepare --input text --out old/corpus
expect "the older corpus stays" cmp -s "$work/corpus" <(snapshot -path './old/corpus/*')
old_run=(train --data old/corpus --checkpoint old/checkpoint.safetensors --adapt-span --nlayers 1
  --hid-sz 8 --inner-hid-sz 16 --nheads 2 --attn-span 16 --adapt-span-ramp 8 --adapt-span-loss 1e-4
  --batch-sz 4 --block-sz 16 --nbatches 5 --optim adagrad --lr 0.05 --threads 1 --precision f32)
run "${old_run[@]}" --niter 3
expect "an older run goes on" [ "$code" = 0 ]
expect "from where it was" grep -q "from step 10 of" "$work/out" "$work/err"
run inspect old/checkpoint.safetensors
expect "to its new end" grep -q "after step 15" "$work/out"
refuse '[prompt] expected text made of the 11 tokens of the corpus; got "é" (U+00E9), character 2' \
  "or set --unknown to skip" -- \
  generate --checkpoint old/checkpoint.safetensors --data old/corpus --prompt 1é2
run generate --checkpoint old/checkpoint.safetensors --data old/corpus --length 5 --prompt 1é2 \
  --unknown skip
told "1 unknown character of the prompt left out"
refuse "[prompt] expected a prompt with at least one of the 11 tokens" "got unknown ones alone" -- \
  generate --checkpoint old/checkpoint.safetensors --data old/corpus --prompt é --unknown skip

# --- all bytes ----------------------------------------------------------------------------------
accept "of 256 kinds" -- prepare --input text --out data
expect "the text's bytes are the ids" cmp -s <(tail -c +25 data/train.tok) \
  <(head -c "$(($(wc -c <data/train.tok) - 24))" text)
run train --data data --checkpoint run/ckpt "${tiny[@]}"
accept -- generate --checkpoint run/ckpt --length 5 --prompt 'Ünknown?'
printf 'another text, of other bytes: \303\251\n%.0s' {1..200} >essay
(cat text && echo x) >with-x
accept "note: 1 kind of token is not in the training part; no model learns it" -- \
  prepare --input text --valid text --test with-x --out three-texts
accept "of 256 kinds" -- prepare --input essay --out essay-data
accept -- eval --checkpoint run/ckpt --data essay-data

# --- newlines dropped, as Transformer-XL reads enwik8 ---------------------------------------------
accept "of 11 kinds" -- prepare --format enwik8 --input text --out kept-data
accept "of 10 kinds" "; newlines dropped" -- \
  prepare --format enwik8 --newline drop --input text --out dropped-data
accept "was up to date" -- \
  prepare --format enwik8 --newline drop --input text --out dropped-data
expect "the most frequent byte comes first" [ "$(head -n 1 dropped-data/vocab.txt)" = 1 ]
expect "and the newline not at all" [ "$(grep -c eol dropped-data/vocab.txt)" = 0 ]
refuse "[prepare] expected --newline drop with the format enwik8 or text8; got words" -- \
  prepare --format words --newline drop --input text --out new
refuse '[settings] expected --newline to be keep or drop; got "strip"' -- \
  prepare --format enwik8 --newline strip --input text --out new
reading="enwik8, newlines dropped (V 10)"
run train --data kept-data --checkpoint kept/ckpt "${tiny[@]}"
told "enwik8, newlines kept (V 11)"
run train --data dropped-data --checkpoint dropped/ckpt "${tiny[@]}"
told "$reading"
expect "the metrics say it" grep -q '"reading":"enwik8, newlines dropped"' dropped/metrics.jsonl
expect "the manifest says it" grep -q '"reading": "enwik8, newlines dropped"' dropped/manifest.json
accept "$reading" -- eval --checkpoint dropped/ckpt
accept "\"reading\":\"$reading\"" -- eval --checkpoint dropped/ckpt --json
accept "$reading" -- report --text --checkpoint dropped/ckpt
accept "enwik8, newlines dropped" -- inspect dropped/ckpt
accept "newlines dropped, ids falling_count_of_all" -- inspect dropped-data
accept "2 newlines of the prompt dropped, as in the corpus" -- \
  generate --checkpoint dropped/ckpt --length 5 --prompt $'12\n3\n'
expect "what it writes is in one line" [ "$(wc -l <"$work/out")" = 1 ]
run diff kept dropped
expect "exit code 1" [ "$code" = 1 ]
expect "two readings do not compare" grep -qF "enwik8, newlines kept (V 11) and $reading: their" \
  "$work/err"
expect "settings tell it, too" grep -qF 'data.reading: ' "$work/out"
refuse "[checkpoint] expected the vocabulary" -- eval --checkpoint kept/ckpt --data dropped-data

# --- words --------------------------------------------------------------------------------------
for i in {1..300}; do echo "the cat of number $((i % 9)) sat here $i"; done >words
accept -- prepare --format words --input words --out every-word
accept "tokens are <unk> (train " -- prepare --format words --unk 2 --input words --out words-data
accept "was up to date" "tokens are <unk> (train " -- \
  prepare --format words --unk 2 --input words --out words-data
expect "the command is kept" grep -q '"unk": 2' words-data/corpus.json
run train --data every-word --checkpoint every/ckpt "${tiny[@]}" --data-unit ppl
run train --data words-data --checkpoint words-run/ckpt "${tiny[@]}" --data-unit ppl
refuse '"dog", word 2 of the prompt' "or set --unknown to skip" -- \
  generate --checkpoint every/ckpt --prompt 'the dog'
run generate --checkpoint every/ckpt --length 5 --prompt 'the dog' --unknown skip
told "1 unknown word of the prompt left out"
run generate --checkpoint words-run/ckpt --length 5 --prompt 'the dog and cat'
told "2 unknown words of the prompt taken as <unk>"
refuse "got unknown ones alone" -- generate --checkpoint words-run/ckpt --prompt 'dog <unk>'
refuse 'expected --unknown to be refuse or skip; got "drop"' -- generate --checkpoint run/ckpt --prompt 1 --unknown drop
refuse "[prepare] expected --unk with the format words alone; got bytes" -- \
  prepare --unk 2 --input text --out new
refuse "[prepare] expected --unk of at least 1; got 0" -- \
  prepare --unk 0 --format words --input text --out new

# --- text that goes away while it is trained on ---------------------------------------------------
cp -r data cut-data
"$program" train --data cut-data --checkpoint cut/ckpt "${tiny[@]}" --nbatches 20000 --niter 2 \
  >"$work/out" 2>"$work/err" &
pid=$!
for _ in {1..200}; do
  [ -s cut/metrics.jsonl ] && grep -q '"step":3' cut/metrics.jsonl && break
  sleep 0.1
done
truncate -s 4096 cut-data/train.tok
wait "$pid"
code=$?
command_line="adaspan train, its text cut"
expect "an error and no signal" [ "$code" = 2 ]
expect "which names the file" grep -q "train.tok to stay as it was when it was opened" "$work/err"

finish
