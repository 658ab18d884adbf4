# SPDX-License-Identifier: MIT
"""Trains and evaluates the twin on a corpus of Adaspan, and saves as the paper's program does.

usage: interchange.py train --corpus DIR --rounds N --out FILE.pt [--from FILE.pt] [SETTING]...
       interchange.py eval --corpus DIR --from FILE.pt [SETTING]...

train prints the loss of each step, eval that of the test text. From a file training goes on at the
start of the text, with an empty memory, since the file has neither. Settings have Adaspan's names.
"""
import argparse
import dataclasses
import struct
from pathlib import Path

import numpy
import torch
from torch import nn

import settings
from model import Config, fresh_parameters, shared_names
from training import Trainer

FIELDS = settings.FIELDS | {"adapt-span-init": "span_init", "adapt-span-loss": "span_loss"}
EVALUATION_BATCH = 8


def command_line():
    cli = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("command", choices=["train", "eval"])
    cli.add_argument("--corpus", type=Path, required=True)
    cli.add_argument("--rounds", type=int, default=0)
    cli.add_argument("--out")
    cli.add_argument("--from", dest="source")
    cli.add_argument("--nbatches", type=int, default=1000, help="steps per round")
    cli.add_argument("--seed", type=int, default=1)
    for name in ("adapt-span", "dynamic-span", "adapt-span-cache"):
        cli.add_argument(f"--{name}", action="store_true")
    settings.add_flags(cli, FIELDS)
    settings.add_adaptive_io(cli)
    return cli.parse_args()


def config_of(args):
    kind = "adaptive" if args.adapt_span else "dynamic" if args.dynamic_span else "fixed"
    vocabulary = (args.corpus / "vocab.txt").read_bytes().count(b"\n")
    chosen = settings.given(args, [*FIELDS, *settings.ADAPTIVE_IO_NAMES])
    return Config(**settings.fields_of(chosen, FIELDS), kind=kind,
                  adapt_cache=args.adapt_span_cache, vocab=vocabulary)


def tokens_of(corpus, part, rows):
    """[rows, columns], from the file of a part: adaspan/train/data/token_file.h"""
    data = (corpus / f"{part}.tok").read_bytes()
    _, _, width, count = struct.unpack_from("<8sIIQ", data)
    ids = numpy.frombuffer(data, f"<u{width}", count // rows * rows, 24).astype("int64")
    return torch.from_numpy(ids).view(rows, -1)


def as_module(c, parameters):
    """The same parameters as attributes of modules, wrapped, as the paper's program has them; it
    keeps the mask's u of each column beside the spans, and some parameters under two names."""
    root = nn.Module()

    def place_of(name):
        *path, last = name.split(".")
        module = root
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, nn.Module())
            module = getattr(module, part)
        return module, last

    def place(name, p):
        module, last = place_of(name)
        module.register_parameter(last, p)
        if last == "current_val":
            module.register_buffer("mask_template", torch.linspace(1 - c.span, 0, c.span))

    for name, p in parameters.items():
        place(name, nn.Parameter(p.detach()))
    for second, first in shared_names(c).items():
        module, last = place_of(first)
        place(second, getattr(module, last))
    assert [name for name, _ in root.named_parameters()] == list(parameters)
    return nn.DataParallel(root)


def restore(trainer, path, nbatches):
    state = torch.load(path)
    as_module(trainer.config, trainer.parameters).load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.steps = state.get("scheduler_iter", (state["iter_no"] + 1) * nbatches)


def save(trainer, path, args, losses):
    state = {"iter_no": trainer.steps // args.nbatches - 1,
             "model": as_module(trainer.config, trainer.parameters).state_dict(),
             "logger": {"loss_train": losses}, "optimizer": trainer.optimizer.state_dict()}
    if trainer.config.warmup:
        # as PyTorch's schedulers do, which the paper's program warms up with
        state["optimizer"]["param_groups"][0]["initial_lr"] = trainer.config.lr
        state["scheduler_iter"] = trainer.steps
    torch.save(state, path)


def main():
    args = command_line()
    torch.set_num_threads(1)  # this small, more threads only wait for each other
    c = config_of(args)
    part = "train"
    if args.command == "eval":
        part, c = "test", dataclasses.replace(c, batch=EVALUATION_BATCH)
    trainer = Trainer(c, fresh_parameters(c, args.seed), tokens_of(args.corpus, part, c.batch))
    if args.source:
        restore(trainer, args.source, args.nbatches)
    if args.command == "eval":
        print(trainer.evaluate())
        return
    losses = [trainer.step() for _ in range(args.rounds * args.nbatches)]
    print("\n".join(map(str, losses)))
    if args.out:
        save(trainer, args.out, args, losses)


if __name__ == "__main__":
    main()
