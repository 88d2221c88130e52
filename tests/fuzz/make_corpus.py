#!/usr/bin/env python3
"""Writes the binary seeds of the fuzz targets into corpus/: small valid files of every format, the same
bytes each time. Standard library only."""

import gzip
import io
import pathlib
import tarfile

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


cifar100()
