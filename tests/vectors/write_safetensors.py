"""Writes reference.safetensors with the reference implementation, for tests/base/safetensors.c."""
import numpy as np
from safetensors.numpy import save_file

TENSORS = {
    "conv1.weight": (np.arange(12, dtype=np.float32) / 8 - 0.5).reshape(2, 3, 1, 2),
    "running.mean": np.array([1e-300, -2.5, 1e300]),
    "labels": np.array([[0, 1, 255]], dtype=np.uint8),
    "steps": np.array(2**53 + 1, dtype=np.int64),
    "shift": np.array([-1, 2**31 - 1], dtype=np.int32),
    "empty": np.zeros((0, 4), dtype=np.float32),
    'n\u00e4me "quoted"\\': np.array([7], dtype=np.float32),
}
METADATA = {"model": "mlp:256/128", "note": "line\nbreak, \u00e9\u20ac"}

save_file(TENSORS, "reference.safetensors", METADATA)
