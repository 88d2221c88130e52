#!/usr/bin/env python3
"""What SciPy says about small samples; writes comparison.json beside itself.

sobol: unscrambled points times 2^32, by their index.
"""
import json
import pathlib

import scipy
from scipy.stats import qmc


def sobol():
    points = qmc.Sobol(21, scramble=False, bits=32).random(4096)
    return [{"index": i, "point": [int(x * 2**32) for x in points[i]]} for i in (0, 1, 2, 3, 7, 8, 100, 1000, 4095)]


if __name__ == "__main__":
    data = {"scipy": scipy.__version__, "sobol": sobol()}
    text = json.dumps(data).replace('{"', '\n{"').lstrip()
    pathlib.Path(__file__).with_name("comparison.json").write_text(text + "\n")
