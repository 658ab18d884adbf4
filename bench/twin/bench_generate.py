# SPDX-License-Identifier: MIT
"""Times one token of the twin's writing, as `adaspan bench generate` does ours: a block of one step
behind a full memory, which each layer projects into keys and values anew, as in the paper's code.

usage: bench_generate.py [--preset NAME] [--spans PATTERN] [--precision f32|bf16] [--samples N] ...

What the options mean: bench_step.py.
"""
from dataclasses import replace

import torch

import about
import bench_step
import model

WARM_UP = 2  # tokens before those that are timed


class Writing:
    """N texts side by side, of random tokens"""

    def __init__(self, c, z, bf16):
        start = bench_step.Bench(c, z, 1, bf16)  # whose spans are the pattern's, and memory full
        self.config, self.parameters, self.bf16 = c, start.trainer.parameters, bf16
        self.memory = start.trainer.memory
        self.windows = model.windows(c, self.parameters)

    def step(self):
        c, p = self.config, self.parameters
        ids = torch.randint(c.vocab, (c.batch, 1))
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            h, self.memory, _ = model.forward(c, p, ids, self.memory, self.windows, training=False)
            return model.log_probabilities(c, p, h.flatten(0, 1))


def bench(c, args):
    writing = Writing(c, bench_step.span_pattern(args.spans, c), args.precision == "bf16")
    for _ in range(WARM_UP):
        writing.step()
    seconds = min(bench_step.seconds_of(writing.step) for _ in range(args.length))
    return {"spans": args.spans, "storage": args.precision, "texts": args.samples,
            "seconds": seconds, "tokens_per_s": args.samples / seconds,
            "threads": torch.get_num_threads(), **about.pytorch()}


def main():
    cli = bench_step.command_line()
    cli.description = __doc__
    cli.add_argument("--samples", type=int, default=1, help="texts that are written side by side")
    cli.add_argument("--length", type=int, default=20, help="tokens to time; the best counts")
    args = cli.parse_args()
    bench_step.prepare(args)
    c = replace(bench_step.config_of(args), block=1, batch=args.samples, batch_split=1)
    result = bench(c, args)
    bench_step.show(result, args)


if __name__ == "__main__":
    main()
