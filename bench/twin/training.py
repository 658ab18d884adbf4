# SPDX-License-Identifier: MIT
"""One step of training the twin: forward, backward, Adagrad, clamp."""
import torch
import torch.nn.functional as F

import model


class Adagrad:
    """G += g g;  p -= lr c g / (sqrt(G) + 1e-10), each tensor by itself,
    c = clip / (||g|| + 1e-10) if ||g|| > clip, else 1"""

    def __init__(self, parameters, clip):
        self.parameters, self.clip = parameters, clip
        self.sums = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def update(self, lr):
        for p, G in zip(self.parameters, self.sums):
            g, length = p.grad, p.grad.norm().item()
            G.addcmul_(g, g)
            c = self.clip / (length + 1e-10) if 0 < self.clip < length else 1
            p.addcdiv_(g, G.sqrt().add_(1e-10), value=-lr * c)
            p.grad = None


class Trainer:
    """Trains on tokens [B, columns]; step i reads columns i M ... (i+1) M."""

    def __init__(self, config, parameters, tokens, bf16=False):
        self.config, self.parameters, self.tokens, self.bf16 = config, parameters, tokens, bf16
        self.optimizer = Adagrad(list(parameters.values()), config.grad_clip)
        self.memory = model.empty_memory(config)
        self.steps = 0

    def ratios(self):
        """z / S of each layer's heads, [K,1,1] a layer"""
        return [p for name, p in self.parameters.items() if name.endswith("current_val")]

    def loss_of_block(self, i, training=True):
        """The mean loss of block i in nats, the loss to minimise, and log-probabilities [B,M,V].
        Moves the memory on."""
        M = self.config.block
        ids = self.tokens[:, i * M:(i + 1) * M]
        targets = self.tokens[:, i * M + 1:(i + 1) * M + 1]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            logits, self.memory, span_sum = model.forward(
                self.config, self.parameters, ids, self.memory, training)
            log_probabilities = torch.log_softmax(logits, -1)
            nll = F.nll_loss(log_probabilities.flatten(0, 1).float(), targets.flatten())
        return nll, nll + self.config.span_loss * span_sum, log_probabilities

    def step(self):
        """Returns the mean loss in nats."""
        nll, loss, _ = self.loss_of_block(self.steps)
        loss.backward()
        self.steps += 1
        warm = min(1, self.steps / self.config.warmup) if self.config.warmup else 1
        self.optimizer.update(self.config.lr * warm)
        for ratio in self.ratios():
            ratio.data.clamp_(0, 1)
        return nll.item()

    @torch.no_grad()
    def evaluate(self):
        """The mean loss over all whole blocks, from an empty memory, in nats"""
        self.memory = model.empty_memory(self.config)
        blocks = (self.tokens.shape[1] - 1) // self.config.block
        return sum(self.loss_of_block(i, training=False)[0].item() for i in range(blocks)) / blocks
