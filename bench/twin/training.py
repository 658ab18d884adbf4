# SPDX-License-Identifier: MIT
"""One step of training the twin: forward, backward, update, clamp."""
import torch

import model


class Adagrad(torch.optim.Adagrad):
    """G += g g;  p -= lr c g / (sqrt(G) + 1e-10), each tensor by itself,
    c = clip / (||g|| + 1e-10) if ||g|| > clip, else 1"""

    def __init__(self, parameters, lr, clip):
        super().__init__(parameters, lr=lr)
        self.param_groups[0]["grad_clip"] = clip

    @torch.no_grad()
    def step(self):
        (group,) = self.param_groups
        for p in group["params"]:
            G, g, length = self.state[p]["sum"], p.grad, p.grad.norm().item()
            G.addcmul_(g, g)
            c = group["grad_clip"] / (length + 1e-10) if 0 < group["grad_clip"] < length else 1
            p.addcdiv_(g, G.sqrt().add_(1e-10), value=-group["lr"] * c)
            self.state[p]["step"] += 1


def make_optimizer(c, parameters):
    if c.optim == "adam":
        return torch.optim.Adam(parameters, lr=c.lr)
    if c.optim == "sgd":
        return torch.optim.SGD(parameters, lr=c.lr, momentum=c.momentum)
    return Adagrad(parameters, c.lr, c.grad_clip)


def block_loss(c, bf16, parameters, ids, targets, memory, windows, training):
    """ids and targets [B,M] -> the loss to minimise, the next memory, and without gradient the mean
    loss in nats. Changes nothing, so that it can be compiled."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        h, next_memory, span_sum = model.forward(c, parameters, ids, memory, windows, training)
        nll = model.nll(c, parameters, h.flatten(0, 1), targets.flatten())
    return nll + c.span_loss * span_sum, next_memory, nll.detach()


class Trainer:
    """Trains on tokens [B, columns]; block i is columns i M ... (i+1) M."""

    def __init__(self, config, parameters, tokens, bf16=False):
        assert config.batch % config.batch_split == 0
        self.config, self.parameters, self.tokens, self.bf16 = config, parameters, tokens, bf16
        self.optimizer = make_optimizer(config, list(parameters.values()))
        self.memory = model.empty_memory(config)
        self.block_loss = block_loss  # or the same compiled
        self.steps = 0  # updates done
        self.block = 0  # the next one

    def ratios(self):
        """z / S of each layer's heads, [K,1,1] a layer"""
        return [p for name, p in self.parameters.items() if name.endswith("current_val")]

    def block_of(self, i):
        """ids and targets of block i, [B,M]"""
        M = self.config.block
        return self.tokens[:, i * M:(i + 1) * M], self.tokens[:, i * M + 1:(i + 1) * M + 1]

    def loss_of(self, ids, targets, memory, training=True):
        """The loss to minimise, the next memory, the mean loss in nats"""
        return self.block_loss(self.config, self.bf16, self.parameters, ids, targets, memory,
                               model.windows(self.config, self.parameters), training)

    def loss_of_block(self, i, training=True):
        """The loss to minimise of block i, and the mean loss in nats. Moves the memory on."""
        loss, self.memory, nll = self.loss_of(*self.block_of(i), self.memory, training)
        return loss, nll

    def log_probabilities(self, i):
        """Of block i, [B,M,V]. Leaves the memory where it is."""
        ids, _ = self.block_of(i)
        h, _, _ = model.forward(self.config, self.parameters, ids, self.memory,
                                model.windows(self.config, self.parameters))
        return model.log_probabilities(self.config, self.parameters, h.flatten(0, 1)).view(
            *ids.shape, -1)

    def step(self):
        """Returns the mean loss in nats."""
        k = self.config.batch_split
        ids, targets = (x.chunk(k) for x in self.block_of(self.block))
        memories = zip(*(x.chunk(k) for x in self.memory))
        next_memories, total = [], 0.0
        for part in zip(ids, targets, memories):
            loss, next_memory, nll = self.loss_of(*part)
            (loss / k).backward()
            next_memories.append(next_memory)
            total += nll.item() / k
        self.memory = next_memories[0] if k == 1 else [torch.cat(x) for x in zip(*next_memories)]
        self.block += 1
        self.update()
        return total

    def update(self):
        c, (group,) = self.config, self.optimizer.param_groups
        self.steps += 1
        group["lr"] = c.lr * (min(1, self.steps / c.warmup) if c.warmup else 1)
        if c.optim != "adagrad" and c.grad_clip > 0:
            torch.nn.utils.clip_grad_norm_(group["params"], c.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        for ratio in self.ratios():
            ratio.data.clamp_(0, 1)

    @torch.no_grad()
    def evaluate(self):
        """The mean loss over all whole blocks, from an empty memory, in nats"""
        self.memory = model.empty_memory(self.config)
        blocks = (self.tokens.shape[1] - 1) // self.config.block
        return sum(self.loss_of_block(i, training=False)[1].item() for i in range(blocks)) / blocks
