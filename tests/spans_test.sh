#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `spans` as its users see it, with a model of each kind of span. Exit code 0 when all cases hold.
#   spans_test.sh PROGRAM
program=$(readlink -f -- "$1")
source "$(cd "$(dirname "$0")" && pwd)/support/cases.sh"

for i in $(seq 200); do echo "a cat sat on a mat, an owl flew to café $((i % 10))"; done >text
accept -- prepare --format enwik8 --input text --out data
shape=(--nlayers 1 --hid-sz 16 --inner-hid-sz 32 --nheads 2 --attn-span 32 --batch-sz 4 --block-sz 16
  --nbatches 3 --niter 1 --threads 1)
accept -- train --data data --checkpoint run/c "${tiny[@]}"

# --- what is shown -------------------------------------------------------------------------------
told=("Mean z of each head, in steps (at most 32; * the one below)"
  "Where layer 0, head 1 looks (share of its weight, by distance)" "before the text"
  "What its last characters attend to most")
accept "${told[@]}" -- spans run --text "a cat sat on a mat" --head 1
expect "no line is longer than 80 columns" \
  [ "$(LC_ALL=C.UTF-8 grep -cE '.{81}' "$work/out")" = 0 ]
cp "$work/out" shown
printf 'a cat sat on a mat' >file
accept "${told[@]}" -- spans --checkpoint run/c --file file --head 1
expect "a file's text is the same" cmp -s shown "$work/out"
command_line="adaspan spans --file -"
"$program" spans run --file - --head 1 <file >"$work/out" 2>"$work/err"
expect "so is that of standard input" cmp -s shown "$work/out"
expect "spans that are the same for all are not drawn" [ "$(grep -c "How far back" shown)" = 0 ]

accept -- spans run --text "a cat sat" --json --quiet
expect "an object for each token, and one" [ "$(wc -l <"$work/out")" = 10 ]
for key in '"token":8,"text":"t"' '"weights_by_distance":' '"before_start":' '"span_kind":"adaptive"'; do
  expect "$key is there" grep -q -F "$key" "$work/out"
done

accept -- train --data data --checkpoint dynamic/c "${shape[@]}" --dynamic-span --adapt-span-ramp 4
accept "How far back all heads look, on average, at each character" \
  "     0 a cat sat on a mat" -- spans dynamic --text "a cat sat on a mat"
head -c 2500 text >long-text
accept "and 1,002 more; --html and --json have all" -- \
  spans dynamic --file long-text
expect "no line is longer than 80 columns" \
  [ "$(LC_ALL=C.UTF-8 grep -cE '.{81}' "$work/out")" = 0 ]
accept '"mean_span":' '"spans_by_layer":[' '"spans":[[' -- spans dynamic --text "a cat" --json
accept -- train --data data --checkpoint fixed/c "${shape[@]}"
accept '"span_kind":"fixed"' '"mean_spans":[[32.0,32.0]]' -- spans fixed --text "a cat" --json

# --- words ----------------------------------------------------------------------------------------
for i in $(seq 300); do echo "a cat sat on a mat, anotherlongwordthatneedstobecutsomewhere flew $((i % 10))"; done >words
accept -- prepare --format words --input words --out words-data
accept -- train --data words-data --checkpoint words-run/c "${shape[@]}" --dynamic-span --adapt-span-ramp 4
head -n 3 words >some-words
accept "at each word" "anotherlongw…" "What its last words attend to most" -- \
  spans words-run --file some-words
expect "no line is longer than 80 columns" \
  [ "$(LC_ALL=C.UTF-8 grep -cE '.{81}' "$work/out")" = 0 ]

# --- files ----------------------------------------------------------------------------------------
accept "written: pages/page.html" "written: charts/heads-over-text.svg" "Where layer 0" -- \
  spans dynamic --text "a cat" --html pages/page.html --svg charts
expect "a page" grep -q "</html>" pages/page.html
expect "five charts" [ "$(find charts -name '*.svg' | wc -l)" = 5 ]
accept -- spans fixed --text "a cat" --svg charts-of-fixed
expect "two of spans that are the same for all" [ "$(find charts-of-fixed -name '*.svg' | wc -l)" = 2 ]
refuse "[file] expected to make the folder text" -- spans dynamic/c --text "a cat" --svg text --quiet

# --- unknown characters ---------------------------------------------------------------------------
refuse '[prompt] expected text made of the' 'got "Q" (U+0051), character 3' \
  "set --unknown to skip" -- spans run/c --text "a Q"
accept "of the text 1 unknown tokens left out" -- spans run/c --text "a Q" --unknown skip
printf 'a\xff' >no-utf8
refuse 'got the byte \xff, character 2' -- spans run/c --file no-utf8
accept "of the text 1 unknown" -- spans run/c --file no-utf8 --unknown skip

# --- what is refused ------------------------------------------------------------------------------
refuse "[spans] expected --text or --file; got neither" -- spans run
refuse "[spans] expected --text or --file; got both" -- spans run/c --text a --file file
refuse "[spans] expected a text; got an empty one" -- spans run/c --text ""
: >empty
refuse "[spans] expected a text; got an empty one" -- spans run/c --file empty
refuse "[file] expected a readable file at nowhere" -- spans run/c --file nowhere
refuse "[prompt] expected a prompt" "unknown ones alone" -- spans run/c --text Q --unknown skip
refuse "[spans] expected --layer of the model's 1, 0 to 0; got 1" -- spans run/c --text a --layer 1
refuse "[spans] expected --head of the layer's 2, 0 to 1; got -1" -- spans run/c --text a --head -1
refuse '[settings] expected --head to be a whole number; got "x"' -- spans run/c --text a --head x
refuse "[spans] expected one checkpoint; got run/c and dynamic" -- \
  spans run/c --checkpoint dynamic --text a
for _ in $(seq 12); do cat text; done | head -c 100001 >long
refuse "[spans] expected a text of at most 100,000 tokens; got 100,001" -- spans run/c --file long
refuse "[file] expected a readable file at nowhere" -- spans nowhere --text a

finish
