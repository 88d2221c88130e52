#!/usr/bin/env python3
"""Points that optax's backtracking line search visits, in float64; writes searches.json beside itself.

Gradient descent on Rosenbrock's function (1 - x)^2 + 100 (y - x^2)^2 from (-1.2, 1).
searches: spec in descent's words; points after each of the steps in AFTER; lengths of those steps.
"""
import json
import pathlib

import jax
import jax.numpy as jnp
import optax

AFTER = [1, 2, 8, 50, 200]
jax.config.update("jax_enable_x64", True)


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def row(lr, decrease, factor, grow):
    solver = optax.chain(
        optax.sgd(1.0),
        optax.scale_by_backtracking_linesearch(max_backtracking_steps=100, max_learning_rate=lr, slope_rtol=decrease,
                                               decrease_factor=factor, increase_factor=grow))
    p = jnp.array([-1.2, 1.0])
    state = solver.init(p)
    points, lengths = {}, {}
    for t in range(1, max(AFTER) + 1):
        value, grad = jax.value_and_grad(rosenbrock)(p)
        updates, state = solver.update(grad, state, p, value=value, grad=grad, value_fn=rosenbrock)
        p = optax.apply_updates(p, updates)
        if t in AFTER:
            points[str(t)] = p.tolist()
            lengths[str(t)] = float(state[-1].learning_rate)
    return {"spec": f"line_search:lr={lr},decrease={decrease},factor={factor},grow={grow}", "points": points,
            "lengths": lengths}


if __name__ == "__main__":
    rows = [row(1, 1e-4, 0.8, 1.5), row(0.5, 0.1, 0.5, 2), row(0.002, 0.3, 0.7, 1.2)]
    data = {"optax": optax.__version__, "searches": rows}
    text = json.dumps(data).replace('{"spec"', '\n{"spec"')
    pathlib.Path(__file__).with_name("searches.json").write_text(text + "\n")
