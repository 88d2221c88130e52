"""Prints the numbers of tests/nn/norms.c and tests/nn/losses.c that come from PyTorch, in float64."""
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

print("losses.c, cross_entropy_equals_pytorch")
x = torch.tensor([[((7 * i + 3 * j) % 5) - 2 + 0.25 * i for j in range(4)] for i in range(3)])
p = torch.tensor([[(1 + (i + j) % 3) / 8 for j in range(4)] for i in range(3)])
w = torch.tensor([0.5, 1, 2, 0.25])
t = torch.tensor([2, 0, 3])
for target in (t, p):
    for weight in (None, w):
        for smoothing in (0, 0.1):
            z = x.clone().requires_grad_()
            loss = F.cross_entropy(z, target, weight=weight, label_smoothing=smoothing)
            loss.backward()
            print(f"{{{int(target is t)}, {int(weight is not None)}, {smoothing}, "
                  f"{loss.item():.9f}, {z.grad[1, 2]:.9f}}},")

print("norms.c, running_statistics_equal_pytorch")
norm = torch.nn.BatchNorm2d(2, momentum=0.3)
for step in range(2):
    norm(torch.tensor([[[[(5 * n + 3 * c + 2 * i + step) % 7 * (1.0 + c) for i in range(2)]] for c in range(2)]
                       for n in range(3)]))
    print(norm.running_mean.tolist(), norm.running_var.tolist())
