"""PyTorch's side of the benchmarks: answers the same requests as steps.c and optimizer_steps.c, one line each.

    train NETWORK BATCH THREADS COUNT FORMAT    seconds of COUNT steps (after an untimed one), last loss
    sgemm SIZE THREADS COUNT                    seconds of COUNT SIZE x SIZE products, all threads on each
    forms ALGORITHM                             the algorithm, and those of FORMS that PyTorch has of it
    step ALGORITHM FORM SIZE THREADS COUNT      seconds of COUNT optimizer steps (after an untimed one)
    forget                                      frees what step left warm
    memory                                      largest resident set so far, bytes
    version                                     what was measured

FORMAT is contiguous or channels_last. Step: as in steps.c, in eager mode, gradients set to none, the fused
optimizer.
"""

import math
import re
import resource
import sys
import time

import torch
from torch.nn import functional as F

from networks import NETWORKS

SAMPLES = {"mlp": (1, 28, 28), "lenet5": (1, 28, 28), "cnn": (1, 28, 28), "resnet20": (3, 32, 32)}
CLASSES, BATCHES = 10, 8
TENSORS = 12
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


FORMS = {"fused": {"fused": True}, "foreach": {"foreach": True}, "forloop": {"foreach": False}}
# Class and arguments of torch.optim, by descent's names: the same rule with the same state.
OPTIMIZERS = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "asgd": ("ASGD", {}),
    "rprop": ("Rprop", {}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
    "rmsprop": ("RMSprop", {}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "adamax": ("Adamax", {}),
    "nadam": ("NAdam", {}),
    "radam": ("RAdam", {}),
    "adafactor": ("Adafactor", {}),
    "muon": ("Muon", {}),
}


class Session:
    """A network being trained; kept, warm, for the next request."""

    def __init__(self, network, batch, memory_format):
        torch.manual_seed(1)
        self.model = NETWORKS[network]().to(memory_format=memory_format).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, fused=True)
        images = torch.rand(BATCHES, batch, *SAMPLES[network]) * 2 - 1
        self.images = [x.contiguous(memory_format=memory_format) for x in images]
        self.classes = torch.randint(CLASSES, (BATCHES, batch)).unbind()
        self.steps = 0

    def step(self):
        i = self.steps % BATCHES
        self.steps += 1
        loss = F.cross_entropy(self.model(self.images[i]), self.classes[i])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss


def train(sessions, network, batch, threads, count, layout):
    torch.set_num_threads(int(threads))
    key = network, int(batch), FORMATS[layout]
    if key not in sessions:
        sessions[key] = Session(*key)
    session = sessions[key]
    session.step()
    start = time.perf_counter()
    for _ in range(int(count)):
        loss = session.step()
    return f"{time.perf_counter() - start:.9f} {loss.item():.9g}"


def make_optimizer(algorithm, form, tensors):
    name, arguments = OPTIMIZERS[algorithm]
    return getattr(torch.optim, name)(tensors, lr=1e-3, **arguments, **FORMS[form])


def forms(algorithm):
    """By trying: a class without a form refuses the argument, or the combination."""
    have = [algorithm]
    for form in FORMS if algorithm in OPTIMIZERS else ():
        try:
            tensor = torch.zeros(2, 2, requires_grad=True)
            tensor.grad = torch.ones(2, 2)
            make_optimizer(algorithm, form, [tensor]).step()
            have.append(form)
        except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
            continue
    return " ".join(have)


def optimizer_step(optimizers, algorithm, form, size, threads, count):
    torch.set_num_threads(int(threads))
    key = algorithm, form, size
    if key not in optimizers:
        rows = round(math.sqrt(int(size) / TENSORS / 2))
        tensors = [torch.rand(rows, 2 * rows, requires_grad=True) for _ in range(TENSORS)]
        for tensor in tensors:
            tensor.grad = torch.rand(rows, 2 * rows) * 2 - 1
        optimizers[key] = make_optimizer(algorithm, form, tensors)
    optimizer = optimizers[key]
    optimizer.step()
    start = time.perf_counter()
    for _ in range(int(count)):
        optimizer.step()
    return f"{time.perf_counter() - start:.9f}"


def sgemm(size, threads, count):
    torch.set_num_threads(int(threads))
    a, b = torch.rand(2, int(size), int(size))
    torch.mm(a, b)
    start = time.perf_counter()
    for _ in range(int(count)):
        torch.mm(a, b)
    return f"{time.perf_counter() - start:.9f}"


def version():
    """Also refuses a build whose BLAS is not a tuned one: no comparison with that would mean anything."""
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    if not blas or blas[1] not in ("mkl", "open", "openblas", "accelerate", "armpl", "nvpl"):
        sys.exit(f"peer.py: this PyTorch has no optimized BLAS ({blas[1] if blas else 'none named'})")
    return f"PyTorch {torch.__version__} ({blas[1]}, {torch.backends.cpu.get_cpu_capability()})"


def main():
    sessions, optimizers = {}, {}
    for line in sys.stdin:
        request, *arguments = line.split()
        if request == "train":
            answer = train(sessions, *arguments)
        elif request == "sgemm":
            answer = sgemm(*arguments)
        elif request == "forms":
            answer = forms(*arguments)
        elif request == "step":
            answer = optimizer_step(optimizers, *arguments)
        elif request == "forget":
            answer = optimizers.clear() or 0
        elif request == "memory":
            answer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        elif request == "version":
            answer = version()
        else:
            sys.exit(f"peer.py: cannot serve the request {line}")
        print(answer, flush=True)


if __name__ == "__main__":
    main()
