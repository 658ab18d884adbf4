#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A checkpoint is read by the description of the safetensors format alone, with no code of this
project: names, shapes and float32 numbers.

usage: checkpoint_format_test.py PROGRAM
"""
import json
import math
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HID, SPAN, HEADS = 8, 12, 2
SETTINGS = {"nlayers": 1, "hid-sz": HID, "inner-hid-sz": 16, "nheads": HEADS, "attn-span": SPAN,
            "adapt-span-init": 0.5, "batch-sz": 2, "block-sz": 4, "nbatches": 2, "niter": 1,
            "optim": "adagrad", "precision": "f32", "checkpoint": "run/checkpoint.safetensors",
            "data": "corpus"}


def read(path):
    """{name: (type, shape, bytes)} and the metadata; asserts what the format demands."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    assert all(isinstance(value, str) for value in metadata.values())
    numbers, tensors, end = data[8 + length:], {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, until = entry["data_offsets"]
        assert begin == end, f"a gap or an overlap before {name}"
        size = {"F32": 4, "BF16": 2, "I32": 4}[entry["dtype"]]
        assert until - begin == size * math.prod(entry["shape"]), f"the size of {name}"
        tensors[name] = entry["dtype"], entry["shape"], numbers[begin:until]
        end = until
    assert end == len(numbers), "bytes after the last tensor"
    return tensors, metadata


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        def run(*words):
            subprocess.run([program, *map(str, words)], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)

        Path(folder, "text").write_text("abcdefgh \n" * 500)
        run("prepare", "--format", "bytes", "--input", "text", "--out", "corpus")
        run("train", "--adapt-span", *(word for name, value in SETTINGS.items()
                                       for word in (f"--{name}", value)))
        tensors, metadata = read(Path(folder, "run/checkpoint.safetensors"))

    vocabulary = int(metadata["vocabulary_size"])
    assert json.loads(metadata["progress"])["step"] == 2
    expected = {"key_pe": [1, HID // HEADS, SPAN], "in_emb.weight": [vocabulary, HID],
                "out_emb.bias": [vocabulary], "layers.0.attn.proj_query.weight": [HID, HID],
                "layers.0.attn.attn.adaptive_span._mask.current_val": [HEADS, 1, 1],
                "layers.0.ff.fc1.weight": [16, HID], "optim.sum.key_pe": [1, HID // HEADS, SPAN]}
    for name, shape in expected.items():
        assert tensors[name][:2] == ("F32", shape), (name, tensors[name][:2])
    spans = struct.unpack(f"<{HEADS}f", tensors["layers.0.attn.attn.adaptive_span._mask.current_val"][2])
    assert all(0.3 < z < 0.7 for z in spans), spans  # near where they began


if __name__ == "__main__":
    main()
