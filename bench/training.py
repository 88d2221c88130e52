#!/usr/bin/env python3
"""Whole training steps of four networks in descent and in PyTorch, side by side. See README.md.

One process a side lives as long as the run and sleeps while the other computes. In every round each
configuration gets one slice of time, descent's and PyTorch's in turn, so that whatever else the machine
does hits both; ratios are taken within a round, and the table shows medians over the rounds with the
quartiles of the ratio.
"""

import argparse
import statistics
import sys

from sides import (
    HERE,
    Quiet,
    Side,
    add_arguments,
    give,
    machine,
    print_disturbance,
    print_sides,
    print_table,
    progress,
)

NETWORKS = {"mlp": 64, "lenet5": 64, "cnn": 128, "resnet20": 128}  # batch
# Times PyTorch, or SGEMM_SHARE of sgemm if that is lower.
GOALS = {"mlp": 2, "lenet5": 3, "cnn": 1, "resnet20": 0.5}
SGEMM_SHARE = 0.8
SGEMM_SIZE, SGEMM_FLOPS = 1024, 2 * 1024**3
THREADS = (1, 2)
FORMATS = ("contiguous", "channels_last")


class Configuration:
    """One way to train one network; its speed in each round so far."""

    def __init__(self, side, network, threads, *layout):
        self.side, self.threads, self.layout = side, threads, layout
        self.batch, self.steps, self.speeds = NETWORKS[network], 1, []
        self.request = "train", network, self.batch, threads

    def seconds(self):
        seconds, loss = self.side.numbers(*self.request, self.steps, *self.layout)
        if not abs(loss) < 1e3:
            sys.exit(
                f"training.py: {self.side.name} diverged at {' '.join(map(str, self.request))}: loss {loss}"
            )
        return seconds

    def warm_up(self, slice_seconds):
        """Finds the number of steps that fill a slice."""
        self.seconds()
        while (seconds := self.seconds()) < slice_seconds / 2:
            self.steps = max(self.steps + 1, int(self.steps * min(10, slice_seconds / seconds)))

    def measure(self):
        self.speeds.append(self.steps * self.batch / self.seconds())

    def label(self):
        return " ".join([str(self.threads), *self.layout])


def best(configurations):
    return max(configurations, key=lambda c: statistics.median(c.speeds))


class Sgemm:
    """The roofline: descent's OpenBLAS on each of some threads, and PyTorch's BLAS as a check."""

    def __init__(self, side, threads):
        self.side, self.threads, self.speeds, self.count = side, threads, [], 4

    def measure(self):
        (seconds,) = self.side.numbers("sgemm", SGEMM_SIZE, self.threads, self.count)
        products = self.count * (self.threads if self.side.name == "descent" else 1)
        self.speeds.append(products * SGEMM_FLOPS / seconds / 1e9)


def interleave(ours, theirs):
    """Ours among theirs, so that neither side has the machine for long."""
    mixed = []
    for i, configuration in enumerate(theirs):
        mixed += [ours[i]] if i < len(ours) else []
        mixed.append(configuration)
    return mixed


def time_network(network, sides, quiet, rounds, slice_seconds):
    descent, torch = sides
    ours = [Configuration(descent, network, threads) for threads in THREADS]
    theirs = [Configuration(torch, network, threads, layout) for threads in THREADS for layout in FORMATS]
    sgemms = [Sgemm(side, threads) for side in sides for threads in THREADS]
    for configuration in ours + theirs:
        configuration.warm_up(slice_seconds)
    for number in range(rounds):
        for work in interleave(ours, theirs)[:: 1 if number % 2 else -1] + sgemms:
            quiet.watch(work.side, work.measure)
        progress(f"{network}: round {number + 1} of {rounds}")
    return best(ours), best(theirs), sgemms


def peak_memory(command, name, configuration):
    """Of a fresh process before it trains a few steps in this configuration, and after; bytes."""
    side = Side(name, command)
    side.ask("version")
    (before,) = side.numbers("memory")
    side.ask(*configuration.request, 3, *configuration.layout)
    (after,) = side.numbers("memory")
    side.close()
    return before, after


def summarize(network, ours, theirs, sgemms, flops):
    ratios = [a / b for a, b in zip(ours.speeds, theirs.speeds)]
    low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive")
    speed = statistics.median(ours.speeds)
    (roofline,) = (
        statistics.median(s.speeds) for s in sgemms if (s.side, s.threads) == (ours.side, ours.threads)
    )
    share = speed * flops / 1e9 / roofline
    return {
        "network": network,
        "batch": ours.batch,
        "images_per_second": speed,
        "configuration": ours.label(),
        "torch_images_per_second": statistics.median(theirs.speeds),
        "torch_configuration": theirs.label(),
        "ratio": ratio,
        "ratio_quartiles": [low, high],
        "gflops": speed * flops / 1e9,
        "sgemm_share": share,
        "goal": GOALS[network],
        "met": ratio >= GOALS[network] or share >= SGEMM_SHARE,
        "samples": {"descent": ours.speeds, "torch": theirs.speeds},
    }


def median_sgemm(sgemms):
    speeds = {}
    for sgemm in sgemms:
        key = f"{sgemm.side.name}, {sgemm.threads} thread{'s' if sgemm.threads > 1 else ''}"
        speeds.setdefault(key, []).extend(sgemm.speeds)
    return {key: statistics.median(values) for key, values in speeds.items()}


def table_row(row):
    low, high = row["ratio_quartiles"]
    return [
        row["network"],
        f"{row['batch']}",
        f"{row['images_per_second']:.0f}",
        row["configuration"],
        f"{row['torch_images_per_second']:.0f}",
        row["torch_configuration"],
        f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})",
        f"{row['goal']:g}" + ("" if row["met"] else "!"),
        f"{row['gflops']:.1f}",
        f"{row['sgemm_share']:.0%}",
        f"{row['memory'] / 1e6:.0f}",
        f"{row['torch_memory'] / 1e6:.0f}",
    ]


def print_report(report):
    sgemm, disturbance = report["sgemm"], report["disturbance"]
    print_sides(report)
    table = [
        ["", "", "descent", "", "PyTorch", "threads,", "ratio", "", "", "of", "descent", "PyTorch"],
        [
            "network",
            "batch",
            "images/s",
            "threads",
            "images/s",
            "layout",
            "(quartiles)",
            "goal",
            "GFLOP/s",
            "sgemm",
        ]
        + ["peak MB", "peak MB"],
        *map(table_row, report["networks"]),
    ]
    print()
    print_table(table)
    print(
        f"\nsgemm {SGEMM_SIZE}^3, GFLOP/s:", ", ".join(f"{key} {value:.0f}" for key, value in sgemm.items())
    )
    if 2 * sgemm["PyTorch, 1 thread"] < sgemm["descent, 1 thread"]:
        print("PyTorch's BLAS is not an optimized one on this CPU: compare with another build of it.")
    print_disturbance(disturbance)
    if any(not row["met"] for row in report["networks"]):
        print(f"! neither the goal (times PyTorch) nor {SGEMM_SHARE:.0%} of sgemm was reached")


def main():
    parser = argparse.ArgumentParser(description="Time training steps of descent beside PyTorch's.")
    add_arguments(parser, program="steps", rounds=11, slice_seconds=0.3)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds must be at least 2")

    commands = [[options.steps], [options.python, HERE / "peer.py"]]
    sides = [Side(name, command) for name, command in zip(("descent", "PyTorch"), commands)]
    report = {"descent": sides[0].ask("version"), "torch": sides[1].ask("version"), "machine": machine()}
    quiet, timed = Quiet(sides), {}
    for network in options.networks:
        timed[network] = time_network(network, sides, quiet, options.rounds, options.slice)
    report["disturbance"] = quiet.report()
    flops = {network: sides[0].numbers("flops", network)[0] for network in options.networks}
    for side in sides:
        side.close()

    report["networks"] = []
    for network, (ours, theirs, sgemms) in timed.items():
        row = summarize(network, ours, theirs, sgemms, flops[network])
        (row["runtime_memory"], row["memory"]), (row["torch_runtime_memory"], row["torch_memory"]) = (
            peak_memory(command, c.side.name, c) for command, c in zip(commands, (ours, theirs))
        )
        report["networks"].append(row)
    report["sgemm"] = median_sgemm([sgemm for _, _, sgemms in timed.values() for sgemm in sgemms])
    give(report, print_report, options.json)


if __name__ == "__main__":
    main()
