#!/usr/bin/env python3
"""Whole training steps of four networks in descent and in PyTorch, side by side. See README.md.

One process a side lives as long as the run and sleeps while the other computes. In every round each
configuration gets one slice of time, descent's and PyTorch's in turn, so that whatever else the machine
does hits both; ratios are taken within a round, and the table shows medians over the rounds with the
quartiles of the ratio.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NETWORKS = {"mlp": 64, "lenet5": 64, "cnn": 128, "resnet20": 128}  # batch
# Times PyTorch, or SGEMM_SHARE of sgemm if that is lower.
GOALS = {"mlp": 2, "lenet5": 3, "cnn": 1, "resnet20": 0.5}
SGEMM_SHARE = 0.8
SGEMM_SIZE, SGEMM_FLOPS = 1024, 2 * 1024**3
THREADS = (1, 2)
FORMATS = ("contiguous", "channels_last")
# Prefixes of environment variables that change what is measured.
TUNING = ("OPENBLAS", "MKL", "OMP", "GOMP", "KMP", "DNNL", "ONEDNN", "ATEN", "TORCH", "DESCENT")


class Side:
    """A child process that answers requests (see steps.c and peer.py)."""

    def __init__(self, name, command):
        self.name = name
        try:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            sys.exit(f"training.py: cannot start {name}: {error} (see README.md)")

    def ask(self, *request):
        try:
            print(*request, file=self.child.stdin, flush=True)
            answer = self.child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            sys.exit(f"training.py: {self.name} ended at the request '{' '.join(map(str, request))}'")
        return answer.strip()

    def numbers(self, *request):
        return [float(word) for word in self.ask(*request).split()]

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.child.stdin.close()
        self.child.wait()


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


class Quiet:
    """What disturbs a measurement: a side that computes while it should sleep, and other processes."""

    def __init__(self, sides):
        self.sides = sides
        self.idle_cpu = dict.fromkeys(sides, 0.0)
        self.idle_seconds = dict.fromkeys(sides, 0.0)
        self.start = time.monotonic(), self.busy(), sum(side.cpu_seconds() for side in sides)

    @staticmethod
    def busy():
        """Seconds of work of all CPUs, those taken by other guests of the host included."""
        fields = Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        user, nice, system, _, _, irq, softirq, steal = map(int, fields)
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")

    def watch(self, active, action):
        others = [side for side in self.sides if side is not active]
        before = time.monotonic(), [side.cpu_seconds() for side in others]
        result = action()
        for side, cpu in zip(others, before[1]):
            self.idle_cpu[side] += side.cpu_seconds() - cpu
            self.idle_seconds[side] += time.monotonic() - before[0]
        return result

    def report(self):
        """Shares of one CPU."""
        wall, busy = time.monotonic() - self.start[0], self.busy() - self.start[1]
        own = sum(side.cpu_seconds() for side in self.sides) - self.start[2]
        shares = {
            f"{side.name} while it should sleep": self.idle_cpu[side] / self.idle_seconds[side]
            for side in self.sides
        }
        return shares | {"other processes": max(0.0, busy - own) / wall}


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


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


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


def machine():
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    tuning = {key: value for key, value in os.environ.items() if key.split("_")[0] in TUNING}
    return {"cpu": cpu, "cpus": os.cpu_count(), "system": platform.platform(), "environment": tuning}


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
    machine, sgemm, disturbance = report["machine"], report["sgemm"], report["disturbance"]
    print(report["descent"], report["torch"], f"{machine['cpu']}, {machine['cpus']} CPUs", sep="\n")
    for key, value in machine["environment"].items():
        print(f"{key}={value}")
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
    widths = [max(map(len, column)) for column in zip(*table)]
    print()
    for line in table:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))
    print(
        f"\nsgemm {SGEMM_SIZE}^3, GFLOP/s:", ", ".join(f"{key} {value:.0f}" for key, value in sgemm.items())
    )
    if 2 * sgemm["PyTorch, 1 thread"] < sgemm["descent, 1 thread"]:
        print("PyTorch's BLAS is not an optimized one on this CPU: compare with another build of it.")
    print("CPU time of", ", ".join(f"{key} {share:.1%}" for key, share in disturbance.items()))
    if max(disturbance.values()) > 0.05:
        print("The machine was not quiet: repeat before you believe this table.")
    if any(not row["met"] for row in report["networks"]):
        print(f"! neither the goal (times PyTorch) nor {SGEMM_SHARE:.0%} of sgemm was reached")


def main():
    parser = argparse.ArgumentParser(description="Time training steps of descent beside PyTorch's.")
    parser.add_argument(
        "--steps", default=HERE.parent / "build/bench/steps", help="descent's side (default: %(default)s)"
    )
    parser.add_argument(
        "--python",
        default=os.environ.get("BENCH_PYTHON", sys.executable),
        help="an interpreter that has torch (default: $BENCH_PYTHON, else this one)",
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=11, help="at least 2 (default: %(default)s)")
    parser.add_argument(
        "--slice", type=float, default=0.3, help="seconds of one measurement (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="also write everything here, every measurement included")
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
    progress("")
    print_report(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
