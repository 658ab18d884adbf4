# SPDX-License-Identifier: MIT
"""Checks the twin against recorded runs of the paper's code. Exit status 0 when all agree.

usage: check_golden.py FILE.safetensors...
"""
import ast
import sys
from dataclasses import fields

import torch

from model import Config, shared_names
from record import SPAN_OPTION, safetensors_file, second_block, training_run

KINDS = {option: kind for kind, option in SPAN_OPTION.items()}


def value_of(field, text):
    """str(value), of the bare None that stands for an empty list, too"""
    if field.type in (bool, tuple):
        return field.type(ast.literal_eval(text) or ())
    return field.type(text)


def recorded_config(metadata):
    c = Config(kind=KINDS[metadata["adapt_span"]])
    for field in fields(Config):
        if field.name in metadata:
            setattr(c, field.name, value_of(field, metadata[field.name]))
    return c


def bound(name):
    """Adagrad's first steps amplify rounding, so the course of a training may differ by more."""
    return 1e-4 if name.startswith("block2.") else 1e-2


def relative_error(ours, theirs):
    ours, theirs = ours.detach().double(), theirs.double()
    return ((ours - theirs).norm() / (theirs.norm() + 1e-12)).item()


def worst_errors(path):
    """The errors of block2.*, train.*, eval.*, largest first"""
    recorded, metadata = safetensors_file.load(path)
    c = recorded_config(metadata)
    tokens = recorded["tokens"].long()
    tokens = tokens[:len(tokens) // c.batch * c.batch].view(c.batch, -1)
    parameters = {name[len("init."):]: x.requires_grad_()
                  for name, x in recorded.items() if name.startswith("init.")}
    for second, first in shared_names(c).items():
        assert torch.equal(parameters.pop(second), parameters[first]), second
    ours = second_block(c, parameters, tokens)
    ours |= training_run(c, parameters, tokens, int(metadata["steps"]))
    errors = {name: relative_error(ours[name], x) for name, x in recorded.items()
              if name.startswith(("block2.", "train.", "eval."))}
    return sorted(errors.items(), key=lambda item: -item[1] / bound(item[0]))


if __name__ == "__main__":
    agree = True
    for path in sys.argv[1:]:
        errors = worst_errors(path)
        name, error = errors[0]
        agree = agree and all(error <= bound(name) for name, error in errors)  # false for NaN
        print(f"{path}: {len(errors)} quantities, the worst is {name}, relative error {error:.1e}")
    sys.exit(not agree)
