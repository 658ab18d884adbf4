#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The event files of `train --tensorboard`, read by TensorBoard's own reader. Exit status 77 where
# PYTHON has no tensorboard ('pip install tensorboard', in a virtual environment).
#   tensorboard_reader_test.sh PROGRAM [PYTHON]
program=$(readlink -f -- "$1")
python=${2:-${TENSORBOARD_PYTHON:-python3}}
source "$(cd "$(dirname "$0")" && pwd)/support/cases.sh"

if ! "$python" -c 'import tensorboard' 2>/dev/null; then
  echo "skipped: $python has no tensorboard (pip install tensorboard, in a virtual environment)"
  exit 77
fi

seq 1 4000 >text
accept -- prepare --input text --out data
train=(train --data data --checkpoint run/c "${tiny[@]}" --tensorboard events/run)
accept -- "${train[@]}" --niter 1
cp -r run saved
accept -- "${train[@]}" --niter 2
rm -r run
mv saved run  # as if steps 4 to 6 had never been saved
accept -- "${train[@]}" --niter 3
expect "each start has a file" [ "$(find events/run -name '*tfevents*' | wc -l)" = 3 ]

command_line="TensorBoard's reader"
"$python" - events/run run/metrics.jsonl >"$work/out" 2>"$work/err" <<'END'
import json, pathlib, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

folder, metrics = sys.argv[1:]
all_of_them = EventAccumulator(folder, size_guidance={"scalars": 0, "histograms": 0}).Reload()
lines = [json.loads(line) for line in open(metrics)]
steps = [line for line in lines if "grad_norm" in line]
validations = [line for line in lines if "valid_loss" in line]


def same(tag, lines, key):
    read = [(event.step, event.value) for event in all_of_them.Scalars(tag)]
    assert [step for step, _ in read] == [line["step"] for line in lines], (tag, read)
    for (_, value), line in zip(read, lines):
        assert abs(value - line[key]) <= 1e-6 * abs(line[key]), (tag, value, line)


same("bpc/train", steps, "bpc")
same("bpc/valid", validations, "valid_bpc")
same("learning_rate", steps, "lr")
same("gradient/norm", steps, "grad_norm")
same("span/mean", steps, "span_mean")
same("span/max", steps, "span_max")
assert len(all_of_them.Scalars("tokens_per_s")) == len(steps)
histograms = all_of_them.Histograms("spans/layer_0")
assert [event.step for event in histograms] == [line["step"] for line in steps]
for event, line in zip(histograms, steps):
    spans = event.histogram_value
    assert spans.num == len(line["spans"][0]) == sum(spans.bucket), spans
    assert abs(spans.sum - sum(line["spans"][0])) < 1e-4, spans

# In the files themselves, too, no step is there twice.
seen = [event.step
        for file in sorted(pathlib.Path(folder).iterdir())
        for event in EventFileLoader(str(file)).Load()
        if any(value.tag == "bpc/train" for value in event.summary.value)]
assert seen == list(range(1, 10)), seen
print("read", len(seen), "steps")
END
code=$?
expect "reads what the metrics have" [ $code = 0 ]
expect "to the end" grep -q "read 9 steps" "$work/out"

finish
