#!/usr/bin/env python3
"""Reference trajectories of Adafactor over the two largest axes, run in float64 in optax; writes adafactor.json beside
itself. Needs jax and optax.

Three tensors whose gradients are given: with k the row-major index of an element of the i-th and t = 1, 2, ... the step,
    start sin(2.3 k + i),  gradient sin(1.7 t + 0.9 k) (1 + 0.3 k)
Their largest axes stand last but one and last, apart, and first, with others before, between and after them.

rows: spec in descent's words; shapes; values of the tensors after each of the steps in AFTER.
"""
import importlib.metadata
import json
import pathlib

import jax
import numpy as np
import optax

jax.config.update("jax_enable_x64", True)
AFTER = [1, 2, 8, 50]
SHAPES = [(2, 4, 2, 3), (4, 3, 2, 2), (3, 2, 4)]


def index(shape):
    return np.arange(np.prod(shape), dtype=np.float64).reshape(shape)


def row(spec, **options):
    optimizer = optax.adafactor(min_dim_size_to_factor=1, **options)
    params = [jax.numpy.asarray(np.sin(2.3 * index(shape) + i)) for i, shape in enumerate(SHAPES)]
    state = optimizer.init(params)
    values = {}
    for t in range(1, max(AFTER) + 1):
        gradients = [jax.numpy.asarray(np.sin(1.7 * t + 0.9 * index(s)) * (1 + 0.3 * index(s))) for s in SHAPES]
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        if t in AFTER:
            values[str(t)] = [np.asarray(x).flatten().tolist() for x in params]
    return {"spec": spec, "values": values}


if __name__ == "__main__":
    data = {
        "oracle": f"optax {importlib.metadata.version('optax')}",
        "shapes": SHAPES,
        "rows": [
            row("adafactor:lr=0.05,paper,cap=no,axes=largest", learning_rate=0.05),
            row("adafactor:lr=0.1,power=-0.6,clip=0.7,paper,cap=no,axes=largest", learning_rate=0.1,
                decay_rate=0.6, clipping_threshold=0.7),
        ],
    }
    text = json.dumps(data).replace('{"spec"', '\n{"spec"')
    pathlib.Path(__file__).with_name("adafactor.json").write_text(text + "\n")
