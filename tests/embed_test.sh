#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs of others build on the library: examples/embed, copied out of the tree, is built and run.
# Exit code 0 when all went well.
#   embed_test.sh installed BUILD COMPILER   installs a finished build, moves it, and builds with that
#   embed_test.sh part COMPILER              builds the library as a part of the example, static and
#                                            shared; the shared one is then installed and used, too
set -euo pipefail
source=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
work=$(readlink -f -- "$(mktemp -d)")
trap 'rm -rf "$work"' EXIT
cp -r "$source/examples/embed" "$work/embed"

# build_and_run NAME [CMake argument]...: the example, in $work/NAME.
build_and_run() {
  echo "== $*"
  cmake -S "$work/embed" -B "$work/$1" -G Ninja --log-level=NOTICE -DCMAKE_CXX_COMPILER="$compiler" \
    "${@:2}"
  cmake --build "$work/$1" >"$work/log" || { cat "$work/log"; exit 1; }
  "$work/$1/embed"
}

# has_presets PROGRAM: from where it is now, it finds them, and names them to who misspells one.
has_presets() {
  local output
  output=$("$1" train --preset none 2>&1) && return 1
  [[ $output == *'there are: demo, demo_dynamic'* ]] && return
  echo "expected $1 to name the presets; got: $output"
  exit 1
}

# names_script PROGRAM SCRIPT: that is the one it runs, and it is there.
names_script() {
  local output
  output=$("$1" import --from-pytorch a --out "$work/b" --python false 2>&1) && return 1
  [[ $output == *"expected false to run $2;"* && -f $2 ]] && return
  echo "expected $1 to run $2; got: $output"
  exit 1
}

test_installed() {
  local build=$1 moved from_build
  cmake --install "$build" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
  mkdir "$work/elsewhere"
  mv "$work/prefix" "$work/elsewhere/moved"
  moved=$work/elsewhere/moved
  has_presets "$moved/bin/adaspan"
  names_script "$moved/bin/adaspan" "$moved/share/adaspan/tools/pytorch_checkpoint.py"
  [[ -f $moved/share/man/man1/adaspan-train.1 ]]  # the manual, and what bash completes with
  bash -n "$moved/share/bash-completion/completions/adaspan"
  build_and_run installed -DCMAKE_PREFIX_PATH="$moved"
  # Whatever header is installed finds those that it names.
  (cd "$moved/include" && find adaspan -name '*.h' -printf '#include <%p>\n') >"$work/all.cpp"
  "$compiler" -std=c++20 -fsyntax-only -I"$moved/include" "$work/all.cpp"

  # A build folder moves together with the sources that it was made from.
  from_build=$(realpath --relative-to="$build" "$source")
  mkdir -p "$work/1/2/3/4/5/6/build"
  cp "$build/adaspan" "$work/1/2/3/4/5/6/build"
  mkdir -p "$work/1/2/3/4/5/6/build/$from_build"
  cp -r "$source/presets" "$work/1/2/3/4/5/6/build/$from_build"
  has_presets "$work/1/2/3/4/5/6/build/adaspan"
}

test_part() {
  build_and_run static -DADASPAN_SOURCE="$source" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
  # How the library is compiled is its own affair, and what it is tested with.
  if grep 'embed\.cpp' "$work/static/compile_commands.json" | grep -E -- '-(O|W|fopenmp|D.*NDEBUG)' ||
    grep -E '^(doctest|CLI11)_DIR' "$work/static/CMakeCache.txt"; then
    echo 'expected a program of others to be left alone; got the lines above'
    exit 1
  fi
  build_and_run shared -DADASPAN_SOURCE="$source" -DBUILD_SHARED_LIBS=ON -DADASPAN_INSTALL=ON \
    -DCMAKE_BUILD_TYPE=Release
  cmake --install "$work/shared" --prefix "$work/prefix" >/dev/null
  rm -r "$work/shared"
  build_and_run installed-shared -DCMAKE_PREFIX_PATH="$work/prefix"
}

case $1 in
  installed)
    compiler=$3
    test_installed "$(readlink -f -- "$2")"
    ;;
  part)
    compiler=$2
    test_part
    ;;
esac
