#!/usr/bin/env python3
"""Writes the binary seeds of the fuzz targets into corpus/: small valid files of every format, the same
bytes each time. Needs the standard library, and Pillow for the JPEG files, which stay as they are without."""

import gzip
import io
import pathlib
import struct
import tarfile
import zlib

CORPUS = pathlib.Path(__file__).parent / "corpus"


def write(name, data):
    path = CORPUS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{path.relative_to(CORPUS)}: {len(data)} bytes")


def cifar100():
    """One image a part, all of one color."""
    files = {
        "train.bin": bytes([3, 7]) + bytes([200]) * 1024 + bytes([90]) * 1024 + bytes([10]) * 1024,
        "test.bin": bytes([19, 99]) + bytes([100]) * 3072,
        "fine_label_names.txt": "".join(f"f{i}\n" for i in range(100)).encode(),
        "readme.html": b"<html>",
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo("cifar-100-binary/" + name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    whole = archive.getvalue().rstrip(b"\0")
    whole += bytes(-len(whole) % 512 + 1024)
    write("cifar/archive.tar", whole)
    write("cifar/archive.tar.gz", gzip.compress(whole, mtime=0))
    write("cifar/train.bin", files["train.bin"])


def pixel(x, y):
    return bytes([20 * x, 30 * y, 255 - 10 * x - 10 * y])


def png(width, height, color, interlaced=0):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b""
    for y in range(height):
        rows += b"\0"
        for x in range(width):
            rows += {0: pixel(x, y)[:1], 2: pixel(x, y), 3: bytes([(x + y) % 2]), 6: pixel(x, y) + b"\x80"}[color]
    head = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(range(6))) if color == 3 else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette + chunk(b"tEXt", b"Comment\0seed") +
            chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def bmp(width, height, bits):
    rows = b""
    for y in reversed(range(height)):
        row = b"".join(pixel(x, y)[::-1] if bits == 24 else bytes([(x + y) % 2]) for x in range(width))
        rows += row + bytes(-len(row) % 4)
    palette = bytes([10, 20, 30, 0, 200, 210, 220, 0]) if bits == 8 else b""
    begin = 54 + len(palette)
    return (struct.pack("<2sIHHI", b"BM", begin + len(rows), 0, 0, begin) +
            struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(rows), 2835, 2835, len(palette) // 4, 0) +
            palette + rows)


def pictures():
    for color in 0, 2, 3, 6:
        write(f"image/color{color}.png", png(7, 5, color))
    for bits in 8, 24:
        write(f"image/bits{bits}.bmp", bmp(7, 5, bits))
    try:
        from PIL import Image
    except ImportError:
        return
    for name, options in ("baseline", {}), ("progressive", {"progressive": True}):
        picture = Image.frombytes("RGB", (7, 5), b"".join(pixel(x, y) for y in range(5) for x in range(7)))
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=90, subsampling=0, **options)
        write(f"image/{name}.jpg", data.getvalue())


def npy(descr, shape, data, version=1):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 16) + b"\n"
    return b"\x93NUMPY" + struct.pack("<BBH" if version == 1 else "<BBI", version, 0, len(header)) + header + data


def arrays():
    write("npy/bytes", npy("|u1", (3, 2, 2), bytes(range(12))))
    write("npy/floats", npy("<f4", (2, 3), struct.pack("<6f", *(i / 255 for i in range(6)))))
    write("npy/labels", npy("<i8", (5,), struct.pack("<5q", 0, 1, 2, 1, 0), version=2))
    write("npy/big.gz", gzip.compress(npy(">i2", (2, 1, 2, 3), struct.pack(">12h", *range(12))), mtime=0))


cifar100()
pictures()
arrays()
