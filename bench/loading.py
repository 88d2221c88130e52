#!/usr/bin/env python3
"""What a loader delivers when no network waits for it: descent's beside torchvision's DataLoader, and how many times
what training consumes. See README.md.

As in training.py: one process a side, slices of time in turn, ratios within a round. Each side first shows which of
its configurations is its best; the rounds are between those two.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from sides import (HERE, Quiet, Side, add_arguments, give, machine, print_disturbance, print_sides, print_table,
                   progress)

BATCH, IMAGES = 128, 10000
AUGMENT = "crop:pad=4+flip"
WORKERS = (0, 1, 2)
FORMS = ("pil", "tensor")
GOALS = {"idx": 5, "cifar": 5, "folder": 1, "uncached": 1}  # times torchvision
CONSUMERS = {"idx": ("mlp", "lenet5"), "cifar": ("resnet20",), "folder": (), "uncached": ()}
CONSUMED = 10  # times what training consumes


def family(pid):
    """A process and all that it has started."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid] + [process for child in children for process in family(child)]


class Loading(Side):
    """A side whose workers may be processes."""

    def cpu_seconds(self):
        ticks = 0
        for pid in family(self.child.pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(field) for field in fields[11:15])  # and of children that have ended
            except (FileNotFoundError, ProcessLookupError):
                pass
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes of all its processes, what they share counted once."""
        total = 0
        for pid in family(self.child.pid):
            try:
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    total += int(line.split()[1]) * 1024 if line.startswith("Pss:") else 0
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total


class Configuration:
    """One way to load one data set; its speed in each round so far."""

    def __init__(self, side, path, workers, augment, *form):
        self.side, self.epochs, self.speeds, self.memory = side, 1, [], 0
        self.request, self.tail = ("load", path, workers, BATCH, IMAGES), (augment, *form)
        self.label = " ".join([str(workers), *form])

    def seconds(self):
        (seconds,) = self.side.numbers(*self.request, self.epochs, *self.tail)
        return seconds

    def measure(self):
        self.speeds.append(self.epochs * IMAGES / self.seconds())
        self.memory = max(self.memory, self.side.memory())


def choose(configurations, slice_seconds):
    """The fastest, with the number of epochs that fill a slice; and what each needed for an epoch."""
    seconds = {configuration: configuration.seconds() for configuration in configurations}
    fastest = min(configurations, key=seconds.get)
    fastest.epochs = max(1, round(slice_seconds / seconds[fastest]))
    fastest.seconds()  # is open again
    return fastest, {c.label: IMAGES / s for c, s in seconds.items()}


def training_speed(steps, network, seconds):
    """Images/s of whole training steps with two threads, which is what the loader has to feed."""
    count = 2
    while (elapsed := steps.numbers("train", network, 64, 2, count)[0]) < seconds:
        count *= 2
    return 64 * count / elapsed


def time_set(name, paths, sides, quiet, options):
    descent, torch, steps = sides
    ours = [Configuration(descent, paths[0], workers, AUGMENT) for workers in WORKERS]
    theirs = [
        Configuration(torch, paths[1], workers, AUGMENT, form) for form in FORMS for workers in WORKERS
    ]
    ours, tried = quiet.watch(descent, lambda: choose(ours, options.slice))
    theirs, torch_tried = quiet.watch(torch, lambda: choose(theirs, options.slice))
    for number in range(options.rounds):
        for work in (ours, theirs)[:: 1 if number % 2 else -1]:
            quiet.watch(work.side, work.measure)
        progress(f"{name}: round {number + 1} of {options.rounds}")
    row = summarize(name, ours, theirs)
    row["tried"] = {"descent": tried, "torchvision": torch_tried}
    row["training"] = {
        network: quiet.watch(steps, lambda: training_speed(steps, network, options.slice))
        for network in CONSUMERS[name]
    }
    return row


def summarize(name, ours, theirs):
    ratios = [a / b for a, b in zip(ours.speeds, theirs.speeds)]
    low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {
        "set": name,
        "images_per_second": statistics.median(ours.speeds),
        "workers": ours.label,
        "torchvision_images_per_second": statistics.median(theirs.speeds),
        "torchvision_workers": theirs.label,
        "ratio": ratio,
        "ratio_quartiles": [low, high],
        "goal": GOALS[name],
        "memory": ours.memory,
        "torchvision_memory": theirs.memory,
        "samples": {"descent": ours.speeds, "torchvision": theirs.speeds},
    }


def print_report(report):
    print_sides(report)
    print(f"\n{IMAGES} images an epoch, batches of {BATCH}, {AUGMENT}")
    table = [["set", "descent", "workers", "torchvision", "workers", "ratio", "goal", "MB", "MB"]]
    for row in report["sets"]:
        low, high = row["ratio_quartiles"]
        table.append([
            row["set"], f"{row['images_per_second']:.0f}", row["workers"],
            f"{row['torchvision_images_per_second']:.0f}", row["torchvision_workers"],
            f"{row['ratio']:.1f} ({low:.1f}-{high:.1f})",
            f"{row['goal']}" + ("" if row["ratio"] >= row["goal"] else "!"),
            f"{row['memory'] / 1e6:.0f}", f"{row['torchvision_memory'] / 1e6:.0f}",
        ])
    print_table(table)
    table = [["set", "network", "training", "loader", "ratio", "goal"]]
    for row in report["sets"]:
        for network, speed in row["training"].items():
            ratio = row["images_per_second"] / speed
            table.append([
                row["set"], network, f"{speed:.0f}", f"{row['images_per_second']:.0f}", f"{ratio:.0f}",
                f"{CONSUMED}" + ("" if ratio >= CONSUMED else "!"),
            ])
    print("\nimages/s of training steps with two threads, batches of 64, and of the loader alone")
    print_table(table)
    print()
    print_disturbance(report["disturbance"])


def main():
    parser = argparse.ArgumentParser(description="Time descent's loader beside torchvision's.")
    add_arguments(parser, "loading", 5, 0.3)
    parser.add_argument(
        "--steps", default=HERE.parent / "build/bench/steps", help="what consumes (default: %(default)s)"
    )
    parser.add_argument("--idx", default="/usr/share/datasets/fashion-mnist", help="a directory of IDX files")
    parser.add_argument("--cifar", help="cifar-10-binary.tar.gz, or what it holds; also made into PNG files")
    parser.add_argument("--sets", nargs="+", choices=GOALS, help="only these (default: all there are)")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds must be at least 2")

    descent = Loading("descent", [options.loading])
    torch = Loading("torchvision", [options.python, HERE / "loading_peer.py"])
    steps = Loading("steps", [options.steps])
    sides = descent, torch, steps
    report = {"descent": descent.ask("version"), "torch": torch.ask("version"), "machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        paths = {"idx": (options.idx, options.idx)}
        if options.cifar:
            paths |= {
                "cifar": (options.cifar, options.cifar),
                "folder": (folder, folder),
                "uncached": (f"{folder}:cache=0", folder),
            }
        paths = {name: path for name, path in paths.items() if name in (options.sets or GOALS)}
        if paths.keys() & {"folder", "uncached"}:
            torch.ask("folder", options.cifar, folder, IMAGES)
        quiet = Quiet(sides)
        report["sets"] = [time_set(name, pair, sides, quiet, options) for name, pair in paths.items()]
        report["disturbance"] = quiet.report()
    for side in sides:
        side.close()
    give(report, print_report, options.json)


if __name__ == "__main__":
    main()
