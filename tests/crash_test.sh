#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Kills a training with SIGKILL at random moments, a third of them while it saves, starts it
# again each time, and compares what it ends with to a run that nobody disturbed: every checkpoint
# to the byte, every line of metrics.
#   crash_test.sh PROGRAM [KILLS [SEED]]     30 kills, with ADASPAN_LONG_TESTS=1 300
set -euo pipefail

program=$1
kills_wanted=${2:-$([ "${ADASPAN_LONG_TESTS:-}" = 1 ] && echo 300 || echo 30)}
RANDOM=${3:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMP_NUM_THREADS=1

fail() {
  echo "FAILED: $1"
  exit 1
}

# Weights large enough for half of the time to go into saving them
settings=(--nlayers 2 --hid-sz 64 --pers-mem-size 256 --nheads 2 --attn-span 32 --dynamic-span
  --adapt-span-ramp 8 --dropout 0.2 --optim adam --lr 0.003 --batch-sz 2 --batch-split 2
  --block-sz 8 --nbatches 2 --niter 64 --stages 30,20r@0.5,58@0.1 --log-steps 1 --threads 1
  --keep-last 3 --lr-schedule cosine --lr-min-factor 0.1 --lr-warmup 10 --ema 0.95 --patience 1000
  --on-divergence skip --divergence-factor 1.02 --max-skips 1000)
awk 'BEGIN { for (i = 0; i < 700; ++i) printf "%d %s\n", i * i % 97, i % 3 ? "span" : "head" }' >text
"$program" prepare --format bytes --input text --out data >/dev/null
mkdir whole broken

start() { # folder: trains there, until it is done
  cd "$work/$1"
  exec "$program" train --data ../data --checkpoint run/checkpoint.safetensors "${settings[@]}" \
    >"$work/$1.log" 2>&1
}

(start whole) || fail "the undisturbed run: $(tail -n 1 whole.log)"

# What is left of a run, without the speed
remains() {
  (
    cd "$1/run"
    sha256sum -- *.safetensors
    sed 's/,"clock":{[^}]*}//' metrics.jsonl
    cat manifest.json
    ls
  )
}
remains whole >expected
grep -q '"skipped":true' whole/run/metrics.jsonl || fail "no step of the undisturbed run was skipped"

pause() { sleep "0.$(printf '%03d' $((RANDOM % $1)))"; }

until_writing() { # returns while a checkpoint is being written, or when the run has ended
  until [ broken/run/checkpoint.safetensors.tmp -nt started ] ||
    [ broken/run/best.safetensors.tmp -nt started ]; do
    kill -0 "$pid" 2>/dev/null || return 0
  done
}

moment() { # returns when the run is to be killed: while it starts, trains or saves
  case $((RANDOM % 3)) in
    0) pause 250 ;;
    1) until_writing && pause 100 ;;
    2) until_writing && pause 100 && until_writing ;;
  esac
}

inspect() { # best or checkpoint: that one must be whole
  "$program" inspect "broken/run/$1.safetensors" >"$1.inspected" 2>&1 ||
    fail "kill $kills left a damaged $1: $(cat "$1.inspected")"
}

best_loss() { # of the validations up to it
  sed -n 's/^best validation \([0-9.]*\) .*/\1/p' "$1.inspected"
}

kills=0 saves=0 runs=0 had_checkpoint=0
while ((kills < kills_wanted)); do
  touch started
  (start broken) &
  pid=$!
  moment
  if kill -9 $pid 2>/dev/null; then
    wait $pid 2>/dev/null || true
    kills=$((kills + 1))
    if [ -n "$(find broken -name '*.tmp' -newer started)" ]; then saves=$((saves + 1)); fi
    if [ -e broken/run/best.safetensors ]; then inspect best; fi
    if [ -e broken/run/checkpoint.safetensors ]; then
      had_checkpoint=1
      inspect checkpoint
      awk -v best="$(best_loss best)" -v known="$(best_loss checkpoint)" \
        'BEGIN { exit !(best <= known) }' || fail "kill $kills lost the best checkpoint"
    elif ((had_checkpoint)); then
      fail "kill $kills lost the checkpoint"
    fi
    continue
  fi
  wait $pid || fail "a run that was started again: $(tail -n 1 broken.log)"
  remains broken >found
  diff expected found >differences || fail "after $kills kills: $(head -n 5 differences)"
  rm -rf broken/run
  runs=$((runs + 1)) had_checkpoint=0
done
(start broken) || fail "the last run: $(tail -n 1 broken.log)"
remains broken >found
diff expected found >differences || fail "after $kills kills: $(head -n 5 differences)"
echo "$kills kills, $saves of them while a file was being written; $((runs + 1)) runs ended as if undisturbed"
