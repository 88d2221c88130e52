#!/usr/bin/env python3
"""Makes the parity-*.safetensors: one training step of each network in
PyTorch, float64, which tests/nn/parity.c repeats in descent's float32. Run by hand where torch, numpy and
safetensors are installed; the files are committed.

Parameters, running statistics and inputs are not stored: both sides compute them with `formula`, from
numbers that float32 holds exactly. The exceptions are the biases in front of a ReLU, stored as value.NAME:
they are shifted so that no input of any ReLU is closer than MARGIN to 0. Without that, a rounding error of
float32 somewhere in resnet20's 750,000 activations turns a gradient on or off, and the comparison measures
luck.

    labels             classes of the samples, int32
    value.NAME         initial value of a parameter that does not follow the formula, float32
    logits, loss       of the first BATCH samples, training mode, float64
    grad.NAME          gradient of the mean loss, float32
    after.NAME         running statistics after the step, float32
    trajectory.NAME    lenet5: loss before each of STEPS optimizer steps, each on the next samples, float64
"""

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "bench"))
import networks  # noqa: E402

BATCH, STEPS, CLASSES = 4, 5, 10
MARGIN = 1e-3  # from any ReLU input to 0
POOL_MARGIN = 5e-6  # from the largest to the second largest value of a pooling window
BLOCKS = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in (0, 1, 2)]
NARROW = {"2c2d": 1 / 16, "3c3d": 1 / 8}  # their widths, for small files
CASES = {  # name: (sample in height x width x channels, biases in the order of the ReLUs they feed)
    "lenet5": ((28, 28, 1), ["conv1.bias", "conv2.bias", "fc1.bias", "fc2.bias"]),
    "cnn": ((28, 28, 1), ["bn1.bias", "bn2.bias", "fc1.bias"]),
    "2c2d": ((28, 28, 1), ["conv1.bias", "conv2.bias", "fc1.bias"]),
    "3c3d": ((32, 32, 3), ["conv1.bias", "conv2.bias", "conv3.bias", "fc1.bias", "fc2.bias"]),
    "resnet20": ((32, 32, 3), ["bn1.bias"] + [f"{block}.bn{i}.bias" for block in BLOCKS for i in (1, 2)]),
}


def fnv1a(text):
    """descent_hash of base/random.h."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def uniform(name, size):
    """Multiples of 2^-15 in [-1, 1): the finalizer of MurmurHash3 over consecutive numbers."""
    h = np.arange(size, dtype=np.uint32) + np.uint32(fnv1a(name) % 2**32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return (h >> np.uint32(16)).astype(np.float64) / 2**15 - 1


def formula(name, shape):
    """Weights: uniform, bounded by the power of two below He's sqrt(6 / fan-in). Scales and variances:
    around 1. The rest: around 0."""
    size = int(np.prod(shape))
    center, bound = (1, 0.25) if name.endswith(("weight", "running_var")) else (0, 0.25)
    if len(shape) > 1:
        center, bound = 0, 1.0
        while bound * bound * (size // shape[0]) > 6:
            bound /= 2
    return (center + bound * uniform(name, size)).reshape(shape)


def inputs(sample, batches):
    """The first samples, in descent's NHWC order of the formula and PyTorch's NCHW view of it; labels."""
    count = batches * BATCH
    x = uniform("x", count * int(np.prod(sample))).reshape(count, *sample).transpose(0, 3, 1, 2)
    labels = ((uniform("labels", count) + 1) * (CLASSES / 2)).astype(np.int32)
    return torch.from_numpy(x.copy()), labels


def shift_biases(model, x, biases):
    """Moves each ReLU's inputs, a channel at a time, so that 0 is in the middle of their widest gap in
    [-1/2, 1/2]."""
    parameters, relu, calls = dict(model.named_parameters()), F.relu, iter(biases)

    def shifting(z, inplace=False):
        channels = z.transpose(0, 1).flatten(1).clamp(-0.5, 0.5)
        ends = torch.tensor([[-0.5, 0.5]], dtype=z.dtype).expand(len(channels), 2)
        values = torch.cat([channels, ends], 1).sort(1).values
        widest = values.diff(dim=1).argmax(1, keepdim=True)
        middle = (values.gather(1, widest) + values.gather(1, widest + 1)) / 2
        bias = parameters[next(calls)]
        before = bias.clone()
        bias.copy_((bias - middle[:, 0]).float())
        return relu(z + (bias - before).reshape(1, -1, *[1] * (z.dim() - 2)))

    with torch.no_grad(), mock.patch.object(F, "relu", shifting):
        model(x)
    assert next(calls, None) is None, "fewer ReLUs than biases"


def check_margins(model, x):
    """Fails if rounding to float32 could change which ReLU is on or which value a pooling window takes."""
    relu, pool, margins = F.relu, F.max_pool2d, {"relu": [], "pool": []}

    def watched_relu(z, inplace=False):
        margins["relu"].append(z.abs().min().item())
        return relu(z)

    def watched_pool(z, size, stride=None, padding=0):
        padded = F.pad(z, [padding] * 4)  # with zeros, which no value after a ReLU is below
        windows = padded.unfold(2, size, stride or size).unfold(3, size, stride or size).flatten(4)
        top = windows.topk(2, 4).values
        margins["pool"].append((top[..., 0] - top[..., 1])[top[..., 0] > 0].min().item())
        return pool(z, size, stride, padding)

    with torch.no_grad(), mock.patch.multiple(F, relu=watched_relu, max_pool2d=watched_pool):
        model(x)
    smallest = {key: min(values, default=None) for key, values in margins.items()}
    assert smallest["relu"] > MARGIN and (smallest["pool"] or 1) > POOL_MARGIN, smallest
    return smallest


def load(model, values):
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            tensor.copy_(torch.from_numpy(values[name] if name in values else formula(name, tensor.shape)))


def one_step(model, x, labels):
    logits = model(x)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    result = {"logits": logits.detach().numpy(), "loss": np.array([loss.item()])}
    for name, parameter in model.named_parameters():
        result["grad." + name] = parameter.grad.numpy().astype(np.float32)
    for name, buffer in model.named_buffers():
        if not name.endswith("num_batches_tracked"):
            result["after." + name] = buffer.numpy().astype(np.float32)
    return result


def trajectory(model, x, labels, make_optimizer):
    """Losses of the steps on consecutive batches. Like descent's, the optimizer does not decay biases."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    biases = [p for p in model.parameters() if p.dim() == 1]
    optimizer = make_optimizer([{"params": weights}, {"params": biases, "weight_decay": 0}])
    losses = []
    for batch in range(STEPS):
        part = slice(batch * BATCH, (batch + 1) * BATCH)
        loss = F.cross_entropy(model(x[part]), labels[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def make(name, sample, biases):
    x, classes = inputs(sample, STEPS if name == "lenet5" else 1)
    labels = torch.from_numpy(classes).long()
    width = {"width": NARROW[name]} if name in NARROW else {}
    model = networks.NETWORKS[name](**width).double().train()
    load(model, {})
    shift_biases(model, x[:BATCH], biases)
    values = {bias: model.get_parameter(bias).detach().numpy().copy() for bias in biases}
    margins = check_margins(model, x[:BATCH])

    load(model, values)  # anew, because the passes above moved the running statistics
    tensors = {"labels": classes}
    tensors |= {"value." + key: value.astype(np.float32) for key, value in values.items()}
    tensors |= one_step(model, x[:BATCH], labels[:BATCH])
    if name == "lenet5":
        optimizers = {
            "momentum": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.01),
            "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.003, weight_decay=0.1),
        }
        for key, make_optimizer in optimizers.items():
            load(model, values)
            tensors["trajectory." + key] = trajectory(model, x, labels, make_optimizer)
    path = HERE / f"parity-{name}.safetensors"
    save_file(
        tensors, path, metadata={"made_by": "tests/vectors/make_parity.py", "torch": torch.__version__}
    )
    path.chmod(0o644)
    print(path.name, margins)


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name, *CASES[name])
