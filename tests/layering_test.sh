#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Keeps the floors apart and the sources in order. Rules, each checked in every source file:
#   layering  an include points down: core <- autograd <- ops <- models <- train (all in adaspan/) <-
#             app <- bench, examples, tests
#   spelling  headers of the library name each other as their users do: <adaspan/core/error.h>;
#             only examples/embed, a project of its own, has a core/error.h
#   onednn    oneDNN headers are included by adaspan/ops/onednn.cpp alone
#   library   nothing in adaspan/ prints, starts or ends a process, or reads flags, TOML or the
#             environment: app/ does
#   place     adaspan/ holds the five floors, and no sources but .h and .cpp
#   openmp    no `#pragma omp` but simd: loops go through adaspan/core/parallel.h
#   macro     a header defines no macro
#   licence   the first 5 lines name the licence
# Prints "file:line: [rule] what is wrong" for each violation, and exits 1 if there is one.
# usage: layering_test.sh [folder]     checks the project in the folder (default: this one)
#        layering_test.sh --self-test  plants each violation in a scratch folder and expects the news
set -euo pipefail
self=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/$(basename -- "${BASH_SOURCE[0]}")

# Every file of the project, one per line: what git would track, or what lies there without git.
list_files() {
  if [[ $(git rev-parse --show-toplevel 2>/dev/null) == "$(pwd -P)" ]]; then
    git -c core.quotepath=off ls-files --cached --others --exclude-standard
  else
    find . -name .git -prune -o -name 'build*' -type d -prune -o -type f -print | sed 's|^\./||'
  fi
}

# Scripts need no extension: the first two characters tell.
is_source() {
  case $1 in
    *.h | *.cpp | *.cmake | *.sh | *.py | CMakeLists.txt | */CMakeLists.txt | scripts/*) return 0 ;;
  esac
  local magic=''
  IFS= read -r -d '' -n 2 magic <"$1" || true
  [[ $magic == '#!' ]]
}

check_licences() {
  local file bad=0
  for file in "$@"; do
    head -n 5 -- "$file" | grep -q 'SPDX-License-Identifier: MIT' && continue
    echo "$file:1: [licence] expected 'SPDX-License-Identifier: MIT' in the first 5 lines"
    bad=1
  done
  return $bad
}

# shellcheck disable=SC2016  # the $ are awk's
check_lines='
  function report(rule, text) { print path ":" FNR ": [" rule "] " text; bad = 1 }
  function first(name) { sub("^adaspan/", "", name); sub("/.*", "", name); return name }
  BEGIN {
    floors = split("core autograd ops models train app", name)
    for (i = 1; i <= floors; ++i) level[name[i]] = i
    level["bench"] = level["examples"] = level["tests"] = floors + 1
  }
  FNR == 1 { path = FILENAME; sub("^[.]/", "", path); floor = first(path) }
  /^[ \t]*#[ \t]*include[ \t]*["<]/ {
    target = $0
    sub(/^[^"<]*/, "", target)
    quote = substr(target, 1, 1)
    target = substr(target, 2)
    sub(/[">].*/, "", target)
    if (target ~ /(^|\/)[.][.]?\//)
      report("layering", "expected an include from the root of the project; got " target)
    if (floor in level && first(target) in level && level[first(target)] > level[floor])
      report("layering", floor " may not include from " first(target) ", which is above it; got " \
             target)
    if (path ~ /^adaspan\/.*[.]h$/ && quote == "\"")
      report("spelling", "expected an include as <adaspan/...>, which holds where it is installed; got " target)
    if (target ~ /^(core|autograd|ops|models|train)\// && path !~ /^examples\/embed\//)
      report("spelling", "expected the whole name, adaspan/" target "; got " target)
    if (target ~ /^(oneapi\/|dnnl)/ && path != "adaspan/ops/onednn.cpp")
      report("onednn", "only adaspan/ops/onednn.cpp may include oneDNN; got " target)
    if (target ~ /^(CLI|toml[+][+]|spawn[.]h)/ && path ~ /^adaspan\//)
      report("library", "only the program, app/, reads flags or TOML or starts processes; got " target)
  }
  path ~ /^adaspan\// && (/fmt::v?print/ || /(^|[^a-z_>.])(stdout|stderr|cout|cerr|clog)([^a-z_]|$)/ ||
      /(^|[^a-z_>.])(printf|puts|putchar|perror|popen|system|fork|getenv|exit|abort) *[(]/ ||
      /(^|[^a-z_])(exec[lv]p?e?|posix_spawnp?) *[(]/ || /include *<iostream>/) {
    report("library", "only the program, app/, prints, starts or ends processes: return a value instead")
  }
  FNR == 1 && path ~ /^adaspan\// && !(floor in level) {
    report("place", "expected a file of a floor of adaspan/; got " path)
  }
  (/^[ \t]*#[ \t]*pragma[ \t]+omp/ && !/omp[ \t]+(declare[ \t]+)?simd/ || /_Pragma.*omp/) {
    report("openmp", "loops go through adaspan/core/parallel.h; of OpenMP there is simd alone")
  }
  /^[ \t]*#[ \t]*define/ && path ~ /[.]h$/ && floor != "third_party" {
    report("macro", "headers define no macros: use a constant, a function or a template")
  }
  END { exit bad }'

check_project() {
  cd -- "$1"
  local file bad=0 sources=() code=()
  while IFS= read -r file; do
    [[ -f $file ]] || continue
    case $file in
      adaspan/*.h | adaspan/*.cpp | adaspan/*.cmake | adaspan/*CMakeLists.txt) ;;
      adaspan/*)
        echo "$file:1: [place] expected sources of the library to be .h or .cpp files"
        bad=1
        ;;
    esac
    is_source "$file" || continue
    sources+=("$file")
    [[ $file == *.h || $file == *.cpp ]] && code+=("./$file")
  done < <(list_files)
  if ((${#code[@]} == 0)); then
    echo "[layering] expected a project with sources; got none in $(pwd)"
    exit 1
  fi
  check_licences "${sources[@]}" || bad=1
  awk "$check_lines" "${code[@]}" || bad=1
  ((bad)) || echo "${#sources[@]} files in order"
  exit $bad
}

# plant FILE LINE [RULE]: a file of a licence and this line breaks the rule on line 2, or no rule.
plant() {
  local file=$1 line=$2 rule=${3-} licence='// SPDX-License-Identifier: MIT' output status=0
  [[ $rule == licence ]] && licence='// no licence'
  mkdir -p "$(dirname "$scratch/$file")"
  printf '%s\n%s\n' "$licence" "$line" >"$scratch/$file"
  output=$(bash "$self" "$scratch") || status=$?
  rm "$scratch/$file"
  case $rule in
    '') [[ $status == 0 ]] && return ;;
    licence) [[ $status == 1 && $output == "$file:1: [licence] "* ]] && return ;;
    *) [[ $status == 1 && $output == "$file:2: [$rule] "* ]] && return ;;
  esac
  echo "expected ${rule:-no violation} for '$line' in $file; got status $status and: $output"
  failed=1
}

self_test() {
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  failed=0
  mkdir -p "$scratch/adaspan/core"
  echo '// SPDX-License-Identifier: MIT' >"$scratch/adaspan/core/clean.h"

  plant adaspan/core/a.h '#include <adaspan/autograd/tape.h>' layering
  plant adaspan/core/a.cpp '  #  include "adaspan/train/run/trainer.h"  // why not' layering
  plant adaspan/autograd/a.cpp '#include "adaspan/ops/linear.h"' layering
  plant adaspan/ops/kernels/a.cpp '#include "adaspan/models/span.h"' layering
  plant adaspan/models/a.h '#include <adaspan/train/data/batches.h>' layering
  plant adaspan/train/a.cpp '#include "app/report.h"' layering
  plant adaspan/train/a.cpp '#include "tests/support/gradient_check.h"' layering
  plant app/a.cpp '#include "tests/support/gradient_check.h"' layering
  plant adaspan/core/a.cpp '#include "../ops/linear.h"' layering
  plant adaspan/core/a.cpp '#include "./../ops/linear.h"' layering
  plant adaspan/ops/a.cpp '#include "adaspan/ops/../models/span.h"' layering
  plant adaspan/train/a.cpp '#include "adaspan/core/error.h"'
  plant adaspan/ops/a.cpp '#include "adaspan/ops/linear.h"'
  plant adaspan/core/a.cpp '// an #include "adaspan/ops/linear.h" would point upwards'
  plant app/a.cpp '#include "adaspan/train/run/trainer.h"'
  plant tests/a_test.cpp '#include "adaspan/train/run/trainer.h"'
  plant tests/a_test.cpp '#include "app/report.h"'
  plant bench/a.cpp '#include "tests/support/gradient_check.h"'
  plant adaspan/core/a.h '#include "adaspan/core/error.h"' spelling
  plant adaspan/core/a.h '#include <adaspan/core/error.h>'
  plant app/a.cpp '#include "core/error.h"' spelling
  plant examples/a.cpp '#include <core/error.h>' spelling
  plant examples/embed/a.cpp '#include "core/error.h"'
  plant adaspan/ops/a.cpp '#include <oneapi/dnnl/dnnl.hpp>' onednn
  plant tests/a_test.cpp '#include "dnnl.h"' onednn
  plant adaspan/ops/gemm.h '#include <dnnl.hpp>' onednn
  plant adaspan/ops/onednn.cpp '#include <dnnl.hpp>'
  plant adaspan/train/a.cpp '  fmt::print("{}\n", line);' library
  plant adaspan/core/a.cpp 'std::cerr << line;' library
  plant adaspan/core/a.h '  printf("%d", n);' library
  plant adaspan/train/a.cpp '  std::FILE* pipe = ::popen(line, "r");' library
  plant adaspan/ops/a.cpp '#include <iostream>' library
  plant adaspan/ops/a.cpp 'std::fwrite(text, 1, n, stdout);' library
  plant adaspan/ops/a.cpp 'if (::fork() == 0) run();' library
  plant adaspan/ops/a.cpp '::execvp(words[0], words);' library
  plant adaspan/core/a.cpp 'const char* threads = std::getenv("THREADS");' library
  plant adaspan/core/a.cpp 'std::exit(1);' library
  plant app/a.cpp 'std::fwrite(text, 1, n, stdout);'
  plant adaspan/train/a.cpp '#include <CLI/CLI.hpp>' library
  plant adaspan/train/a.cpp '#include <toml++/toml.h>' library
  plant adaspan/core/a.cpp '  std::snprintf(text, size, "%d", n);'
  plant app/a.cpp '  fmt::print("{}\n", line);'
  plant adaspan/ops/a.cpp '#pragma omp parallel for' openmp
  plant adaspan/ops/a.cpp '  # pragma  omp critical' openmp
  plant adaspan/ops/a.cpp '#pragma omp parallel for simd' openmp
  plant adaspan/core/a.h '_Pragma("omp parallel")' openmp
  plant adaspan/ops/a.cpp '#pragma omp simd reduction(+ : sum)'
  plant adaspan/ops/a.cpp '#pragma omp declare simd'
  plant adaspan/core/parallel.h '#pragma omp parallel' openmp
  plant adaspan/core/parallel.cpp '#pragma omp parallel for' openmp
  plant adaspan/ops/a.h '#define SQUARE(x) ((x) * (x))' macro
  plant tests/support/a.h '  # define CHECK_IT' macro
  plant tests/support/main.cpp '#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN'
  for file in adaspan/core/a.h adaspan/core/a.cpp CMakeLists.txt adaspan/ops/CMakeLists.txt \
    cmake/a.cmake a.sh bench/a.py scripts/a; do
    plant $file '' licence
  done
  plant docs/text.md 'no source'
  for file in adaspan/other/a.cpp adaspan/ops/a.hpp; do
    mkdir -p "$scratch/adaspan/other" "$scratch/adaspan/ops"
    echo '// SPDX-License-Identifier: MIT' >"$scratch/$file"
    if [[ $(bash "$self" "$scratch") != "$file:1: [place] "* ]]; then
      echo "expected a violation for $file; got none"
      failed=1
    fi
    rm "$scratch/$file"
  done
  printf '#!/bin/sh\n' >"$scratch/run"
  if bash "$self" "$scratch" >/dev/null; then
    echo "expected a violation for a script without a licence or an extension; got none"
    failed=1
  fi
  rm "$scratch/run"
  for ((i = 0; i < 5; ++i)); do echo '//'; done >"$scratch/adaspan/core/clean.h"
  echo '// SPDX-License-Identifier: MIT' >>"$scratch/adaspan/core/clean.h"
  if bash "$self" "$scratch" >/dev/null; then
    echo "expected a violation for a licence on line 6; got none"
    failed=1
  fi
  rm "$scratch/adaspan/core/clean.h"
  if bash "$self" "$scratch" >/dev/null; then
    echo "expected a failure for a folder without sources; got none"
    failed=1
  fi
  exit $failed
}

case ${1-} in
  --self-test) self_test ;;
  *) check_project "${1-$(dirname -- "$self")/..}" ;;
esac
