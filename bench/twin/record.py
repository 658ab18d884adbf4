# SPDX-License-Identifier: MIT
"""Records a small training run of the twin, for `adaspan parity FILE` to replay and compare.

usage: record.py --out FILE.safetensors [--span adaptive|dynamic|fixed] [--seed N] [--steps N]
                 [--pers-mem-size P] [--adapt-io [--adapt-io-tied] ...] [--batch-split N]
                 [--optim NAME] [--grad-clip NUMBER]

What a recorded run holds: ../README.md.
"""
import argparse
import dataclasses
import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
import model
import safetensors_file
import settings
from model import Config, fresh_parameters
from training import Trainer

OPTIONS = {name: settings.FIELDS[name]
           for name in ("pers-mem-size", "batch-split", "optim", "grad-clip")}
SPAN_OPTION = {"fixed": "False", "adaptive": "True", "dynamic": "dynamic"}

# The last cluster is of one token, which some blocks do not have.
SMALL_CUTOFFS = (7, 24, 40)


def small_case(kind):
    """Odd sizes; windows and memories of adaptive spans are shorter than the limit. At a larger
    learning rate Adagrad's first steps amplify rounding to differences of 1e-3."""
    return Config(layers=3, hidden=39, inner=50, heads=3, vocab=41, span=203, kind=kind, ramp=7,
                  span_init=0.1237, span_loss={"adaptive": 1e-3, "dynamic": 1e-4}.get(kind, 0.0),
                  adapt_cache=kind == "adaptive", lr=0.02, warmup=4, grad_clip=0.03, block=19,
                  batch=3)


def random_tokens(c, columns, seed):
    """[B, columns]"""
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(c.vocab, (c.batch, columns), generator=draw)


def second_block(c, parameters, tokens):
    """Loss and gradients of the second block; the first one only fills the memory."""
    trainer = Trainer(c, parameters, tokens)
    with torch.no_grad():
        trainer.loss_of_block(0)
        log_probabilities = trainer.log_probabilities(1)
    loss, nll = trainer.loss_of_block(1)
    loss.backward()
    found = {"block2.loss": nll.reshape(1), "block2.total": loss.detach().reshape(1),
             "block2.logprob": log_probabilities}
    for name, p in parameters.items():
        found[f"block2.grad.{name}"] = p.grad
        p.grad = None
    return found


def weights(c, prefix, parameters):
    """As the paper's code saves them: some tensors under two names"""
    named = parameters | {second: parameters[first]
                          for second, first in model.shared_names(c).items()}
    return {f"{prefix}.{name}": p.detach().clone() for name, p in named.items()}


def training_run(c, parameters, tokens, steps):
    """Losses and spans of each step, the weights after the last, and an evaluation with them."""
    trainer, losses, ratios = Trainer(c, parameters, tokens), [], []
    for _ in range(steps):
        losses.append(trainer.step())
        ratios += [ratio.detach().flatten().clone() for ratio in trainer.ratios()]
    run = {"train.loss": torch.tensor(losses, dtype=torch.float64)}
    if ratios:
        run["train.span"] = torch.stack(ratios).view(steps, c.layers, c.heads)
    run.update(weights(c, "final", parameters))
    run["eval.loss"] = torch.tensor([trainer.evaluate()], dtype=torch.float64)
    return run


def options(c, steps):
    text = {name: str(value) for name, value in vars(c).items() if name != "kind"}
    return text | {"adapt_span": SPAN_OPTION[c.kind], "steps": str(steps),
                   "adapt_io_cutoffs": str(list(c.adapt_io_cutoffs) or None)}


def main():
    cli = argparse.ArgumentParser()
    cli.add_argument("--out", required=True)
    cli.add_argument("--span", choices=SPAN_OPTION, default="adaptive")
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--steps", type=int, default=30)
    settings.add_flags(cli, OPTIONS)
    settings.add_adaptive_io(cli)
    args = cli.parse_args()
    torch.set_num_threads(1)  # this small, more threads only wait for each other

    chosen = settings.given(args, [*OPTIONS, *settings.ADAPTIVE_IO_NAMES])
    c = dataclasses.replace(small_case(args.span),
                            **settings.fields_of(chosen, OPTIONS, SMALL_CUTOFFS))
    parameters = fresh_parameters(c, args.seed)
    tokens = random_tokens(c, args.steps * c.block + 1, args.seed)
    record = {"tokens": tokens.flatten().int()}
    record.update(weights(c, "init", parameters))
    record.update(second_block(c, parameters, tokens))
    record.update(training_run(c, parameters, tokens, args.steps))
    safetensors_file.save(args.out, record, options(c, args.steps))


if __name__ == "__main__":
    main()
