#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The manual has a page for each command, and no fault that mandoc sees; bash completes command lines
# with what the program has. Exit code 0 when all cases hold.
#   manual_test.sh PROGRAM
program=$(readlink -f -- "$1")
source "$(cd "$(dirname "$0")" && pwd)/support/cases.sh"

# --- the manual ---------------------------------------------------------------------------------
accept -- man --out pages
expect "a page for each command" [ "$(find pages -name '*.1' | wc -l)" = 24 ]
accept ".TH ADASPAN\\-BENCH\\-STEP 1" "\\fB\\-\\-profile\\fR" -- man bench step
expect "it is the one written" cmp -s "$work/out" pages/adaspan-bench-step.1
refuse "expected the name of a command" -- man bench stpe
accept "EXIT STATUS" -- man
for page in pages/*.1; do
  command_line=$page
  command=$(basename "$page" .1)
  command=${command#adaspan}
  # shellcheck disable=SC2086
  "$program" ${command//-/ } --help >"$work/out" 2>&1
  for flag in $(grep -oE '^  --[a-z-]+' "$work/out"); do
    expect "$flag is in the manual, too" grep -qF -e "\\fB${flag//-/\\-}\\fR" "$page"
  done
done
if command -v mandoc >/dev/null; then
  command_line="mandoc -T lint"
  mandoc -T lint -W warning pages/*.1 >"$work/out" 2>"$work/err"
  code=$?
  expect "mandoc finds no fault" [ $code = 0 ]
  mandoc -T utf8 pages/adaspan-train.1 | sed 's/.\x08//g' >"$work/out"
  expect "a reader sees the flags" grep -q -e '--nlayers INTEGER' "$work/out"
else
  echo "skipped: mandoc is not there to look at the manual (Debian, Ubuntu: package mandoc)"
fi

# --- completion ---------------------------------------------------------------------------------
accept "complete -F _adaspan adaspan" -- completion bash
cp "$work/out" completion
accept -- completion bash --out written/completion
expect "the same is written" cmp -s completion written/completion
refuse 'expected bash; got "fish"' -- completion fish
command_line="bash -n completion"
expect "bash can read it" bash -n completion
source ./completion

mkdir folder
touch "a file.toml"
# completes WORD... :: EXPECTED...: what the last word can be
completes() {
  COMP_WORDS=("$program")
  while [ "$1" != :: ]; do
    COMP_WORDS+=("$1")
    shift
  done
  shift
  command_line="completion of: ${COMP_WORDS[*]:1}"
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
  _adaspan
  printf '%s\n' "${COMPREPLY[@]}" | sort >"$work/out"
  printf '%s\n' "$@" | sort >"$work/err"
  code=none
  cmp -s "$work/out" "$work/err" || failed "expected: $*"
}
completes tr :: train
completes bench st :: step
completes bench '' :: attention checkpoint gemm generate step
completes train --nl :: --nlayers
completes train --adapt-span-c :: --adapt-span-cache
completes train --preset enw :: enwik8 enwik8_large enwik8_pers enwik8_pers_small enwik8_small
completes train --optim a :: adagrad adam
completes train --optim = a :: adagrad adam
completes train --lr 1 --optim s :: sgd
completes eval --part '' :: test train valid
completes eval --protocol r :: reference
completes score --ind :: --independent
completes score f :: folder
completes spans --la :: --layer
completes spans --unknown s :: skip
completes spans f :: folder
completes prepare --format w :: words
completes bench step --spans t :: trained
completes train --config a :: "a file.toml"
completes train --data f :: folder
completes inspect f :: folder
completes train --lr 0 :: ''

completes train --checkpoint eval --op :: --optim

finish
