# SPDX-License-Identifier: MIT
"""Times one training step of the twin on random tokens, as `adaspan bench step` does for ours.

usage: bench_step.py [--preset NAME] [--spans PATTERN] [--precision f32|bf16] [--compile] ...

Tokens are uniform over 205; with adaptive input and output as words are: that of rank r has a
probability in proportion to 1/r.

PATTERN  initial  every span 0
         trained  20 tokens, but 0.6 S for the first head in the upper half of the layers
         full     S, the limit
         FILE     JSON, a list of spans for each layer
"""
import argparse
import json
import math
import resource
import time
import tomllib
from pathlib import Path

import torch

import about
import model
import settings
from model import Config, fresh_parameters
from training import Trainer, block_loss

PRESETS = Path(__file__).resolve().parents[2] / "presets"


def command_line():
    cli = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--preset", help="start from presets/NAME.toml")
    settings.add_flags(cli, settings.FIELDS)
    settings.add_adaptive_io(cli)
    cli.add_argument("--spans", default="initial")
    cli.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    cli.add_argument("--threads", type=int, default=2)
    cli.add_argument("--steps", type=int, default=3, help="steps to time; the best counts")
    cli.add_argument("--compile", action="store_true", help="loss and gradients by torch.compile")
    cli.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return cli


def config_of(args):
    """The preset, then what the command line says; the spans stay where the pattern puts them."""
    preset = tomllib.loads((PRESETS / f"{args.preset}.toml").read_text()) if args.preset else {}
    chosen = preset | settings.given(args, [*settings.FIELDS, *settings.ADAPTIVE_IO_NAMES])
    fields = settings.fields_of(chosen, settings.FIELDS)
    if args.compile and "adapt_io_cutoffs" in fields:
        raise SystemExit("[twin] expected no --compile with adaptive input and output; how many "
                         "tokens a cluster has, and so the shapes, differ from step to step")
    return Config(**fields, kind="adaptive", adapt_cache=preset.get("adapt-span-cache", True),
                  span_loss=0.0, vocab=vocabulary(fields.get("adapt_io_cutoffs")))


def vocabulary(cutoffs):
    """Of enwik8; with clusters of WikiText-103, or larger where they reach further"""
    return max(267735, cutoffs[-1] + cutoffs[-1] // 3 + 1) if cutoffs else 205


def random_tokens(c, columns):
    """[B,columns]; P(id) ~ 1/(id + 1) with adaptive input and output"""
    if not c.adapt_io_cutoffs:
        return torch.randint(c.vocab, (c.batch, columns))
    sums = (1 / torch.arange(1, c.vocab + 1, dtype=torch.float64)).cumsum(0)
    u = torch.rand(c.batch, columns, dtype=torch.float64)
    return torch.searchsorted(sums, u * sums[-1]).clamp(max=c.vocab - 1)


def span_pattern(name, c):
    """z of each layer and head, [L,K]"""
    if name == "initial":
        return torch.zeros(c.layers, c.heads)
    if name == "full":
        return torch.full((c.layers, c.heads), float(c.span))
    if name == "trained":
        z = torch.full((c.layers, c.heads), 20.0)
        z[c.layers // 2:, 0] = math.floor(0.6 * c.span)
        return z
    return torch.tensor(json.loads(Path(name).read_text()), dtype=torch.float32)


def check_matrix_product():
    """Some BLAS libraries are wrong on some processors; a fast wrong answer is no comparison."""
    x, y = torch.randn(300, 500), torch.randn(500, 400)
    exact = x.double() @ y.double()
    error = ((x @ y - exact).norm() / exact.norm()).item()
    if not error < 1e-5:
        raise SystemExit(f"[twin] expected a matrix product right to 1e-5; got an error of {error}")


WARM_UP = 2  # steps before those that are timed


def seconds_of(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


class Bench:
    """Steps of a trainer whose spans never leave the pattern"""

    def __init__(self, c, z, steps, bf16):
        tokens = random_tokens(c, steps * c.block + 1)
        self.trainer = Trainer(c, fresh_parameters(c, seed=1), tokens, bf16)
        self.ratios = z / c.span
        self.set_spans()
        # The memory is full from the start, as ours is: of zeros, which cost what tokens do. A
        # first one of another length than later ones would be compiled for by itself.
        windows = model.windows(c, self.trainer.parameters)
        self.trainer.memory = [x[:, -model.memory_length(c, W):].clone()
                               for x, W in zip(self.trainer.memory, windows)]

    def set_spans(self):
        for ratio, of_layer in zip(self.trainer.ratios(), self.ratios):
            ratio.data.copy_(of_layer.view(-1, 1, 1))

    def step(self):
        self.set_spans()
        self.trainer.step()

    def compile(self):
        """One graph without a break; windows are Python numbers, and so constants of it."""
        self.trainer.block_loss = torch.compile(block_loss, fullgraph=True, dynamic=False)
        try:
            self.step()
        except Exception as error:  # there are many kinds, of compilers too
            why = next(filter(None, map(str.strip, str(error).splitlines())), "")
            raise SystemExit(f"[twin] torch.compile failed: {type(error).__name__}: {why}")
        # What is timed shall not compile anything, or fail.
        torch.compiler.set_stance("fail_on_recompile")


def bench(c, args):
    b = Bench(c, span_pattern(args.spans, c), WARM_UP + args.steps, args.precision == "bf16")
    if args.compile:
        b.compile()
    for _ in range(WARM_UP - args.compile):
        b.step()
    seconds = min(seconds_of(b.step) for _ in range(args.steps))
    return {"spans": args.spans, "precision": args.precision, "compiled": args.compile,
            "seconds": seconds, "tokens_per_s": c.batch * c.block / seconds,
            "peak_rss_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-9,
            "threads": torch.get_num_threads(), **about.pytorch()}


def prepare(args):
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    check_matrix_product()


def show(result, args):
    if args.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:<14} {value}")


def main():
    args = command_line().parse_args()
    prepare(args)
    show(bench(config_of(args), args), args)


if __name__ == "__main__":
    main()
