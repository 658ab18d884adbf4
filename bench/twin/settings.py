# SPDX-License-Identifier: MIT
"""Adaspan's settings as flags of a program of the twin, and as tables of presets have them."""
import argparse

from model import Config

# adaspan's name of a setting: the field of Config
FIELDS = {"nlayers": "layers", "hid-sz": "hidden", "inner-hid-sz": "inner", "nheads": "heads",
          "pers-mem-size": "pers_mem", "attn-span": "span", "adapt-span-ramp": "ramp",
          "batch-sz": "batch", "batch-split": "batch_split", "block-sz": "block",
          "dropout": "dropout", "emb-dropout": "emb_dropout", "optim": "optim",
          "momentum": "momentum", "lr": "lr", "lr-warmup": "warmup", "grad-clip": "grad_clip"}
ADAPTIVE_IO = {"adapt-io-tied": "adapt_io_tied", "adapt-io-divval": "adapt_io_divval",
               "adapt-io-cutoffs": "adapt_io_cutoffs"}
ADAPTIVE_IO_NAMES = ("adapt-io", *ADAPTIVE_IO)
CUTOFFS = (20000, 40000, 200000)  # where adaptive io is asked for without any


def cutoffs_of(value):
    """Of a flag's text, or a preset's list"""
    return tuple(map(int, value.split(",") if isinstance(value, str) else value))


def add_flags(cli, fields):
    for name, field in fields.items():
        cli.add_argument(f"--{name}", type=type(getattr(Config, field)))


def add_adaptive_io(cli):
    for name in ("adapt-io", "adapt-io-tied"):
        cli.add_argument(f"--{name}", action=argparse.BooleanOptionalAction)
    cli.add_argument("--adapt-io-divval", type=int)
    cli.add_argument("--adapt-io-cutoffs", type=cutoffs_of, metavar="N,N,...")


def given(args, names):
    """{name: value} of those on the command line"""
    values = {name: getattr(args, name.replace("-", "_")) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def adaptive_io_of(settings, cutoffs=CUTOFFS):
    """{field: value} of settings {name: value}; none without adaptive io"""
    if not settings.get("adapt-io"):
        return {}
    chosen = {field: settings[name] for name, field in ADAPTIVE_IO.items() if name in settings}
    return chosen | {"adapt_io_cutoffs": cutoffs_of(settings.get("adapt-io-cutoffs", cutoffs))}


def fields_of(settings, fields, cutoffs=CUTOFFS):
    """{field: value} of settings {name: value}; others than these are left out."""
    plain = {field: settings[name] for name, field in fields.items() if name in settings}
    return plain | adaptive_io_of(settings, cutoffs)
