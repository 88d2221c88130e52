#!/usr/bin/env python3
"""Makes data/sample/fashion-mnist from the whole of Fashion-MNIST: the first images of each class, in their order.

usage: make.py [DIRECTORY OF THE FOUR FILES]
"""
import gzip
import struct
import sys
import zlib
from pathlib import Path

SOURCE = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
TARGET = Path(__file__).resolve().parent / "fashion-mnist"
PER_CLASS = {"train": 450, "t10k": 100}
LIMIT = 2_500_000  # bytes of the four files


def read_idx(path):
    content = gzip.open(path).read()
    rank = content[3]
    shape = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    return shape, content[4 + 4 * rank :]


def write_idx(path, shape, content):
    raw = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content
    # No name and no time in the header, so that the same zlib gives the same bytes.
    pack = zlib.compressobj(9, zlib.DEFLATED, 31, 9)
    packed = pack.compress(raw) + pack.flush()
    path.write_bytes(packed)
    return len(packed)


TARGET.mkdir(exist_ok=True)
total = 0
for part, per_class in PER_CLASS.items():
    images, labels = f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"
    (count, height, width), pixels = read_idx(SOURCE / images)
    _, classes = read_idx(SOURCE / labels)
    taken, left = [], dict.fromkeys(range(10), per_class)
    for i in range(count):
        if left[classes[i]]:
            left[classes[i]] -= 1
            taken.append(i)
    size = height * width
    total += write_idx(TARGET / images, (len(taken), height, width), b"".join(pixels[i * size : (i + 1) * size] for i in taken))
    total += write_idx(TARGET / labels, (len(taken),), bytes(classes[i] for i in taken))
    print(f"{part}: {len(taken)} images")
print(f"{total} bytes")
assert total <= LIMIT
