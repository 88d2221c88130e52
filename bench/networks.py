"""The zoo of models/ once more, in PyTorch, with the same names and shapes of parameters: descent is timed
beside it (training.py) and checked against it (tests/vectors/make_parity.py), but does not need it.
"""

from torch import nn
from torch.nn import functional as F


class MLP(nn.Module):
    def __init__(self, features=784, hidden=(256, 128), classes=10):
        super().__init__()
        self.fc1 = nn.Linear(features, hidden[0])
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.fc3 = nn.Linear(hidden[1], classes)

    def forward(self, x):
        x = F.relu(self.fc1(x.flatten(1)), inplace=True)
        return self.fc3(F.relu(self.fc2(x), inplace=True))


class LeNet5(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x), inplace=True), 2)
        x = F.max_pool2d(F.relu(self.conv2(x), inplace=True), 2)
        x = F.relu(self.fc1(x.flatten(1)), inplace=True)
        return self.fc3(F.relu(self.fc2(x), inplace=True))


class CNN(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(64)
        self.fc1 = nn.Linear(64 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x)), inplace=True), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1)), inplace=True))


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut without parameters (He et al. 2015, option A)."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.stride, self.pad = stride, (filters - channels) // 2
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        if self.pad:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x, inplace=True)


class ResNet20(nn.Module):
    def __init__(self, channels=3, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(3)))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class DeepOBS2c2d(nn.Module):
    def __init__(self, width=1, classes=10):
        super().__init__()
        a, b, c = (int(n * width) for n in (32, 64, 1024))
        self.conv1 = nn.Conv2d(1, a, 5, padding=2)
        self.conv2 = nn.Conv2d(a, b, 5, padding=2)
        self.fc1 = nn.Linear(b * 7 * 7, c)
        self.fc2 = nn.Linear(c, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x), inplace=True), 2)
        x = F.max_pool2d(F.relu(self.conv2(x), inplace=True), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1)), inplace=True))


class DeepOBS3c3d(nn.Module):
    def __init__(self, width=1, classes=10):
        super().__init__()
        a, b, c, d, e = (int(n * width) for n in (64, 96, 128, 512, 256))
        self.conv1 = nn.Conv2d(3, a, 5)
        self.conv2 = nn.Conv2d(a, b, 3)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.fc1 = nn.Linear(c * 3 * 3, d)
        self.fc2 = nn.Linear(d, e)
        self.fc3 = nn.Linear(e, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x), inplace=True), 3, 2, 1)
        x = F.max_pool2d(F.relu(self.conv2(x), inplace=True), 3, 2, 1)
        x = F.max_pool2d(F.relu(self.conv3(x), inplace=True), 3, 2, 1)
        x = F.relu(self.fc1(x.flatten(1)), inplace=True)
        return self.fc3(F.relu(self.fc2(x), inplace=True))


NETWORKS = {
    "mlp": MLP,
    "lenet5": LeNet5,
    "cnn": CNN,
    "2c2d": DeepOBS2c2d,
    "3c3d": DeepOBS3c3d,
    "resnet20": ResNet20,
}
