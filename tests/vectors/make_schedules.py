#!/usr/bin/env python3
"""Reference courses of learning rate and momentum; writes schedules.json beside itself.

Run in PyTorch, in float64, where it has the schedule; those it lacks are run in its LambdaLR from the formula of the
paper named in the row. Each row: spec in descent's words for a base rate of 1, the run's length `total`, source,
lr[e] after e completed steps (at["e"]: later ones), and momentum[e] where the schedule cycles it (of SGD, 0.9 itself);
report[e], where there is one, is reported after step e.

trajectories: values of "b" (start 0.3 k - 0.4, gradient cos(1.3 t + 0.7 k), k = 0 .. 3, t = 1 .. 10) after each step,
under a schedule that cycles momentum.
"""
import json
import math
import pathlib

import torch
from torch.optim import lr_scheduler as torch_lr

torch.set_default_dtype(torch.float64)


def course(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    scheduler = make(optimizer)
    lr, momentum = [], []
    for e in range(steps):
        if e:
            optimizer.step()
            scheduler.step()
        lr.append(optimizer.param_groups[0]["lr"])
        momentum.append(optimizer.param_groups[0]["momentum"])
    return lr, momentum


ROWS = []


def add(spec, total, make, source, steps=None):
    lr, momentum = course(make, steps or total + 1)
    row = {"spec": spec, "total": total, "source": source, "lr": lr}
    if any(m != 0.9 for m in momentum):
        row["momentum"] = momentum
    ROWS.append(row)


def ours(spec, total, factor, paper, far=()):
    add(spec, total, lambda o: torch_lr.LambdaLR(o, factor), paper)
    if far:
        ROWS[-1]["at"] = {str(e): factor(e) for e in far}


def torch_row(spec, total, name, steps=None, **arguments):
    text = f"torch {torch.__version__.split('+')[0]} {name}({', '.join(f'{k}={v}' for k, v in arguments.items())})"
    add(spec, total, lambda o: getattr(torch_lr, name)(o, **arguments), text, steps)


torch_row("constant:0.5,length=3", 9, "ConstantLR", factor=0.5, total_iters=3)
torch_row("step:3,gamma=0.1", 13, "StepLR", step_size=3, gamma=0.1)
torch_row("multistep:2/4,gamma=0.1", 11, "MultiStepLR", milestones=[2, 4], gamma=0.1)
torch_row("multistep:2/4/4,gamma=0.5", 11, "MultiStepLR", milestones=[2, 4, 4], gamma=0.5)
torch_row("exponential:0.5,every=1", 11, "ExponentialLR", gamma=0.5)
torch_row("linear:1,start=0.1,length=5", 9, "LinearLR", start_factor=0.1, end_factor=1.0, total_iters=5)
torch_row("linear", 9, "LinearLR", start_factor=1.0, end_factor=0.0, total_iters=9)
torch_row("polynomial:2,length=5", 11, "PolynomialLR", total_iters=5, power=2.0)
torch_row("polynomial:0.9", 11, "PolynomialLR", total_iters=11, power=0.9)
torch_row("cosine", 5, "CosineAnnealingLR", T_max=5)
torch_row("cosine:min=0.01", 20, "CosineAnnealingLR", T_max=20, eta_min=0.01)
torch_row("sgdr:3,multiplier=2", 21, "CosineAnnealingWarmRestarts", T_0=3, T_mult=2)
torch_row("sgdr:4,multiplier=1,min=0.1", 21, "CosineAnnealingWarmRestarts", T_0=4, T_mult=1, eta_min=0.1)
for shape in ("cosine", "linear"):
    for three_phase in (False, True):
        torch_row(f"one_cycle:shape={shape},three_phase={'yes' if three_phase else 'no'}", 10, "OneCycleLR", 10,
                  max_lr=1.0, total_steps=10, pct_start=0.3, anneal_strategy=shape[:3].replace("lin", "linear"),
                  three_phase=three_phase)
torch_row("one_cycle:rise=0.25,div=10,final_div=100,momentum_min=0.8,momentum_max=0.9", 17, "OneCycleLR", 17, max_lr=1.0,
          total_steps=17, pct_start=0.25, div_factor=10, final_div_factor=100, base_momentum=0.8, max_momentum=0.9)
torch_row("one_cycle:cycle_momentum=no", 10, "OneCycleLR", 10, max_lr=1.0, total_steps=10, cycle_momentum=False)
for mode in ("triangular", "triangular2", "exp_range"):
    torch_row(f"cyclic:2,low=0.1,mode={mode},gamma=0.99", 19, "CyclicLR", base_lr=0.1, max_lr=1.0, step_size_up=2,
              step_size_down=2, mode=mode, gamma=0.99)
torch_row("cyclic:3,down=5,low=0.2,mode=triangular2", 30, "CyclicLR", base_lr=0.2, max_lr=1.0, step_size_up=3,
          step_size_down=5, mode="triangular2")


def sequence(o):
    return torch_lr.SequentialLR(o, [torch_lr.LinearLR(o, 0.25, 1.0, 3), torch_lr.CosineAnnealingLR(o, 4)], [3])


def product(o):
    return torch_lr.ChainedScheduler([torch_lr.ConstantLR(o, 0.1, 3), torch_lr.ExponentialLR(o, 0.9)])


def swa(o):
    return torch.optim.swa_utils.SWALR(o, 0.1, 4, "cos")


def warmed(length, rest):
    return lambda o: torch_lr.SequentialLR(o, [torch_lr.LinearLR(o, 1 / length, 1.0, length - 1), rest(o)], [length])


def plateau(spec, reports, **arguments):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch_lr.ReduceLROnPlateau(optimizer, **arguments)
    lr = [1.0]
    for value in reports:
        scheduler.step(value)
        lr.append(optimizer.param_groups[0]["lr"])
    ROWS.append({"spec": spec, "total": len(reports), "source": f"torch ReduceLROnPlateau({arguments})", "lr": lr,
                 "report": reports})


plateau("plateau:2,factor=0.5,cooldown=1", [1] + 11 * [0.9], patience=2, factor=0.5, cooldown=1)
plateau("plateau:1,factor=0.5,threshold=0.1,min=0.2", [1, 0.95, 0.89, 0.85, 0.82, 0.8, 0.79, 0.9, 0.9, 0.9, 0.9, 0.5, 0.6],
        patience=1, factor=0.5, threshold=0.1, min_lr=0.2)
plateau("plateau:0,cooldown=2", [1, 1, 0.5, 0.5, 0.5, 0.5, 0.6, 0.6, 0.4, 0.4], patience=0, cooldown=2)
add("cosine+warmup:10%", 40, warmed(4, lambda o: torch_lr.CosineAnnealingLR(o, 36)), "torch SequentialLR(LinearLR, "
    "CosineAnnealingLR(36), [4])")
add("cosine:0.05+warmup:20", 60, warmed(20, lambda o: torch_lr.CosineAnnealingLR(o, 40, 0.05)), "torch SequentialLR("
    "LinearLR, CosineAnnealingLR(40, 0.05), [20])")
add("linear:1,start=0.25,length=3+then:3+cosine", 7, sequence, "torch SequentialLR(LinearLR(0.25, 1, 3), cosine(4), [3])")
add("constant:0.1,length=3+exponential:0.9,every=1", 9, product, "torch ChainedScheduler(ConstantLR(0.1, 3), "
    "ExponentialLR(0.9))")
add("cosine:min=0.1,length=4", 9, swa, "torch SWALR(0.1, 4, cos)")

FAR = (10_000, 1_000_000)
ours("inverse_sqrt:4", 20, lambda e: 2 * min((e + 1) ** -0.5, (e + 1) * 4 ** -1.5),
     "Vaswani et al. 2017, equation 3, d_model such that the peak is 1", FAR)
ours("inverse_time:0.5,every=1", 20, lambda e: 1 / (1 + 0.5 * e), "Robbins & Monro 1951", FAR)
ours("constant+warmup:4", 10, lambda e: min(1, (e + 1) / 4), "Goyal et al. 2017, section 2.2", FAR)
ours("constant+warmup_exponential:5", 20, lambda e: 1 - math.exp(-(e + 1) / 5), "Ma & Yarats 2019", FAR)
ours("range_test:1e-7,high=10", 11, lambda e: 1e-7 * 1e8 ** (min(e, 10) / 10), "Smith 2015, exponential as in fastai")
for shape, f in {"linear": lambda p: 1 - p, "sqrt": lambda p: 1 - math.sqrt(p), "square": lambda p: 1 - p * p,
                 "cosine": lambda p: (1 + math.cos(math.pi * p)) / 2}.items():
    ours(f"wsd:5,shape={shape},min=0.1+warmup:4", 16,
         lambda e, f=f: min(1, (e + 1) / 4) if e < 11 else 0.1 + 0.9 * f(min(1, (e - 11) / 5)),
         "Hu et al. 2024; Haegele et al. 2024", FAR)


def trajectory(make, schedule):
    b = torch.nn.Parameter(torch.tensor([0.3 * k - 0.4 for k in range(4)]))
    optimizer = make([b])
    scheduler = schedule(optimizer)
    values = []
    for t in range(1, 11):
        b.grad = torch.tensor([math.cos(1.3 * t + 0.7 * k) for k in range(4)])
        optimizer.step()
        if t < 10:
            scheduler.step()
        values.append(b.tolist())
    return values


def one_cycle(o):
    return torch_lr.OneCycleLR(o, 0.1, 10)


def cyclic(o):
    return torch_lr.CyclicLR(o, 0.01, 0.1, 2)


TRAJECTORIES = [
    {"spec": "momentum:lr=0.1", "schedule": "one_cycle", "values": trajectory(
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), one_cycle)},
    {"spec": "adam:lr=0.1", "schedule": "one_cycle", "values": trajectory(
        lambda p: torch.optim.Adam(p, 0.1), one_cycle)},
    {"spec": "nesterov:lr=0.1", "schedule": "cyclic:2", "values": trajectory(
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True), cyclic)},
    {"spec": "sgd:lr=0.1", "schedule": "one_cycle", "values": trajectory(
        lambda p: torch.optim.SGD(p, 0.1), lambda o: torch_lr.OneCycleLR(o, 0.1, 10, cycle_momentum=False))},
]

path = pathlib.Path(__file__).with_name("schedules.json")
lines = [",\n".join(json.dumps(row) for row in rows) for rows in (ROWS, TRAJECTORIES)]
note = "Written by make_schedules.py, which says what is what."
path.write_text(f'{{"note": "{note}",\n"schedules": [\n{lines[0]}\n],\n"trajectories": [\n{lines[1]}\n]}}\n')
