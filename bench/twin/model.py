# SPDX-License-Identifier: MIT
"""The adaptive-span transformer (arXiv 1905.07799) as one writes it in PyTorch, to compare with.

Every head of a layer is computed over the layer's window W, that of its widest head; weights
beyond a head's own span are masked to 0. With persistent vectors (arXiv 1907.01470) a layer has
no feed-forward part.

Sizes: B sequences, M block length, L layers, H hidden, K heads, D = H/K, V vocabulary, S span
limit, R ramp, C steps in memory, W <= S window, P persistent vectors, N = B*K. Activations are
[B,M,H]. A window's W columns are distances W, W-1, ..., 1: the last column is the previous token.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

import adaptive_io


@dataclass
class Config:
    """A model and how it is trained, under the names that recorded runs use."""
    layers: int = 8
    hidden: int = 256
    inner: int = 1024
    heads: int = 2
    vocab: int = 205
    span: int = 32  # S
    kind: str = "adaptive"  # of span: fixed, adaptive or dynamic
    ramp: int = 32
    span_init: float = 0.0
    span_loss: float = 0.0
    adapt_cache: bool = True
    pers_mem: int = 0  # P; above 0 there are no feed-forward layers
    adapt_io_cutoffs: tuple = ()  # none: one table and one softmax for all tokens
    adapt_io_divval: int = 4
    adapt_io_tied: bool = False
    dropout: float = 0.0
    emb_dropout: float = 0.0
    optim: str = "adagrad"  # or adam, sgd
    lr: float = 0.07
    momentum: float = 0.0  # of sgd
    warmup: int = 0
    grad_clip: float = 0.0
    block: int = 256
    batch: int = 64
    batch_split: int = 1  # parts of the batch, one after the other


def fresh_parameters(c, seed):
    """{name: tensor}, names and order those of Adaspan's checkpoints and of the paper's code"""
    H, D, P = c.hidden, c.hidden // c.heads, c.pers_mem
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=draw)

    def uniform(fan_in, *shape):
        return (torch.rand(shape, generator=draw) * 2 - 1) / math.sqrt(fan_in)

    p = {"key_pe": normal(1, D, c.span)}
    if c.adapt_io_cutoffs:
        p |= adaptive_io.fresh_parameters(c, normal, uniform)
    else:
        p |= {"in_emb.weight": normal(c.vocab, H), "out_emb.weight": uniform(H, c.vocab, H),
              "out_emb.bias": uniform(H, c.vocab)}
    for n in range(c.layers):
        layer = {}
        if c.kind == "adaptive":
            layer["attn.attn.adaptive_span._mask.current_val"] = torch.full(
                (c.heads, 1, 1), c.span_init)
        elif c.kind == "dynamic":
            layer["attn.attn.dynamic_span.weight"] = torch.zeros(c.heads, H)
            layer["attn.attn.dynamic_span.bias"] = torch.full((c.heads,), -4.0)
        if P:
            layer["attn.attn.persistent_memory.key"] = normal(c.heads, D, P) / math.sqrt(D)
            layer["attn.attn.persistent_memory.val"] = normal(c.heads, P, D) / math.sqrt(P)
        for name in ("query", "out", "val", "key"):
            layer[f"attn.proj_{name}.weight"] = uniform(H, H, H)
        layer["norm1.weight"], layer["norm1.bias"] = torch.ones(H), torch.zeros(H)
        if not P:
            layer["ff.fc1.weight"] = uniform(H, c.inner, H)
            layer["ff.fc1.bias"] = uniform(H, c.inner)
            layer["ff.fc2.weight"] = uniform(c.inner, H, c.inner)
            layer["ff.fc2.bias"] = uniform(c.inner, H)
            layer["norm2.weight"], layer["norm2.bias"] = torch.ones(H), torch.zeros(H)
        p.update({f"layers.{n}.{name}": tensor for name, tensor in layer.items()})
    return {name: tensor.requires_grad_() for name, tensor in p.items()}


def shared_names(c):
    """{second name: first} of the tensors that the paper's code knows, and saves, under two"""
    names = adaptive_io.shared_names(c) if c.adapt_io_cutoffs else {}
    if c.pers_mem and c.kind == "adaptive":
        for n in range(c.layers):
            span = "adaptive_span._mask.current_val"
            names[f"layers.{n}.attn.attn.persistent_memory.{span}"] = f"layers.{n}.attn.attn.{span}"
    return names


def of_layer(p, n):
    """The parameters of layer n, under their names within it"""
    prefix = f"layers.{n}."
    return {name[len(prefix):]: x for name, x in p.items() if name.startswith(prefix)}


def spans(c, w, h):
    """z, how far each head looks back: [K,1,1], or dynamic [B,K,M,1]; None for fixed spans."""
    if c.kind == "adaptive":
        return c.span * w["attn.attn.adaptive_span._mask.current_val"]
    if c.kind == "dynamic":
        logit = F.linear(h, w["attn.attn.dynamic_span.weight"], w["attn.attn.dynamic_span.bias"])
        return c.span * torch.sigmoid(logit.float()).transpose(1, 2).unsqueeze(-1)
    return None


def window(c, z):
    """W = S - 64 floor(min(S-1, S-E) / 64), E = ceil(max z) + R the effective span"""
    if z is None:
        return c.span
    E = min(max(math.ceil(z.max().item()) + c.ramp, 0), c.span)
    return c.span - 64 * (min(c.span - 1, c.span - E) // 64)


def windows(c, p):
    """W of each layer, from the parameters alone and so known before a step; None for dynamic
    spans, which are known only on the way."""
    if c.kind == "dynamic":
        return [None] * c.layers
    return [window(c, spans(c, of_layer(p, n), None)) for n in range(c.layers)]


def span_mask(z, W, R):
    """m_z(u) = clamp((R + z - u) / R, 0, 1), u = W-1 ... 0 the columns of a window"""
    u = torch.arange(W - 1, -1, -1, dtype=torch.float32)
    return ((R + z - u) / R).clamp(0, 1)


def keys_to_distances(x):
    """[N,M,M+W] -> [N,M,W]: the query of row m finds its window in columns m ... m+W-1. Rows one
    longer than they are, read from the same memory, start one column further right each."""
    N, M, columns = x.shape
    x = F.pad(x.reshape(N, M * columns), (0, M))
    return x.view(N, M, columns + 1)[:, :, :columns - M]


def distances_to_keys(x):
    """[N,M,W] -> [N,M,M+W], the way back; 0 outside the window"""
    N, M, W = x.shape
    x = F.pad(x, (0, M + 1)).view(N, M * (M + W + 1))
    return x[:, :M * (M + W)].view(N, M, M + W)


def attention_weights(c, scores, z, W, training):
    """[B,K,M,W+P] -> those of the window [B,K,M,W] and, if there are any, of the persistent vectors
    [B,K,M,P]: one softmax over both, of which the mask leaves out parts of the window."""
    a = torch.softmax(scores, dim=-1)
    parts = a.split([W, c.pers_mem], -1) if c.pers_mem else [a]
    if z is not None:
        parts = [parts[0] * span_mask(z, W, c.ramp).to(a.dtype), *parts[1:]]
        # + 1e-20: 0 weights where all the mass is masked
        total = sum(x.sum(-1, keepdim=True) for x in parts) + 1e-20
        parts = [x / total for x in parts]
    return [F.dropout(x, c.dropout, training) for x in parts]


def attention(c, w, h, memory, z, W, positions, training):
    """out_t = sum_r a_tr v_r,  a = m e^s / sum_r m e^s,  s_tr = (q_t.k_r + q_t.p_{t-r}) / sqrt(D)

    Persistent vectors are further keys and values, without positions and never masked.
    h [B,M,H], memory [B,C,H], positions [1,D,S] -> [B,M,H]
    """
    B, M, H = h.shape
    K, D = c.heads, H // c.heads

    def heads(x):  # [B,T,H] -> [N,T,D]
        return x.view(B, -1, K, D).transpose(1, 2).reshape(B * K, -1, D)

    def of_window(x):  # the last W+M steps; before the first there are zeros
        missing = W + M - x.shape[1]
        return F.pad(x, (0, 0, missing, 0)) if missing > 0 else x[:, -(W + M):]

    h_all = torch.cat([memory, h], dim=1)
    q = heads(F.linear(h, w["attn.proj_query.weight"])) / math.sqrt(D)
    k = heads(of_window(F.linear(h_all, w["attn.proj_key.weight"])))
    v = heads(of_window(F.linear(h_all, w["attn.proj_val.weight"])))

    scores = keys_to_distances(q @ k.transpose(1, 2)) + q @ positions[0, :, -W:]  # [N,M,W]
    scores = scores.view(B, K, M, W)
    if c.pers_mem:
        keys = math.sqrt(D) * w["attn.attn.persistent_memory.key"]  # [K,D,P]
        scores = torch.cat([scores, q.view(B, K, M, D) @ keys], -1)
    a, *persistent = attention_weights(c, scores, z, W, training)
    out = (distances_to_keys(a.reshape(B * K, M, W)) @ v).view(B, K, M, D)
    if persistent:
        values = math.sqrt(c.pers_mem) * w["attn.attn.persistent_memory.val"]  # [K,P,D]
        out = out + persistent[0] @ values
    return F.linear(out.transpose(1, 2).reshape(B, M, H), w["attn.proj_out.weight"])


def layer_norm(w, name, x):
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])


def feed_forward(c, w, x, training):
    inner = F.relu(F.linear(x, w["ff.fc1.weight"], w["ff.fc1.bias"]))
    return F.linear(F.dropout(inner, c.dropout, training), w["ff.fc2.weight"], w["ff.fc2.bias"])


def memory_length(c, W):
    adapts = c.adapt_cache and c.kind == "adaptive"
    return min(c.span, W + 64) if adapts else c.span


def longer_memory(c, memory, h, W):
    """What a layer remembers after this block: the last steps of [memory;h], without gradient."""
    return torch.cat([memory, h.detach()], dim=1)[:, -memory_length(c, W):].clone()


def empty_memory(c):
    """Before its start a stream has zeros, which take attention."""
    return [torch.zeros(c.batch, c.span, c.hidden) for _ in range(c.layers)]


def embed(c, p, ids):
    """ids [B,M] -> [B,M,H]"""
    if c.adapt_io_cutoffs:
        return adaptive_io.embed(c, p, ids)
    return F.embedding(ids, p["in_emb.weight"])


def forward(c, p, ids, memory, layer_windows, training=True):
    """ids [B,M] -> what the output is made of [B,M,H], the next memory, and the sum over layers of
    the mean span."""
    next_memory, span_sum = [], torch.zeros(())
    h = F.dropout(embed(c, p, ids), c.emb_dropout, training)
    for n in range(c.layers):
        w = of_layer(p, n)
        z = spans(c, w, h)
        if z is not None:
            span_sum = span_sum + z.mean()
        W = layer_windows[n] or window(c, z)
        next_memory.append(longer_memory(c, memory[n], h, W))
        h = layer_norm(w, "norm1",
                       h + attention(c, w, h, memory[n], z, W, p["key_pe"], training))
        if not c.pers_mem:
            h = layer_norm(w, "norm2", h + feed_forward(c, w, h, training))
    return F.dropout(h, c.emb_dropout, training), next_memory, span_sum


def log_probabilities(c, p, h):
    """h [T,H] -> of every token [T,V]"""
    if c.adapt_io_cutoffs:
        return adaptive_io.log_probabilities(c, p, h)
    return torch.log_softmax(F.linear(h, p["out_emb.weight"], p["out_emb.bias"]), -1)


def nll(c, p, h, targets):
    """h [T,H], targets [T] -> the mean of -log p of the targets, in nats"""
    if c.adapt_io_cutoffs:
        return adaptive_io.nll(c, p, h, targets)
    return F.nll_loss(log_probabilities(c, p, h).float(), targets)
