# SPDX-License-Identifier: MIT
"""Checks the twin against recorded runs of the paper's code. Exit status 0 when all agree.

usage: check_golden.py FILE.safetensors...       (those of tests/golden without --batch-split)
"""
import sys
from dataclasses import fields

from model import Config
from record import SPAN_OPTION, safetensors_file, second_block, training_run

KINDS = {option: kind for kind, option in SPAN_OPTION.items()}


def recorded_config(metadata):
    c = Config(kind=KINDS[metadata["adapt_span"]])
    for field in fields(Config):
        if field.name in metadata:
            text = metadata[field.name]
            setattr(c, field.name, text == "True" if field.type is bool else field.type(text))
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
    ours = second_block(c, parameters, tokens)
    ours |= training_run(c, parameters, tokens, int(metadata["steps"]))
    errors = {name: relative_error(x, recorded[name]) for name, x in ours.items()
              if not name.startswith("final.")}
    return sorted(errors.items(), key=lambda item: -item[1] / bound(item[0]))


if __name__ == "__main__":
    agree = True
    for path in sys.argv[1:]:
        errors = worst_errors(path)
        name, error = errors[0]
        agree = agree and all(error <= bound(name) for name, error in errors)  # false for NaN
        print(f"{path}: {len(errors)} quantities, the worst is {name}, relative error {error:.1e}")
    sys.exit(not agree)
