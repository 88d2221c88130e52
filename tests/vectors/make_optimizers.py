#!/usr/bin/env python3
"""Reference trajectories of optimizers, run in PyTorch in float64; writes optimizers.json beside itself.

The problem: two tensors of different shapes whose gradients are given, not computed, so that a rule's whole history
shows. With k the row-major index of an element and t = 1, 2, ... the step:
    "a" 2x3:  start 0.5 k - 1.2,  gradient sin(1.7 t + 0.9 k) (1 + 0.5 k)
    "b" 4:    start 0.3 k - 0.4,  gradient cos(1.3 t + 0.7 k)

optimizers: spec in descent's words, clip (global norm, 0: none), values of a and b after each of the steps in `after`.
"""
import json
import math
import pathlib

import torch

AFTER = [1, 2, 8, 50]
torch.set_default_dtype(torch.float64)


def start():
    a = torch.tensor([0.5 * k - 1.2 for k in range(6)]).reshape(2, 3)
    b = torch.tensor([0.3 * k - 0.4 for k in range(4)])
    return [torch.nn.Parameter(a), torch.nn.Parameter(b)]


def set_gradients(params, t):
    a, b = params
    a.grad = torch.tensor([math.sin(1.7 * t + 0.9 * k) * (1 + 0.5 * k) for k in range(6)]).reshape(2, 3)
    b.grad = torch.tensor([math.cos(1.3 * t + 0.7 * k) for k in range(4)])


def trajectory(make, clip):
    params = start()
    optimizer = make(params)
    values = {}
    for t in range(1, max(AFTER) + 1):
        set_gradients(params, t)
        if clip:
            torch.nn.utils.clip_grad_norm_(params, clip)
        optimizer.step()
        if t in AFTER:
            values[str(t)] = [p.detach().flatten().tolist() for p in params]
    return values


def row(spec, make, clip=0):
    return {"spec": spec, "clip": clip, "values": trajectory(make, clip)}


def sgd(**options):
    return lambda params: torch.optim.SGD(params, **options)


def adam(**options):
    return lambda params: torch.optim.Adam(params, **options)


def adamw(**options):
    return lambda params: torch.optim.AdamW(params, **options)


def optimizers():
    rows = [row("sgd:lr=0.1", sgd(lr=0.1)), row("sgd:lr=0.2", sgd(lr=0.2))]
    rows += [row(f"sgd:lr={lr},weight_decay=0.1", sgd(lr=lr, weight_decay=0.1)) for lr in (0.1, 0.2)]
    for decay in (0, 0.1):
        end = f",weight_decay={decay}"
        for lr, mu in ((0.1, 0.9), (0.2, 0.7)):
            options = {"lr": lr, "momentum": mu, "weight_decay": decay}
            rows += [
                row(f"momentum:lr={lr},momentum={mu}{end}", sgd(**options)),
                row(f"momentum:lr={lr},momentum={mu},dampening=0.5{end}", sgd(**options, dampening=0.5)),
                row(f"nesterov:lr={lr},momentum={mu}{end}", sgd(**options, nesterov=True)),
            ]
        for lr, b1, b2, eps in ((1e-3, 0.9, 0.999, 1e-8), (2e-3, 0.8, 0.95, 1e-7), (1e-3, 0.9, 0.999, 1e-3)):
            options = {"lr": lr, "betas": (b1, b2), "eps": eps, "weight_decay": decay}
            spec = f"lr={lr},beta1={b1},beta2={b2},eps={eps}{end}"
            rows.append(row(f"adam:{spec}", adam(**options)))
            if decay:  # without decay AdamW is Adam
                rows.append(row(f"adamw:{spec}", adamw(**options)))
    return rows + [
        row("sgd:lr=0.1", sgd(lr=0.1), clip=1.0),
        row("sgd:lr=0.2", sgd(lr=0.2), clip=0.7),
        row("adamw:lr=0.001,beta1=0.5,weight_decay=0.3", adamw(lr=1e-3, betas=(0.5, 0.999), weight_decay=0.3), clip=1.0),
    ]


if __name__ == "__main__":
    data = {"torch": torch.__version__, "optimizers": optimizers()}
    text = json.dumps(data).replace('{"spec"', '\n{"spec"')
    pathlib.Path(__file__).with_name("optimizers.json").write_text(text + "\n")
