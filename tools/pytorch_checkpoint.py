#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Between checkpoints of the paper's PyTorch program and Adaspan's.

usage: pytorch_checkpoint.py to-safetensors FILE.pt OUT.safetensors      for `adaspan import`
       pytorch_checkpoint.py from-safetensors CHECKPOINT FILE.pt [ema]   for `adaspan export`;
                                                     ema: of the averages of the weights

The paper's program saves a dict:
  iter_no         the last round of nbatches steps that was finished, counted from 0
  model           the weights, some under two names (shared_weights.py), and as buffers the
                  distances of each span mask; the model is wrapped in a module, so that every
                  name begins with "module."
  optimizer       the optimizer's state_dict, with parameters by number, in the order of the weights
  scheduler_iter  steps done; only with a warm-up
  logger          the course of the training, which is not carried over
Errors are one line, exit status 2.
"""
import json
import os
import sys
from collections import OrderedDict
from itertools import accumulate


def complain(text):
    print(" ".join(text.split("\n")), file=sys.stderr)
    sys.exit(2)


try:
    import torch
except ImportError:
    complain(f"[pytorch] expected {sys.executable} to have PyTorch; got none; install it (Debian, "
             "Ubuntu: package python3-torch) or give --python FILE with another Python")

import safetensors_file
import shared_weights
import torch_file

WRAPPER = "module."
MASK = "adaptive_span._mask."
DYNAMIC = "attn.attn.dynamic_span."
PERSISTENT_KEYS = "layers.0.attn.attn.persistent_memory.key"
# torch's name of what an optimizer remembers of each parameter: ours
SLOTS = {"adagrad": {"sum": "sum"},
         "adam": {"exp_avg": "mean", "exp_avg_sq": "square"},
         "sgd": {"momentum_buffer": "momentum"}}


class Refused(Exception):
    """What is wrong, in one line"""


def require(good, text):
    if not good:
        raise Refused(f"[pytorch] expected {text}")


def keys(x):
    x = [str(key) for key in x]
    return ", ".join(x[:5] + ["..."] * (len(x) > 5)) or "none"


def loaded(load, path, what):
    try:
        return load(path)
    except OSError:
        raise
    except Exception as e:  # a damaged file can raise anything
        raise Refused(f"[pytorch] expected {what} at {path}; got: {str(e) or type(e).__name__}; "
                      "is it damaged?") from e


def read_checkpoint(path):
    state = loaded(torch_file.load, path, "what torch.save wrote")
    hint = "only checkpoints of the paper's program can be read"
    require(isinstance(state, dict),
            f"a dict in {path}; got an object of class {type(state).__name__}; {hint}")
    for key, kind in {"iter_no": int, "model": dict, "optimizer": dict}.items():
        require(isinstance(state.get(key), kind),
                f"'{key}' as the paper's program saves it in {path}; got the keys {keys(state)}; "
                f"{hint}")
    return state


def weights_of(model):
    """{name: float32 tensor} without buffers, each under its first name, in the order of the
    model's parameters"""
    weights = {}
    for name, x in model.items():
        require(isinstance(name, str) and name.startswith(WRAPPER) and torch.is_tensor(x),
                f"tensors with names that begin with {WRAPPER} as weights; got {name}")
        if not name.endswith(MASK + "mask_template"):
            weights[name[len(WRAPPER):]] = x.detach().float()
    return shared_weights.without_second_names(weights)


def slot_of(entry, slot, name, weight):
    x = entry.get(slot)
    if x is None and slot == "momentum_buffer":  # there is none before the first step
        return torch.zeros_like(weight)
    require(torch.is_tensor(x) and x.shape == weight.shape,
            f"the optimizer's {slot} of {name} to have the shape {list(weight.shape)}; got "
            f"{list(x.shape) if torch.is_tensor(x) else 'none'}; is its state of this model?")
    return x.float()


def optimizer_state(optimizer, weights):
    """The optimizer's name, the steps it counted (None: it does not), and its memory, under our
    names."""
    try:
        numbers = [i for group in optimizer["param_groups"] for i in group["params"]]
        entries = [optimizer["state"].get(i, {}) for i in numbers]
        found = {slot for entry in entries for slot in entry} - {"step"}
        steps = {int(entry["step"]) for entry in entries if "step" in entry}
    except (AttributeError, KeyError, TypeError, ValueError) as e:
        raise Refused("[pytorch] expected the state_dict of an optimizer; got one without "
                      f"{e}") from e
    require(len(numbers) == len(weights),
            f"an optimizer of {len(weights)} parameters, as the model has; got {len(numbers)}")
    require(len(steps) <= 1, f"one count of steps; got {keys(sorted(steps))}")
    kinds = [kind for kind, slots in SLOTS.items() if found == set(slots)]
    require(kinds or not found,
            f"the state of Adagrad, Adam or SGD; got an optimizer that keeps {keys(sorted(found))}")
    kind = kinds[0] if kinds else "sgd"  # which without momentum keeps nothing
    memory = {f"optim.{ours}.{name}": slot_of(entry, theirs, name, weights[name])
              for theirs, ours in SLOTS[kind].items() for name, entry in zip(weights, entries)}
    return kind, next(iter(steps), None), memory


def extents(weights, name, count):
    require(name in weights, f"the weight {name}, as the paper's model has it; got none")
    shape = list(weights[name].shape)
    require(len(shape) == count and min(shape) > 0, f"{name} of {count} extents; got shape {shape}")
    return shape


def adaptive_io_of(weights, H):
    sizes = shared_weights.cluster_sizes(weights)
    if not sizes:
        return {}
    fits = (n for n in range(2, H + 1) if all(d == H // n ** i for i, (_, d) in enumerate(sizes)))
    divval = next(fits, None)
    require(divval and len(sizes) > 1, "two or more clusters of tokens, each of vectors narrower "
            f"by the same divisor of {H}; got widths {keys(d for _, d in sizes)}")
    cutoffs = accumulate(V for V, _ in sizes[:-1])
    return {"adapt-io": True, "adapt-io-tied": shared_weights.is_tied(weights),
            "adapt-io-divval": divval, "adapt-io-cutoffs": ",".join(map(str, cutoffs))}


def settings_of(weights, kind, group):
    """What the file tells of our settings; the rest only its user knows."""
    _, D, S = extents(weights, "key_pe", 3)
    H = extents(weights, "layers.0.attn.proj_query.weight", 2)[1]
    settings = {"nlayers": len({name.split(".")[1] for name in weights
                                if name.startswith("layers.")}),
                "hid-sz": H, "nheads": H // D, "attn-span": S,
                "adapt-span": any(MASK in name for name in weights),
                "dynamic-span": any(DYNAMIC in name for name in weights),
                "optim": kind, "lr": group.get("initial_lr", group.get("lr", 0))}
    if PERSISTENT_KEYS in weights:
        settings["pers-mem-size"] = extents(weights, PERSISTENT_KEYS, 3)[2]
    else:
        settings["inner-hid-sz"] = extents(weights, "layers.0.ff.fc1.weight", 2)[0]
    settings |= adaptive_io_of(weights, H)
    for ours, theirs in {"momentum": "momentum", "grad-clip": "grad_clip"}.items():
        if isinstance(group.get(theirs), (int, float)):
            settings[ours] = float(group[theirs])
    return settings


def steps_of(state, counted):
    """Steps done, if the file tells; the round is not enough, whose length it does not."""
    steps = state.get("scheduler_iter", counted)
    require(steps is None or isinstance(steps, int), f"a count of steps; got {steps}")
    return steps


def to_safetensors(source, target):
    state = read_checkpoint(source)
    weights = weights_of(state["model"])
    kind, counted, memory = optimizer_state(state["optimizer"], weights)
    header = {"settings": json.dumps(settings_of(weights, kind, state["optimizer"]["param_groups"][0])),
              "rounds": str(state["iter_no"] + 1)}
    steps = steps_of(state, counted)
    if steps is not None:
        header["steps"] = str(steps)
    safetensors_file.save(target, weights | memory, header)


def make_optimizer(settings, weights, learning_rate):
    if settings["optim"] == "adam":
        return torch.optim.Adam(weights, lr=learning_rate)
    if settings["optim"] == "sgd":
        return torch.optim.SGD(weights, lr=learning_rate, momentum=settings["momentum"])
    optimizer = torch.optim.Adagrad(weights, lr=learning_rate)
    # The paper's Adagrad clips by itself, and finds the bound here.
    optimizer.param_groups[0]["grad_clip"] = settings["grad-clip"]
    return optimizer


def model_state(weights):
    model = OrderedDict()
    for name, x in shared_weights.with_second_names(weights).items():
        model[WRAPPER + name] = x
        if name.endswith(MASK + "current_val"):  # u of each column, -distance + 1
            S = weights["key_pe"].shape[2]
            model[WRAPPER + name[:-len("current_val")] + "mask_template"] = torch.linspace(
                1 - S, 0, S)
    return model


AVERAGE = "ema."


def read_ours(path):
    tensors, header = safetensors_file.load(path, lambda name: not name.startswith("memory."))
    return json.loads(header["settings"]), json.loads(header["progress"]), tensors


def chosen_weights(tensors, average):
    """{name: tensor} of the weights, or under the same names of their averages"""
    if average:
        return {name[len(AVERAGE):]: x for name, x in tensors.items() if name.startswith(AVERAGE)}
    return {name: x for name, x in tensors.items() if not name.startswith(("optim.", AVERAGE))}


def from_safetensors(source, target, average=False):
    settings, progress, tensors = loaded(read_ours, source, "a checkpoint of Adaspan")
    step = progress["step"]
    updates = step - progress.get("guard", {}).get("skips", 0)
    weights = shared_weights.in_order_of_program(chosen_weights(tensors, average))
    warmup, learning_rate = settings["lr-warmup"], settings["lr"]
    if warmup > 0:
        learning_rate *= min(1, step / warmup)

    optimizer = make_optimizer(settings, list(weights.values()), learning_rate)
    for name, x in weights.items():
        slots = SLOTS[settings["optim"]].items()
        optimizer.state[x] = {theirs: tensors[f"optim.{ours}.{name}"] for theirs, ours in slots}
        if settings["optim"] != "sgd":
            optimizer.state[x]["step"] = updates  # a number: every PyTorch makes of it what it needs
    state = {"iter_no": step // settings["nbatches"] - 1, "model": model_state(weights),
             "logger": {}, "optimizer": optimizer.state_dict()}
    if warmup > 0:
        state["scheduler_iter"] = step
        state["optimizer"]["param_groups"][0]["initial_lr"] = settings["lr"]
    # The layout before 1.6 is the one that every PyTorch reads.
    torch.save(state, target, _use_new_zipfile_serialization=False)


def main():
    commands = {"to-safetensors": to_safetensors, "from-safetensors": from_safetensors}
    average = sys.argv[1:2] + sys.argv[4:] == ["from-safetensors", "ema"]
    if len(sys.argv) != 4 + average or sys.argv[1] not in commands:
        raise Refused(f"[pytorch] expected {' or '.join(commands)} and two files; got "
                      f"{keys(sys.argv[1:])}")
    source, target = sys.argv[2:4]
    written = f"{target}.tmp"  # what is at the target stays until the new file is whole
    try:
        commands[sys.argv[1]](source, written, *([True] if average else []))
        os.replace(written, target)
    finally:
        if os.path.exists(written):
            os.remove(written)


if __name__ == "__main__":
    try:
        main()
    except Refused as e:
        complain(str(e))
    except shared_weights.Unexpected as e:
        complain(f"[pytorch] expected {e}")
    except (OSError, RuntimeError) as e:  # torch.save raises the latter when the disk is full
        complain(f"[pytorch] expected to read {sys.argv[2]} and write {sys.argv[3]}; got: {e}")
