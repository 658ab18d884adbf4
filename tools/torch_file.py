# SPDX-License-Identifier: MIT
"""Reads what torch.save wrote, and runs nothing that the file asks for.

torch.load would do, but before PyTorch 2.0 its safe mode refuses every file with a Python float in
it, which the settings of an optimizer are, and its other mode runs any program that the file
contains: 1.13 heeds no pickle_module, either.

Two layouts, both with one pickle whose tensors refer to numbers kept outside of it, by key:
  since PyTorch 1.6   a zip archive of NAME/data.pkl and NAME/data/KEY
  before              pickles of a magic number, a version, the sizes of C types, and the object;
                      then a pickled list of keys, and for each the count of its numbers and these
"""
import pickle
import struct
import zipfile
from collections import OrderedDict

import torch

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {"FloatStorage": torch.float32, "DoubleStorage": torch.float64,
         "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
         "LongStorage": torch.int64, "IntStorage": torch.int32, "ByteStorage": torch.uint8,
         "BoolStorage": torch.bool}


class Unknown:
    """Stands for an object of a class that is not loaded."""

    def __init__(self, *_):
        pass

    def __setstate__(self, _):
        pass


def rebuilt_tensor(numbers, offset, shape, stride, *_):
    return numbers.as_strided(shape, stride, offset)


KNOWN = {("collections", "OrderedDict"): OrderedDict,
         ("torch._utils", "_rebuild_tensor_v2"): rebuilt_tensor,
         ("torch._utils", "_rebuild_parameter"): lambda data, *_: data}


class Unpickler(pickle.Unpickler):
    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.numbers = {}  # of each key, to be filled in when the object is complete

    def find_class(self, module, name):
        if module in ("torch", "torch.cuda") and name in TYPES:
            return TYPES[name]
        return KNOWN.get((module, name)) or type(name, (Unknown,), {"__module__": module})

    def persistent_load(self, pid):
        if pid[0] != "storage":
            raise pickle.UnpicklingError(f"expected the numbers of a tensor; got a {pid[0]}")
        _, dtype, key, _, count, *view = pid
        if not isinstance(dtype, torch.dtype) or any(view):
            raise pickle.UnpicklingError(f"expected numbers of a known kind; got {dtype}")
        if key not in self.numbers:
            self.numbers[key] = torch.empty(count, dtype=dtype)
        return self.numbers[key]


def fill(numbers, file):
    to = numbers.view(torch.uint8).numpy()
    if file.readinto(to) != len(to):
        raise EOFError("the file is cut short")


def load_zip(file):
    with zipfile.ZipFile(file) as archive:
        folder = archive.namelist()[0].split("/")[0]
        with archive.open(f"{folder}/data.pkl") as entry:
            unpickler = Unpickler(entry)
            state = unpickler.load()
        for key, numbers in unpickler.numbers.items():
            with archive.open(f"{folder}/data/{key}") as entry:
                fill(numbers, entry)
    return state


def load_pickles(file):
    magic, _, _ = (Unpickler(file).load() for _ in range(3))
    if magic != MAGIC:
        raise pickle.UnpicklingError("no file of PyTorch begins like this")
    unpickler = Unpickler(file)
    state = unpickler.load()
    for key in Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        if count != len(unpickler.numbers[key]):
            raise EOFError("the file is damaged")
        fill(unpickler.numbers[key], file)
    return state


def load(path):
    """The object in the file, its tensors on the CPU. Raises OSError where it cannot be read, and
    whatever pickle and zipfile do where it is damaged or no such file."""
    with open(path, "rb") as file:
        is_zip = file.read(2) == b"PK"
        file.seek(0)
        return load_zip(file) if is_zip else load_pickles(file)
