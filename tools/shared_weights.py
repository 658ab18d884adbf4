# SPDX-License-Identifier: MIT
"""Tensors that the paper's program has, and saves, under two names: the spans beside persistent
vectors, and vectors and projections that output and input share. Ours are there once. And the order
in which that program numbers all others.

weights: {name: tensor}
"""
import torch

SPANS, PERSISTENT = "adaptive_span._mask.current_val", "persistent_memory."


class Unexpected(Exception):
    """What was expected, and what there is"""


def span_names(weights):
    """{name beside the persistent vectors: name} of the spans"""
    names = {}
    for key in weights:
        if key.endswith(PERSISTENT + "key"):
            attention = key[:-len(PERSISTENT + "key")]
            if attention + SPANS in weights:
                names[attention + PERSISTENT + SPANS] = attention + SPANS
    return names


def cluster_sizes(weights):
    """[(V_i, d_i)] of adaptive input and output; none without"""
    sizes = []
    while (name := f"in_emb.emb_layers.{len(sizes)}.weight") in weights:
        if weights[name].dim() != 2:
            raise Unexpected(f"{name} of two extents; got shape {list(weights[name].shape)}")
        sizes.append(tuple(weights[name].shape))
    return sizes


def output_names(weights):
    """{the output's name: the input's} of what may be tied"""
    names = {}
    for i in range(len(cluster_sizes(weights))):
        names[f"out_emb.out_layers.{i}.weight"] = f"in_emb.emb_layers.{i}.weight"
        names[f"out_emb.out_projs.{i}"] = f"in_emb.emb_projs.{i}"
    return {second: first for second, first in names.items() if first in weights}


def is_tied(weights):
    """Whether the output has no vectors and projections, or the same numbers in them as the input,
    which without tying are drawn by themselves."""
    names = output_names(weights)
    return bool(names) and all(
        second not in weights or torch.equal(weights[second], weights[first])
        for second, first in names.items())


def second_names(weights):
    return span_names(weights) | (output_names(weights) if is_tied(weights) else {})


def without_second_names(weights):
    """Raises Unexpected where the two are not the same."""
    names = second_names(weights)
    for second, first in names.items():
        if second in weights and not torch.equal(weights[second], weights[first]):
            raise Unexpected(f"{second} to be the same as {first}; got other numbers")
    return {name: x for name, x in weights.items() if name not in names}


def with_second_names(weights):
    """Both names are of one tensor, which torch.save then writes once."""
    return weights | {second: weights[first] for second, first in second_names(weights).items()}


def in_order_of_program(weights):
    """Its optimizer numbers a layer's persistent vectors before the projections, ours after."""
    ordered = {}
    for name, x in weights.items():
        if name.endswith("attn.proj_query.weight"):
            vectors = name[:-len("proj_query.weight")] + "attn." + PERSISTENT
            ordered |= {vectors + last: weights[vectors + last] for last in ("key", "val")
                        if vectors + last in weights}
        ordered.setdefault(name, x)
    return ordered
