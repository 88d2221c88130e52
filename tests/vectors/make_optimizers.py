#!/usr/bin/env python3
"""Reference trajectories of optimizers, run in PyTorch in float64; writes optimizers.json beside itself.

The problem: two tensors of different shapes whose gradients are given, not computed, so that a rule's whole history
shows. With k the row-major index of an element and t = 1, 2, ... the step:
    "a" 2x3:  start 0.5 k - 1.2,  gradient sin(1.7 t + 0.9 k) (1 + 0.5 k)
    "b" 4:    start 0.3 k - 0.4,  gradient cos(1.3 t + 0.7 k)

optimizers: spec in descent's words; clip, a global norm (0: none); fade, by which gradients shrink from step to step;
values of a and b after each of the steps in AFTER; mean, the same of ASGD's averages.
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


def trajectory(make, clip, fade, state=None):
    params = start()
    optimizer = make(params)
    values = {}
    for t in range(1, max(AFTER) + 1):
        set_gradients(params, t)
        for p in params:
            p.grad *= fade ** (t - 1)
        if clip:
            torch.nn.utils.clip_grad_norm_(params, clip)
        optimizer.step()
        if t in AFTER:
            shown = [optimizer.state[p][state] if state else p.detach() for p in params]
            values[str(t)] = [x.flatten().tolist() for x in shown]
    return values


def row(spec, make, clip=0, fade=1):
    return {"spec": spec, "clip": clip, "fade": fade, "values": trajectory(make, clip, fade)}


def made(name, **options):
    return lambda params: getattr(torch.optim, name)(params, **options)


def others():
    """One row each of what golden.json has in an older PyTorch's words, and what it cannot tell apart: AMSGrad is not
    Adam once gradients shrink."""
    adam_like = {"betas": (0.8, 0.95), "eps": 1e-7, "weight_decay": 0.1}
    end = "beta1=0.8,beta2=0.95,eps=1e-7,weight_decay=0.1"
    asgd = made("ASGD", lr=0.02, lambd=0.01, alpha=0.6, t0=5, weight_decay=0.1)
    rows = [
        row("asgd:lr=0.02,lambda=0.01,alpha=0.6,t0=5,weight_decay=0.1", asgd),
        row("rprop:lr=0.02,shrink=0.6,grow=1.1", made("Rprop", lr=0.02, etas=(0.6, 1.1))),
        row("adagrad:lr=0.02,lr_decay=0.05,initial=0.2,weight_decay=0.1",
            made("Adagrad", lr=0.02, lr_decay=0.05, initial_accumulator_value=0.2, weight_decay=0.1)),
        row("adadelta:lr=0.5,rho=0.8,eps=1e-5,weight_decay=0.1",
            made("Adadelta", lr=0.5, rho=0.8, eps=1e-5, weight_decay=0.1)),
        row("rmsprop:lr=0.02,alpha=0.9,weight_decay=0.1", made("RMSprop", lr=0.02, alpha=0.9, weight_decay=0.1)),
        row("rmsprop:lr=0.02,alpha=0.9,momentum=0.7,centered,weight_decay=0.1",
            made("RMSprop", lr=0.02, alpha=0.9, momentum=0.7, centered=True, weight_decay=0.1)),
        row(f"adamax:lr=0.004,{end}", made("Adamax", lr=0.004, **adam_like)),
        row(f"nadam:lr=0.004,psi=0.01,{end}", made("NAdam", lr=0.004, momentum_decay=0.01, **adam_like)),
        row(f"radam:lr=0.002,{end}", made("RAdam", lr=0.002, **adam_like)),
        row(f"adam:lr=0.01,{end}", adam(lr=0.01, **adam_like), fade=0.9),
        row(f"amsgrad:lr=0.01,{end}", adam(lr=0.01, amsgrad=True, **adam_like), fade=0.9),
    ]
    rows[0]["mean"] = trajectory(asgd, 0, 1, "ax")
    return rows


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
    return rows + others() + [
        row("sgd:lr=0.1", sgd(lr=0.1), clip=1.0),
        row("sgd:lr=0.2", sgd(lr=0.2), clip=0.7),
        row("adamw:lr=0.001,beta1=0.5,weight_decay=0.3", adamw(lr=1e-3, betas=(0.5, 0.999), weight_decay=0.3), clip=1.0),
    ]


if __name__ == "__main__":
    data = {"torch": torch.__version__, "optimizers": optimizers()}
    text = json.dumps(data).replace('{"spec"', '\n{"spec"')
    pathlib.Path(__file__).with_name("optimizers.json").write_text(text + "\n")
