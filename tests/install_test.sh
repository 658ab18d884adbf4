#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Without root (docs/install.md), as a user without rights: the quickstart says in one line what is
# missing, and with the packages unpacked into a folder the sources configure, compile and run. The
# system's packages count as not installed, but for the compiler's. Exit code 77, and a line, where
# there is no apt or nothing can be downloaded.
set -euo pipefail
source=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
skip() { echo "skipped: $1"; exit 77; }
fail() { echo "FAILED: $1"; exit 1; }
for program in apt-get dpkg setpriv g++; do
  command -v "$program" >/dev/null || skip "there is no $program"
done
work=$(readlink -f -- "$(mktemp -d)")
trap 'rm -rf "$work"' EXIT

mkdir "$work/tree" "$work/dpkg"
tar -C "$source" -c --exclude='./build*' --exclude=./.git --exclude=./data --exclude=./runs . |
  tar -C "$work/tree" -x
mapfile -t needed < <("$source/scripts/install-dependencies" --list | grep -vx 'g++')
# Without them, and without what depends on them, whose status would be broken.
awk -v hidden=" ${needed[*]} dict-gcide " 'BEGIN { RS = ""; FS = "\n" }
  {
    name[NR] = $1
    sub(/^Package: /, "", name[NR])
    entry[NR] = $0
    for (i = 1; i <= NF; ++i) {
      if ($i !~ /^(Pre-)?Depends: /) continue
      gsub(/\([^)]*\)|:any|[,|]/, " ", $i)
      depends[NR] = depends[NR] " " $i
    }
  }
  function hide(n,    words, i) {
    split(depends[n], words, " ")
    for (i in words) if (index(hidden, " " words[i] " ")) return 1
    return 0
  }
  END {
    do {
      more = 0
      for (n = 1; n <= NR; ++n) {
        if (index(hidden, " " name[n] " ") || !hide(n)) continue
        hidden = hidden name[n] " "
        more = 1
      }
    } while (more)
    for (n = 1; n <= NR; ++n) {
      if (!index(hidden, " " name[n] " ")) print entry[n] "\n"
    }
  }' /var/lib/dpkg/status >"$work/dpkg/status"
echo "Dir::State::status \"$work/dpkg/status\";" >"$work/apt.conf"

user=()
if ((EUID == 0)); then
  user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  chown -R 65534:65534 "$work"
fi
# as_user COMMANDS: in the copy of the sources
as_user() {
  (cd "$work/tree" && "${user[@]}" env -i PATH=/usr/bin:/bin HOME="$work" TMPDIR="$work" \
    DPKG_ADMINDIR="$work/dpkg" APT_CONFIG="$work/apt.conf" bash -euc "$1")
}
as_user 'cd .. && apt-get -qq download doctest-dev' >/dev/null 2>&1 ||
  skip 'nothing can be downloaded'

code=0
as_user './quickstart --steps 1' >"$work/said" 2>&1 || code=$?
if ((code != 2)) || [[ $(wc -l <"$work/said") -ne 1 ]] ||
  ! grep 'docs/install.md' "$work/said" | grep -q 'libdnnl-dev'; then
  fail "expected exit code 2 and one line; got $code and: $(cat "$work/said")"
fi

as_user 'scripts/install-dependencies --into ../packages dict-gcide'
[[ -f $work/packages/usr/share/dictd/gcide.dict.dz ]] || fail 'expected the dictionary unpacked'
as_user '. ../packages/environment
  scripts/install-dependencies dict-gcide  # now nothing is missing
  cmake --preset release >log && cmake --build build --target sha256_test >log || { cat log; exit 1; }
  build/tests/sha256_test --minimal'
# All that was unpacked is found there, though the system has it, too.
found=$(grep -cE "^[A-Za-z0-9_]*(_DIR|LIBRARY|PROGRAM)[A-Z_]*:[A-Z]*=$work/packages/" \
  "$work/tree/build/CMakeCache.txt")
if grep -E '(_DIR|LIBRARY):[A-Z]*=/usr/' "$work/tree/build/CMakeCache.txt" | grep -v '^OpenMP_' ||
  ((found < 7)); then
  fail "expected all packages found in the folder; got $found, and those above elsewhere"
fi
echo 'all cases hold'
