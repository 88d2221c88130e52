#!/usr/bin/env python3
"""Reference trajectories of optimizers, run in float64 in PyTorch and in their authors' packages; writes optimizers.json
beside itself. Needs torch, timm, dadaptation, dog-optimizer.

The problem: two tensors of different shapes whose gradients are given, not computed, so that a rule's whole history
shows. With k the row-major index of an element and t = 1, 2, ... the step:
    "a" 2x3:  start 0.5 k - 1.2,  gradient sin(1.7 t + 0.9 k) (1 + 0.5 k)
    "b" 4:    start 0.3 k - 0.4,  gradient cos(1.3 t + 0.7 k)

optimizers: spec in descent's words; oracle, what was run; clip, a global norm (0: none); fade, by which gradients shrink
from step to step; values of a and b after each of the steps in AFTER; eval, the same of the weights to evaluate with.
"""
import importlib.metadata
import json
import math
import pathlib

import dadaptation
import dog
import timm.optim.adafactor
import torch

AFTER = [1, 2, 8, 50]
torch.set_default_dtype(torch.float64)


class Torch64:
    """PyTorch as its Muon sees it here: without the rounding to bfloat16."""
    bfloat16 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


torch.optim._muon.torch = Torch64()


def start():
    a = torch.tensor([0.5 * k - 1.2 for k in range(6)]).reshape(2, 3)
    b = torch.tensor([0.3 * k - 0.4 for k in range(4)])
    return [torch.nn.Parameter(a), torch.nn.Parameter(b)]


def set_gradients(params, t):
    a, b = params
    a.grad = torch.tensor([math.sin(1.7 * t + 0.9 * k) * (1 + 0.5 * k) for k in range(6)]).reshape(2, 3)
    b.grad = torch.tensor([math.cos(1.3 * t + 0.7 * k) for k in range(4)])


def oracle(optimizer):
    """ "PyTorch 2.15.0", "dadaptation 3.2": whose class it is. """
    package = type(optimizer).__module__.split(".")[0]
    name = {"torch": "PyTorch", "dog": "dog-optimizer"}.get(package, package)
    return f"{name} {importlib.metadata.version(name if package == 'dog' else package).split('+')[0]}"


def row(spec, make, clip=0, fade=1, average=None):
    """average: of optimizer and params, what gives the weights to evaluate with after each step."""
    params = start()
    made = make(params)
    optimizers = made if isinstance(made, list) else [made]
    evaluated = average and average(optimizers[0], params)
    result = {"spec": spec, "oracle": oracle(optimizers[0]), "clip": clip, "fade": fade, "values": {}}
    if average:
        result["eval"] = {}
    for t in range(1, max(AFTER) + 1):
        set_gradients(params, t)
        for p in params:
            p.grad *= fade ** (t - 1)
        if clip:
            torch.nn.utils.clip_grad_norm_(params, clip)
        for optimizer in optimizers:
            optimizer.step()
        shown = {"values": params} | ({"eval": evaluated()} if average else {})
        if t in AFTER:
            for name, tensors in shown.items():
                result[name][str(t)] = [x.detach().flatten().tolist() for x in tensors]
    return result


def means(optimizer, params):
    """ASGD's."""
    return lambda: [optimizer.state[p]["ax"] for p in params]


def decaying_mean(gamma):
    """DoG's authors'."""
    def average(_, params):
        averager = dog.PolynomialDecayAverager(torch.nn.ParameterList(params), gamma=gamma)

        def evaluated():
            averager.step()
            return list(averager.averaged_model)
        return evaluated
    return average


def made(name, **options):
    return lambda params: getattr(torch.optim, name)(params, **options)


def others():
    """One row each of what golden.json has in an older PyTorch's words, and what it cannot tell apart: AMSGrad is not
    Adam once gradients shrink."""
    adam_like = {"betas": (0.8, 0.95), "eps": 1e-7, "weight_decay": 0.1}
    end = "beta1=0.8,beta2=0.95,eps=1e-7,weight_decay=0.1"
    return [
        row("asgd:lr=0.02,lambda=0.01,alpha=0.6,t0=5,weight_decay=0.1",
            made("ASGD", lr=0.02, lambd=0.01, alpha=0.6, t0=5, weight_decay=0.1), average=means),
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
        row("adafactor:lr=0.02,power=-0.7,eps1=1e-3,eps2=1e-2,clip=1.2,weight_decay=0.1",
            made("Adafactor", lr=0.02, beta2_decay=-0.7, eps=(1e-3, 1e-2), d=1.2, weight_decay=0.1)),
        row("muon:lr=0.02,adamw_lr=0.01,adamw_beta2=0.999", muon(lr=0.02)),
        row("muon:lr=0.02,adjust=match_rms_adamw,nesterov=no,momentum=0.8,weight_decay=0,adamw_lr=0.01,adamw_beta2=0.999",
            muon(lr=0.02, adjust_lr_fn="match_rms_adamw", nesterov=False, momentum=0.8, weight_decay=0)),
    ]


def muon(weight_decay=0.1, **options):
    return lambda params: [torch.optim.Muon(params[:1], weight_decay=weight_decay, **options),
                           torch.optim.AdamW(params[1:], lr=0.01, weight_decay=weight_decay)]


def authors():
    """What PyTorch has not, from packages of the rules' authors, or what golden.json does not show of a rule."""
    def relative(**options):  # its lr is then the default of ours, 1e-2
        return lambda params: timm.optim.adafactor.Adafactor(params, decay_rate=-0.8, min_dim_size_to_factor=1, **options)

    def ours(kind, **options):
        return lambda params: kind(params, **options)

    return [
        row("adafactor:paper,beta1=0.9", relative(betas=(0.9, 0))),
        row("adafactor:paper,beta1=0.6,weight_decay=0.1", relative(betas=(0.6, 0), weight_decay=0.1)),
        row("dadapt_sgd:d0=0.1", ours(dadaptation.DAdaptSGD, d0=0.1)),
        row("dadapt_sgd:d0=0.05,lr=0.5,weight_decay=0.1", ours(dadaptation.DAdaptSGD, d0=0.05, lr=0.5, weight_decay=0.1)),
        row("dadapt_sgd:d0=0.1,momentum=0.9,growth=1.05",
            ours(dadaptation.DAdaptSGD, d0=0.1, momentum=0.9, growth_rate=1.05)),
        row("dadapt_sgd:d0=0.1,momentum=0.7,weight_decay=0.1",
            ours(dadaptation.DAdaptSGD, d0=0.1, momentum=0.7, weight_decay=0.1)),
        row("dog:first_step=0.01", ours(dog.DoG, reps_rel=0.01), average=decaying_mean(8)),
        row("dog:first_step=0.02,gamma=2,layerwise,lr=0.5,weight_decay=0.1",
            ours(dog.LDoG, reps_rel=0.02, lr=0.5, weight_decay=0.1), average=decaying_mean(2)),
    ]


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
    return rows + others() + authors() + [
        row("sgd:lr=0.1", sgd(lr=0.1), clip=1.0),
        row("sgd:lr=0.2", sgd(lr=0.2), clip=0.7),
        row("adamw:lr=0.001,beta1=0.5,weight_decay=0.3", adamw(lr=1e-3, betas=(0.5, 0.999), weight_decay=0.3), clip=1.0),
    ]


if __name__ == "__main__":
    data = {"optimizers": optimizers()}
    text = json.dumps(data).replace('{"spec"', '\n{"spec"')
    pathlib.Path(__file__).with_name("optimizers.json").write_text(text + "\n")
