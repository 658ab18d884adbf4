# SPDX-License-Identifier: MIT
"""Files of named tensors: 8 bytes length of a JSON header, the header, then the numbers."""
import json
import struct

import torch

TYPES = {"F32": torch.float32, "F64": torch.float64, "BF16": torch.bfloat16, "I32": torch.int32}
NAMES = {dtype: name for name, dtype in TYPES.items()}


def save(path, tensors, metadata):
    header, end = {"__metadata__": metadata}, 0
    for name, x in tensors.items():
        begin, end = end, end + x.numel() * x.element_size()
        header[name] = {"dtype": NAMES[x.dtype], "shape": list(x.shape),
                        "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for x in tensors.values():  # as bytes, since numpy knows no bfloat16
            file.write(x.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())


def load(path, wanted=lambda name: True):
    """Returns {name: tensor} of those whose names are wanted, and the metadata."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", {})
        tensors = {}
        for name, entry in header.items():
            if not wanted(name):
                continue
            tensors[name] = torch.empty(entry["shape"], dtype=TYPES[entry["dtype"]])
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            to = tensors[name].flatten().view(torch.uint8).numpy()
            if file.readinto(to) != end - begin or len(to) != end - begin:
                raise ValueError(f"{name} is cut short")
    return tensors, metadata
