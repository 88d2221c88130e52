"""torchvision's side of the loader's benchmark: answers the same requests as loading.c, one line each.

    load PATH WORKERS BATCH IMAGES COUNT AUGMENT FORM    seconds of COUNT epochs (after an untimed one)
    folder PATH TO IMAGES                                writes the first IMAGES training images as PNG files
    version                                              what was measured

PATH is a directory of IDX files, a CIFAR-10 .tar.gz or directory, or an image folder. AUGMENT is "none" or
"crop:pad=4+flip". FORM is pil (images as torchvision's own data sets give them, torchvision.transforms) or tensor
(bytes in tensors, torchvision.transforms.v2).
"""

import gzip
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms as v1
from torchvision.transforms import v2


def read_idx(path, name):
    (file,) = Path(path).glob(name + "*")
    data = (gzip.open if file.suffix == ".gz" else open)(file, "rb").read()
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def read_cifar(path):
    if Path(path).is_dir():
        parts = [file.read_bytes() for file in sorted(Path(path).glob("data_batch_*.bin"))]
    else:
        with tarfile.open(path) as tar:
            members = sorted(m.name for m in tar if "data_batch_" in m.name)
            parts = [tar.extractfile(name).read() for name in members]
    rows = np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 3073)
    return np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), rows[:, 0]


def read(path):
    """Images, count x height x width (x 3), and labels; None for a folder."""
    if "cifar" in Path(path).name:
        return read_cifar(path)
    if list(Path(path).glob("train-images*")):
        return read_idx(path, "train-images"), read_idx(path, "train-labels")
    return None


class InMemory(Dataset):
    """As torchvision.datasets.MNIST and CIFAR10: arrays, of which each sample becomes an image."""

    def __init__(self, images, labels, form, transform):
        self.images, self.labels, self.transform = images, labels.astype(int), transform
        if form == "tensor":
            channels_last = images if images.ndim == 4 else images[..., None]
            self.images = torch.from_numpy(channels_last.transpose(0, 3, 1, 2).copy())
        self.is_tensor = form == "tensor"

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i] if self.is_tensor else Image.fromarray(self.images[i])
        return self.transform(image), self.labels[i]


def transform(size, channels, augment, form):
    mean = std = [0.5] * channels
    if form == "pil":
        changes = [v1.RandomCrop(size, padding=4), v1.RandomHorizontalFlip()] if augment else []
        return v1.Compose([*changes, v1.ToTensor(), v1.Normalize(mean, std)])
    changes = [v2.RandomCrop(size, padding=4), v2.RandomHorizontalFlip()] if augment else []
    return v2.Compose([*changes, v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])


def dataset(path, augment, form):
    arrays = read(path)
    if arrays:
        images, labels = arrays
        channels = images.shape[3] if images.ndim == 4 else 1
        return InMemory(images, labels, form, transform(images.shape[1:3], channels, augment, form))
    root = Path(path) / "train"
    if form == "pil":
        first = torchvision.datasets.ImageFolder(root)[0][0]
        change = transform(first.size[::-1], 3, augment, form)
        return torchvision.datasets.ImageFolder(root, change)
    decode = lambda file: torchvision.io.decode_image(file, torchvision.io.ImageReadMode.RGB)
    first = torchvision.datasets.ImageFolder(root, loader=decode)[0][0]
    change = transform(first.shape[1:], 3, augment, form)
    return torchvision.datasets.ImageFolder(root, change, loader=decode)


class Session:
    """A loader, kept, warm, for the next request."""

    def __init__(self, path, workers, batch, images, augment, form):
        data = Subset(dataset(path, augment != "none", form), range(images))
        self.loader = DataLoader(
            data, batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        self.epoch()

    def epoch(self):
        for _ in self.loader:
            pass


def write_folder(path, to, images):
    pixels, labels = read(path)
    for i in range(images):
        file = Path(to) / f"train/{labels[i]}/{i:05}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[i]).save(file)
    for label in range(10):
        file = Path(to) / f"test/{label}/0.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[list(labels).index(label)]).save(file)


def main():
    key, session = None, None
    for line in sys.stdin:
        request, *arguments = line.split()
        if request == "load":
            path, workers, batch, images, count, augment, form = arguments
            wanted = path, int(workers), int(batch), int(images), augment, form
            if wanted != key:
                session = None  # ends its workers
                key, session = wanted, Session(*wanted)
            start = time.perf_counter()
            for _ in range(int(count)):
                session.epoch()
            answer = f"{time.perf_counter() - start:.9f}"
        elif request == "folder":
            path, to, images = arguments
            write_folder(path, to, int(images))
            answer = "done"
        elif request == "version":
            answer = f"torchvision {torchvision.__version__}, PyTorch {torch.__version__}"
        else:
            sys.exit(f"loading_peer.py: cannot serve the request {line}")
        print(answer, flush=True)


if __name__ == "__main__":
    main()
