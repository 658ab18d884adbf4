# SPDX-License-Identifier: MIT
"""Adaspan's settings as flags of a program of the twin."""
from model import Config

# adaspan's name of a setting: the field of Config
FIELDS = {"nlayers": "layers", "hid-sz": "hidden", "inner-hid-sz": "inner", "nheads": "heads",
          "attn-span": "span", "adapt-span-ramp": "ramp", "batch-sz": "batch",
          "block-sz": "block", "dropout": "dropout", "emb-dropout": "emb_dropout", "lr": "lr",
          "lr-warmup": "warmup", "grad-clip": "grad_clip"}


def add_flags(cli, fields):
    for name, field in fields.items():
        cli.add_argument(f"--{name}", type=type(getattr(Config, field)))


def given(args, fields):
    """{name: value} of those on the command line"""
    values = {name: getattr(args, name.replace("-", "_")) for name in fields}
    return {name: value for name, value in values.items() if value is not None}
