# SPDX-License-Identifier: MIT
"""Adaptive input and output (Grave et al. 2017; Baevski and Auli 2019): ids, sorted by falling
frequency, are cut into clusters, and rarer ones have narrower vectors and a softmax of their own.

Cluster i is ids first ... end-1, its vectors [V_i,d_i], d_i = H / divval^i, its projection [H,d_i].
A cluster without a token in the block has products of no rows: its gradients are 0, not missing, so
that every optimizer goes on moving it.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass
class Cluster:
    first: int
    end: int
    width: int  # d_i

    def rows(self, ids):
        """ids [T] -> where those of this cluster are"""
        return ((ids >= self.first) & (ids < self.end)).nonzero().squeeze(1)


def clusters(c):
    bounds = [0, *c.adapt_io_cutoffs, c.vocab]
    return [Cluster(first, end, c.hidden // c.adapt_io_divval ** i)
            for i, (first, end) in enumerate(zip(bounds, bounds[1:]))]


def fresh_parameters(c, normal, uniform):
    """{name: tensor}; where output and input are tied, they are there as the input's alone."""
    H, all_clusters = c.hidden, clusters(c)
    tails = len(all_clusters) - 1
    p = {f"in_emb.emb_layers.{i}.weight": normal(x.end - x.first, x.width)
         for i, x in enumerate(all_clusters)}
    p |= {f"in_emb.emb_projs.{i}": uniform(x.width, H, x.width)
          for i, x in enumerate(all_clusters)}
    p |= {"out_emb.cluster_proj.weight": uniform(H, tails, H),
          "out_emb.cluster_proj.bias": uniform(H, tails)}
    for i, x in enumerate(all_clusters):
        if not c.adapt_io_tied:
            p[f"out_emb.out_layers.{i}.weight"] = uniform(x.width, x.end - x.first, x.width)
        p[f"out_emb.out_layers.{i}.bias"] = uniform(x.width, x.end - x.first)
    if not c.adapt_io_tied:
        p |= {f"out_emb.out_projs.{i}": uniform(x.width, H, x.width)
              for i, x in enumerate(all_clusters)}
    return p


def shared_names(c):
    """{the output's name of a tensor: the input's} where they are tied"""
    count = len(clusters(c)) if c.adapt_io_tied else 0
    return {f"out_emb.out_layers.{i}.weight": f"in_emb.emb_layers.{i}.weight"
            for i in range(count)} | \
           {f"out_emb.out_projs.{i}": f"in_emb.emb_projs.{i}" for i in range(count)}


def embed(c, p, ids):
    """ids [B,M] -> sqrt(H) E_i[x] P_i^T, [B,M,H]"""
    flat = ids.flatten()
    h = torch.zeros(len(flat), c.hidden)
    for i, x in enumerate(clusters(c)):
        rows = x.rows(flat)
        vectors = F.embedding(flat[rows] - x.first, p[f"in_emb.emb_layers.{i}.weight"])
        h.index_copy_(0, rows, F.linear(vectors, p[f"in_emb.emb_projs.{i}"]).to(h.dtype))
    return (math.sqrt(c.hidden) * h).view(*ids.shape, c.hidden)


def cluster_logits(c, p, h, i):
    """h [T,H] -> logits_i = (h P_i) W_i^T + b_i, [T,V_i]; those of cluster 0 end with a column for
    each other cluster, the last one's first."""
    source = "in_emb.emb_{}." if c.adapt_io_tied else "out_emb.out_{}."
    projection = p[source.format("projs") + f"{i}"]
    weight, bias = p[source.format("layers") + f"{i}.weight"], p[f"out_emb.out_layers.{i}.bias"]
    if i == 0:
        weight = torch.cat([weight, p["out_emb.cluster_proj.weight"]])
        bias = torch.cat([bias, p["out_emb.cluster_proj.bias"]])
    return F.linear(h @ projection, weight, bias).float()


def nll(c, p, h, targets):
    """h [T,H], targets [T] -> the mean of -log p(cluster) - log p(token | cluster)"""
    head = cluster_logits(c, p, h, 0)  # [T, V_0 + tails]
    head_targets, total = targets.clone(), torch.zeros(())
    for i, x in enumerate(clusters(c)[1:], start=1):
        rows = x.rows(targets)
        head_targets[rows] = head.shape[1] - i
        total = total + F.cross_entropy(cluster_logits(c, p, h.index_select(0, rows), i),
                                        targets[rows] - x.first, reduction="sum")
    return (total + F.cross_entropy(head, head_targets, reduction="sum")) / len(targets)


def log_probabilities(c, p, h):
    """h [T,H] -> [T,V]"""
    head = torch.log_softmax(cluster_logits(c, p, h, 0), -1)
    parts = [head[:, :clusters(c)[0].end]]
    for i in range(1, len(clusters(c))):
        tail = torch.log_softmax(cluster_logits(c, p, h, i), -1)
        parts.append(head[:, -i, None] + tail)
    return torch.cat(parts, -1)
