#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/get-data against a curl and an unzip that only act as if. Exit code 0 when all cases hold.
set -uo pipefail

script=$(cd "$(dirname "$0")/.." && pwd)/scripts/get-data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

# --- the stand-ins ------------------------------------------------------------------------------
# curl -C - -o FILE: FILE grows to $CURL_BYTES, then exit code $CURL_EXIT. Each call is logged with
# the size that FILE had.
mkdir bin
cat >bin/curl <<'END'
#!/usr/bin/env bash
resume=no
for url; do :; done
while [ $# -gt 1 ]; do
  case $1 in
    -o) out=$2 ;;
    -C) resume=yes ;;
  esac
  shift
done
had=0
[ -f "$out" ] && had=$(wc -c <"$out")
echo "resume=$resume had=$had $url" >>"$LOG"
[ "$CURL_BYTES" = none ] || truncate -s "$CURL_BYTES" "$out"
exit "$CURL_EXIT"
END
# unzip -t: exit code $TEST_EXIT. unzip -d DIR: the texts of $UNZIP_AS, exit code $UNZIP_EXIT.
cat >bin/unzip <<'END'
#!/usr/bin/env bash
case $1 in -t*) exit "$TEST_EXIT" ;; esac
for dir; do :; done
case $UNZIP_AS in
  text) mkdir -p "$dir" && truncate -s 100000000 "$dir/enwik8" "$dir/text8" ;;
  short) mkdir -p "$dir" && truncate -s 99999999 "$dir/enwik8" ;;
  wikitext)
    mkdir -p "$dir/wikitext-103" && cd "$dir/wikitext-103" || exit 9
    yes 'a b' | head -n 1801350 >wiki.train.tokens
    yes 'a b' | head -n 3760 >wiki.valid.tokens
    yes 'a b' | head -n "${TEST_LINES:-4358}" >wiki.test.tokens
    ;;
esac
exit "$UNZIP_EXIT"
END
chmod +x bin/curl bin/unzip

# --- how a case is written ----------------------------------------------------------------------
begin() {
  case_name=$1
  rm -rf data log
  export LOG=$work/log CURL_BYTES=36445475 CURL_EXIT=0 UNZIP_AS=text UNZIP_EXIT=0 TEST_EXIT=0
  unset TEST_LINES
}

run() {
  out=$(PATH="${path:-$work/bin:$PATH}" "$BASH" "$script" "$@" 2>err)
  code=$?
  err=$(cat err)
}

check() {
  if ! "$@"; then
    echo "FAILED: $case_name: $*"
    printf '  exit code %s\n  stdout: %s\n  stderr: %s\n' "$code" "$out" "$err"
    failures=$((failures + 1))
  fi
}

# The run failed with one line that has all of the given texts in it.
refused_with() {
  [ "$code" -eq 2 ] && [ "$(wc -l <err)" -eq 1 ] || return 1
  case $err in '[get-data] expected '*) ;; *) return 1 ;; esac
  local text
  for text; do
    case $err in *"$text"*) ;; *) return 1 ;; esac
  done
}

succeeded_with() {
  [ "$code" -eq 0 ] && [ -z "$err" ] && [ "$(tail -n 1 <<<"$out")" = "$1" ]
}

size_is() {
  [ -f "$1" ] && [ "$(wc -c <"$1")" -eq "$2" ]
}

gone() {
  local file
  for file; do [ ! -e "$file" ] || return 1; done
}

no_leftovers() {
  gone data/.unpacking data/enwik8.zip data/enwik8.zip.part
}

calls_were() {
  [ "$(cat "$LOG" 2>/dev/null)" = "$1" ]
}

enwik8=http://mattmahoney.net/dc/enwik8.zip
next_enwik8='build/adaspan prepare --format enwik8 --input data/enwik8 --out data/enwik8-corpus'

# --- what goes well -----------------------------------------------------------------------------
begin "enwik8 is downloaded, unpacked, and the next command printed"
run enwik8
check succeeded_with "$next_enwik8"
check size_is data/enwik8 100000000
check calls_were "resume=yes had=0 $enwik8"
check no_leftovers

begin "a text that is there is not downloaded again"
run enwik8
run enwik8
check succeeded_with "$next_enwik8"
check calls_were "resume=yes had=0 $enwik8"

begin "a text that is there needs neither curl nor unzip"
mkdir -p data no-tools
truncate -s 100000000 data/enwik8
for tool in basename dirname wc tr; do ln -sf "$(command -v $tool)" no-tools/; done
path=$work/no-tools
run enwik8
unset path
check succeeded_with "$next_enwik8"

begin "text8 goes to the folder that is given, a name with a space is quoted"
CURL_BYTES=31344016
run text8 "data/my texts"
check succeeded_with \
  'build/adaspan prepare --format text8 --input data/my\ texts/text8 --out data/my\ texts/text8-corpus'
check size_is "data/my texts/text8" 100000000

begin "wikitext-103 is checked by its lines"
UNZIP_AS=wikitext
run wikitext-103
dir=data/wikitext-103
check succeeded_with "build/adaspan prepare --format words --order falling_count \
--input $dir/wiki.train.tokens --valid $dir/wiki.valid.tokens --test $dir/wiki.test.tokens \
--out data/wikitext-103-corpus"
check gone data/wikitext-103-v1.zip data/wikitext-103-v1.zip.part

begin "an interrupted download is kept and goes on where it stopped"
CURL_BYTES=20000000 CURL_EXIT=18
run enwik8
check refused_with "got 20000000 bytes before it broke off (curl exit code 18); run again"
check size_is data/enwik8.zip.part 20000000
check gone data/enwik8.zip data/enwik8
CURL_BYTES=36445475 CURL_EXIT=0
run enwik8
check succeeded_with "$next_enwik8"
check calls_were "resume=yes had=0 $enwik8
resume=yes had=20000000 $enwik8"
check no_leftovers

begin "an archive that is there, or all of its download, is not downloaded again"
mkdir data
truncate -s 36445475 data/enwik8.zip
run enwik8
check succeeded_with "$next_enwik8"
rm data/enwik8
truncate -s 36445475 data/enwik8.zip.part
run enwik8
check succeeded_with "$next_enwik8"
check gone log

# --- what does not ------------------------------------------------------------------------------
begin "an unknown name is refused"
run enwik9
check refused_with 'expected enwik8, text8 or wikitext-103; got "enwik9"'
run
check refused_with 'got ""'
check gone data log

begin "too many arguments are refused"
run enwik8 data more
check refused_with "expected a name and a folder; got 3 words"

for missing in curl unzip; do
  begin "a machine without $missing is told to install it"
  rm -rf no-tools && mkdir no-tools
  for tool in basename dirname wc tr mkdir mv rm head; do
    ln -s "$(command -v $tool)" no-tools/
  done
  [ "$missing" = curl ] || ln -s "$work/bin/curl" no-tools/
  path=$work/no-tools
  run enwik8
  unset path
  check refused_with "expected $missing on this machine" "apt install $missing"
done

for exit_code in 6 7; do
  begin "no network is named as such (curl exit code $exit_code)"
  CURL_BYTES=none CURL_EXIT=$exit_code
  run enwik8
  check refused_with "got no connection (curl exit code $exit_code)" "check the network"
  check no_leftovers
done

begin "a server that refuses is named as such"
CURL_BYTES=none CURL_EXIT=22
run enwik8
check refused_with "the server refuses (curl exit code 22)" \
  "put the file at data/enwik8.zip by hand"

begin "a server that cannot resume leaves the choice to start anew"
mkdir data
truncate -s 1000 data/enwik8.zip.part
CURL_BYTES=none CURL_EXIT=33
run enwik8
check refused_with "go on after 1000 bytes" "remove data/enwik8.zip.part to start anew"
check size_is data/enwik8.zip.part 1000

begin "a full disk is named as such"
CURL_BYTES=1000 CURL_EXIT=23
run enwik8
check refused_with "got a full disk or no permission"

begin "an archive of the wrong size is removed"
CURL_BYTES=36445474
run enwik8
check refused_with "expected 36445475 bytes from $enwik8; got another 36445474 bytes"
check no_leftovers
check gone data/enwik8

begin "an archive of unknown size that fails its checksums is removed"
TEST_EXIT=3
run wikitext-103
check refused_with "expected a whole archive from https://wikitext.smerity.com/wikitext-103-v1.zip"
check gone data/wikitext-103-v1.zip data/wikitext-103-v1.zip.part data/wikitext-103

begin "an archive that does not unpack is removed"
UNZIP_EXIT=2
run enwik8
check refused_with "got a damaged one (unzip exit code 2)" "run again to download it anew"
check no_leftovers
check gone data/enwik8

begin "a text of the wrong size is removed"
UNZIP_AS=short
run enwik8
check refused_with "expected enwik8 of 100000000 bytes; got 99999999"
check no_leftovers
check gone data/enwik8

begin "a text of the wrong number of lines is removed"
export UNZIP_AS=wikitext TEST_LINES=4357
run wikitext-103
check refused_with "expected wikitext-103/wiki.test.tokens of 4358 lines; got 4357"
check gone data/wikitext-103 data/wikitext-103-v1.zip data/.unpacking

begin "a disk that fills up while unpacking keeps the archive"
UNZIP_EXIT=50
run enwik8
check refused_with "the disk is full"
check size_is data/enwik8.zip 36445475
check gone data/enwik8 data/.unpacking

begin "a folder that cannot be made is refused"
touch data
run enwik8 data/texts
check refused_with "expected to make the folder data/texts"

[ "$failures" -eq 0 ] || {
  echo "$failures checks failed"
  exit 1
}
echo "all checks of get-data hold"
