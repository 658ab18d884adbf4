#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the PyTorch twin trained goes on here with the same losses, and the other way round.
#   interchange_test.sh PROGRAM [PYTHON]     exit status 77: this PYTHON has no PyTorch, nothing was
#                                            tested
source "$(dirname "${BASH_SOURCE[0]}")/support/twin.sh"
cd "$work"

# Two columns of numbers that agree to 1e-5
agree() {
  paste "$1" "$2" | awk '
    NF != 2 || ($1 - $2) ^ 2 > (1e-5 * $1) ^ 2 { bad = 1 }
    END { exit bad || NR == 0 }'
}

evaluated() {
  "$program" eval --checkpoint "$1" --data corpus --part test --protocol reference --json --quiet "${@:2}" |
    sed 's/.*"loss":\([0-9.]*\).*/\1/'
}

refused() { # text command...
  local text=$1 code=0
  shift
  "$@" >out 2>err || code=$?
  if [ "$code" != 2 ] || [ "$(wc -l <err)" != 1 ] || ! grep -qF -- "$text" err; then
    fail "expected exit code 2 and one line with '$text'; got $code from $*"
    head -n 3 err
  fi
}

# A text with something to learn in it
awk 'BEGIN {
  seed = 7
  for (i = 0; i < 3000; ++i) {
    seed = (seed * 16807) % 2147483647
    printf "%s ", substr("spanheadmask", seed % 9 + 1, 4)
    if (i % 12 == 11) printf "\n"
  }
}' >text
"$program" prepare --format bytes --order falling_count --input text --out corpus >/dev/null

sizes=(--nlayers 2 --hid-sz 16 --inner-hid-sz 32 --nheads 2 --attn-span 24 --adapt-span-ramp 8
  --batch-sz 4 --block-sz 16 --dropout 0 --nbatches 5 --seed 3)
twin_losses() { # command, arguments: its losses of steps, or of the test text
  "$python" "$twin/interchange.py" "$@" --corpus corpus "${sizes[@]}" "${case[@]}"
}

for name in adagrad adam sgd persistent tied untied; do
  case $name in
    adagrad) case=(--optim adagrad --lr 0.07 --grad-clip 0.03 --lr-warmup 20 --adapt-span
      --adapt-span-loss 0.0005 --adapt-span-init 0.3 --adapt-span-cache) ;;
    adam) case=(--optim adam --lr 0.002 --grad-clip 1 --dynamic-span) ;;
    sgd) case=(--optim sgd --momentum 0.9 --lr 0.05 --lr-warmup 7) ;;
    persistent) case=(--optim adagrad --lr 0.03 --grad-clip 0.03 --adapt-span --adapt-span-init 0.3
      --adapt-span-cache --pers-mem-size 5) ;;
    # no token of the text is in the last cluster
    tied) case=(--optim adam --lr 0.002 --lr-warmup 20 --adapt-span --pers-mem-size 3
      --adapt-io --adapt-io-tied --adapt-io-divval 2 --adapt-io-cutoffs 4,9,200) ;;
    untied) case=(--optim adagrad --lr 0.01 --dynamic-span --adapt-io --adapt-io-divval 3
      --adapt-io-cutoffs 3,8) ;;
  esac

  # from PyTorch
  twin_losses train --rounds 3 --out "$name.pt" >/dev/null
  "$program" import --from-pytorch "$name.pt" --out "$name/start.safetensors" --python "$python" \
    "${sizes[@]}" "${case[@]}" --precision f32 >out
  grep -q 'after step 15$' out || fail "$name: the step is not 15: $(cat out)"
  twin_losses eval --from "$name.pt" >theirs
  evaluated "$name/start.safetensors" >ours
  agree theirs ours || fail "$name: test loss $(cat ours), of the twin $(cat theirs)"

  # and on from there, which shows the optimizer's memory and the schedule, too
  cp "$name/start.safetensors" "$name/run.safetensors"
  "$program" train --data corpus --checkpoint "$name/run.safetensors" --niter 5 --log-steps 1 \
    "${sizes[@]}" "${case[@]}" --precision f32 >/dev/null 2>&1
  sed -n 's/^{"step":[0-9]*,"loss":\([0-9.]*\).*/\1/p' "$name/metrics.jsonl" >ours
  twin_losses train --rounds 2 --from "$name.pt" >theirs
  agree theirs ours || {
    fail "$name: the losses of the next steps differ"
    paste theirs ours | head -n 3
  }

  # and back
  "$program" export --checkpoint "$name/run.safetensors" --to-pytorch "$name.back.pt" \
    --python "$python" >/dev/null
  twin_losses eval --from "$name.back.pt" >theirs
  evaluated "$name/run.safetensors" >ours
  agree theirs ours || fail "$name: test loss $(cat ours), of the twin after export $(cat theirs)"
  twin_losses train --rounds 1 --from "$name.back.pt" >/dev/null ||
    fail "$name: PyTorch cannot go on from an export"

  # there and back again
  "$program" export --checkpoint "$name/start.safetensors" --to-pytorch "$name.same.pt" \
    --python "$python" >/dev/null
  "$program" import --from-pytorch "$name.same.pt" --out "$name/same.safetensors" \
    --python "$python" "${sizes[@]}" "${case[@]}" --precision f32 >/dev/null
  cmp "$name/start.safetensors" "$name/same.safetensors" || fail "$name: not the same after a round"
  "$python" - "$name.pt" "$name.same.pt" <<'END' || fail "$name: other weights after a round"
import sys
import torch
theirs, ours = (torch.load(path) for path in sys.argv[1:])
assert sorted(theirs["model"]) == sorted(ours["model"])
assert all(torch.equal(x, ours["model"][name]) for name, x in theirs["model"].items())
for number, slots in theirs["optimizer"]["state"].items():
    for slot, x in slots.items():
        y = ours["optimizer"]["state"][number][slot]
        assert x == y if slot == "step" else torch.equal(x, y), (number, slot)
END
  echo "$name: losses agree, both ways"
done

# Of a training that keeps averaged weights either can be exported.
mkdir averaged
cp untied/start.safetensors averaged/run.safetensors
"$program" train --data corpus --checkpoint averaged/run.safetensors --niter 5 --ema 0.9 \
  "${sizes[@]}" "${case[@]}" --precision f32 >/dev/null 2>&1
for weights in last ema; do
  "$program" export --checkpoint averaged/run.safetensors --weights $weights \
    --to-pytorch $weights.pt --python "$python" >/dev/null
  twin_losses eval --from $weights.pt >theirs
  evaluated averaged/run.safetensors --weights $weights >ours
  agree theirs ours || fail "averaged: test loss $(cat ours), of the twin with $weights $(cat theirs)"
  cp ours $weights.loss
done
cmp -s last.loss ema.loss && fail 'averaged: the two exports are of one loss'

# What the file tells need not be told.
"$program" import --from-pytorch adagrad.pt --out bare.safetensors --python "$python" >/dev/null
"$program" inspect bare.safetensors >out
for line in '"nlayers": 2' '"hid-sz": 16' '"inner-hid-sz": 32' '"nheads": 2' '"attn-span": 24' \
  '"adapt-span": true' '"optim": "adagrad"' '"lr": 0.07' '"grad-clip": 0.03' 'after step 15 '; do
  grep -qF -- "$line" out || fail "imported without settings: expected $line"
done
"$program" import --from-pytorch tied.pt --out bare_tied.safetensors --python "$python" >/dev/null
"$program" inspect bare_tied.safetensors >out
for line in '"pers-mem-size": 3' '"adapt-io": true' '"adapt-io-tied": true' '"adapt-io-divval": 2' \
  '"adapt-io-cutoffs": "4,9,200"'; do
  grep -qF -- "$line" out || fail "imported without settings: expected $line"
done
"$program" import --from-pytorch untied.pt --out bare_untied.safetensors --python "$python" >/dev/null
"$program" inspect bare_untied.safetensors >out
for line in '"adapt-io-tied": false' '"adapt-io-divval": 3' '"adapt-io-cutoffs": "3,8"'; do
  grep -qF -- "$line" out || fail "imported without settings: expected $line"
done

import=("$program" import --out new.safetensors --python "$python" --from-pytorch)
refused 'expected to read missing.pt' "${import[@]}" missing.pt
refused 'expected what torch.save wrote at text' "${import[@]}" text
head -c 3000 adam.pt >cut.pt
refused 'is it damaged?' "${import[@]}" cut.pt
"$python" -c 'import torch
state = torch.load("adam.pt")
state["scheduler_iter"] = -1
torch.save(state, "negative.pt")
for name in state["model"]:
    if name.endswith("in_emb.weight"):
        state["model"][name] = torch.tensor(1.0)
state["optimizer"]["state"] = {}
torch.save(state, "scalar.pt")
def change(name, changed, ends):
    state = torch.load("tied.pt")
    state["optimizer"]["state"] = {}
    for key, x in state["model"].items():
        if key.endswith(ends):
            state["model"][key] = changed(x)
    torch.save(state, name)
change("spans.pt", lambda x: x + 1,
       "0.attn.attn.persistent_memory.adaptive_span._mask.current_val")
change("half_tied.pt", lambda x: x + 1, "in_emb.emb_layers.1.weight")
change("widths.pt", lambda x: x[:, :3], ("in_emb.emb_layers.1.weight", "out_layers.1.weight"))
change("flat.pt", lambda x: x[0], ("in_emb.emb_layers.1.weight", "out_layers.1.weight"))'
refused 'expected a count of steps below 2^32; got -1' "${import[@]}" negative.pt
refused 'expected in_emb.weight of two extents' "${import[@]}" scalar.pt
refused 'expected key_pe of shape [1, 16, 24]' "${import[@]}" adam.pt --hid-sz 32
refused 'persistent_memory.adaptive_span._mask.current_val to be the same as layers.0.' \
  "${import[@]}" spans.pt
refused 'expected an optimizer of' "${import[@]}" half_tied.pt
refused 'narrower by the same divisor of 16; got widths 16, 3, 4, 2' "${import[@]}" widths.pt
refused 'expected in_emb.emb_layers.1.weight of two extents' "${import[@]}" flat.pt
refused 'expected a tensor in_emb.weight in' "${import[@]}" tied.pt --no-adapt-io
refused 'expected a tensor in_emb.emb_layers.0.weight in' "${import[@]}" adam.pt --adapt-io \
  --adapt-io-cutoffs 100
refused 'layers.0.attn.attn.persistent_memory.key in' "${import[@]}" adam.pt --pers-mem-size 4
refused 'optim.mean.key_pe in' "${import[@]}" adagrad.pt --optim adam
refused 'expected the weights of a model of these settings alone; got layers.1' \
  "${import[@]}" adam.pt --nlayers 1
refused 'expected --out with the name of a new file' "$program" import --python "$python" \
  --from-pytorch adam.pt --out bare.safetensors
refused 'give --python FILE' "$program" import --python no-such-python --from-pytorch adam.pt \
  --out new.safetensors
(cat text && echo 0123456789) >other_text
"$program" prepare --format enwik8 --input other_text --out other >/dev/null
refused 'tokens; got' "$program" eval --checkpoint bare.safetensors \
  --data other
refused 'expected --data with a corpus' "$program" eval --checkpoint bare.safetensors
[ ! -e new.safetensors ] || fail 'a refused import left a file'
[ -z "$(find . -name '*.tmp*')" ] || fail "left behind: $(find . -name '*.tmp*')"
export=("$program" export --python "$python" --to-pytorch new.pt --checkpoint)
refused 'text' "${export[@]}" text
refused 'expected --to-pytorch with the name of a new file' "$program" export \
  --python "$python" --checkpoint bare.safetensors --to-pytorch adam.pt
printf 'x' | dd of=bare.safetensors bs=1 seek=5000 conv=notrunc status=none
refused 'damaged' "${export[@]}" bare.safetensors
[ ! -e new.pt ] || fail 'a refused export left a file'

exit $((failures > 0))
