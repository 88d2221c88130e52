#!/usr/bin/env python3
"""What SciPy, NumPy and rliable say about small samples; writes comparison.json beside itself.

sobol: unscrambled points times 2^32, by their index. samples: quantiles, interquartile mean, and 95 % percentile
bootstrap intervals of mean and median. strata: rliable's interquartile mean of runs of several tasks, with the
interval of its stratified bootstrap. wilcoxon: exact p of differences, some with ties and zeros. friedman: mean ranks
and p of problems x methods, some with ties. ranges: the 95 % point of the studentized range over sqrt(2), infinite
degrees of freedom. Needs pandas 2 for rliable.
"""
import json
import pathlib

import numpy as np
import scipy
from rliable import library, metrics
from scipy import stats

RESAMPLES = 100_000
random = np.random.default_rng(5)


def sobol():
    points = stats.qmc.Sobol(21, scramble=False, bits=32).random(4096)
    return [{"index": i, "point": [int(x * 2**32) for x in points[i]]} for i in (0, 1, 2, 3, 7, 8, 100, 1000, 4095)]


def interval(values, statistic):
    result = stats.bootstrap((values,), statistic, method="percentile", n_resamples=RESAMPLES, rng=random)
    return list(result.confidence_interval)


def sample(n):
    x = np.round(random.lognormal(size=n), 3)
    return {"values": x.tolist(), "quantiles": np.quantile(x, [0, 0.1, 0.25, 0.5, 0.75, 1]).tolist(),
            "interquartile_mean": metrics.aggregate_iqm(x), "mean_interval": interval(x, np.mean),
            "median_interval": interval(x, np.median)}


def strata(runs, tasks):
    np.random.seed(7)  # rliable draws from the global generator
    x = np.round(random.normal(size=(runs, tasks)) + np.arange(tasks), 3)
    _, intervals = library.get_interval_estimates({"x": x}, lambda s: np.array([metrics.aggregate_iqm(s)]),
                                                  reps=RESAMPLES)
    return {"tasks": x.T.tolist(), "interquartile_mean": metrics.aggregate_iqm(x),
            "interval": intervals["x"][:, 0].tolist()}


def wilcoxon(differences):
    method = stats.PermutationMethod(n_resamples=2**20)  # exact: all signs are fewer
    return {"differences": list(differences), "p": stats.wilcoxon(differences, method=method).pvalue}


def friedman(x):
    ranks = np.apply_along_axis(stats.rankdata, 1, x).mean(axis=0)
    return {"problems": x.tolist(), "mean_ranks": ranks.tolist(), "p": stats.friedmanchisquare(*x.T).pvalue}


def ranges():
    return [{"methods": k, "point": stats.studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2)}
            for k in (2, 3, 5, 10, 20, 50)]


if __name__ == "__main__":
    data = {
        "scipy": scipy.__version__, "sobol": sobol(), "samples": [sample(n) for n in (2, 5, 10, 23)],
        "strata": [strata(10, 1), strata(5, 3), strata(7, 4)],
        "wilcoxon": [wilcoxon(np.round(random.normal(0.5, 1, 10), 3).tolist()),
                     wilcoxon(np.round(random.normal(0.2, 1, 17), 3).tolist()),
                     wilcoxon([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), wilcoxon([-3, 1, 1, -1, 2, 2, 4, 5]),
                     wilcoxon([0, 0, 1, -2, 3, 3, 3, 0]), wilcoxon([2, -2])],
        "friedman": [friedman(np.round(random.normal(size=(6, 4)) + np.arange(4) / 2, 2)),
                     friedman(random.integers(0, 4, size=(8, 5)).astype(float)),
                     friedman(np.round(random.normal(size=(4, 20)) + np.arange(20) / 5, 2))],
        "ranges": ranges(),
    }
    text = json.dumps(data).replace('{"', '\n{"').lstrip()
    pathlib.Path(__file__).with_name("comparison.json").write_text(text + "\n")
