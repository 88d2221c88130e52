#!/usr/bin/env python3
"""Optimizer steps alone, beside a loop that computes nothing and beside PyTorch's. See README.md.

Every algorithm that needs no more than a gradient steps 12 matrices of 1e4, 1e6 and 2e7 numbers in all, on
one thread and on two. In every round descent, the loop over the same memory that computes nothing, and
each of PyTorch's forms of the algorithm (fused, foreach, for-loop) get a slice of time in turn; ratios are
taken within a round, and the tables show medians over the rounds.
"""

import argparse
import statistics

from sides import (
    HERE,
    PROGRAM,
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

SIZES = (10_000, 1_000_000, 20_000_000)
THREADS = (1, 2)
FORMS = ("fused", "foreach", "forloop")
# At the largest size: at most so many times the loop, for each pass over memory that the rule cannot do without.
LOOP_GOAL, PASSES = 1.15, {"adam": 1, "adamw": 1, "momentum": 1, "rmsprop": 1, "lion": 1, "lamb": 2}
# At least so many times PyTorch's speed, by form: at the largest size, and at the smallest.
SPEED_GOALS = {SIZES[-1]: {"fused": 0.95, "foreach": 1.5, "forloop": 3}, SIZES[0]: {"forloop": 10}}
# Seconds of one step at 1e6 beyond which an algorithm (of matrices: work grows faster than size) is not
# measured at larger sizes.
PATIENCE = 0.2


class Configuration:
    """One loop to time; its nanoseconds a number in each round so far."""

    def __init__(self, side, size, threads, *request):
        self.side, self.size, self.steps, self.nanoseconds = side, size, 1, []
        self.request = *request, size, threads

    def seconds(self):
        return self.side.numbers(*self.request, self.steps)[0]

    def warm_up(self, slice_seconds):
        """Finds the number of steps that fill a slice."""
        while (seconds := self.seconds()) < slice_seconds / 2:
            self.steps = max(self.steps + 1, int(self.steps * min(10, slice_seconds / max(seconds, 1e-9))))

    def measure(self):
        self.nanoseconds.append(self.seconds() / self.steps / self.size * 1e9)

    def median(self):
        return statistics.median(self.nanoseconds)


def ratio(a, b):
    return statistics.median(x / y for x, y in zip(a.nanoseconds, b.nanoseconds))


def time_algorithm(algorithm, size, threads, sides, quiet, options):
    """A row of the table of this size and number of threads."""
    descent, torch = sides
    step = Configuration(descent, size, threads, "step", algorithm)
    loop = Configuration(descent, size, threads, "nothing", algorithm)
    forms = torch.ask("forms", algorithm).split()[1:]
    theirs = {form: Configuration(torch, size, threads, "step", algorithm, form) for form in forms}
    work = [step, loop, *theirs.values()]
    for configuration in work:
        configuration.warm_up(options.slice)
    for number in range(options.rounds):
        for configuration in work[:: 1 if number % 2 else -1]:
            quiet.watch(configuration.side, configuration.measure)
    state, moved = descent.numbers("bytes", algorithm, size)
    return {
        "algorithm": algorithm,
        "size": size,
        "threads": threads,
        "nanoseconds": step.median(),
        "state_bytes": state,
        "moved_bytes": moved,
        "loop_nanoseconds": loop.median(),
        "loop_ratio": ratio(step, loop),
        "torch_nanoseconds": {form: c.median() for form, c in theirs.items()},
        "speedup": {form: ratio(c, step) for form, c in theirs.items()},
        "samples": {" ".join(map(str, c.request[:-2])): c.nanoseconds for c in work},
    }


def misses(row):
    """The columns of the row that miss a goal."""
    missed = set()
    passes = PASSES.get(row["algorithm"])
    if row["size"] == SIZES[-1] and passes and row["loop_ratio"] > LOOP_GOAL * passes:
        missed.add("loop")
    for form, goal in SPEED_GOALS.get(row["size"], {}).items():
        if row["speedup"].get(form, goal) < goal:
            missed.add(form)
    return missed


def table_row(row):
    missed = misses(row)
    cells = [
        row["algorithm"],
        f"{row['nanoseconds']:.3f}",
        f"{row['state_bytes']:g}",
        f"{row['moved_bytes']:g}",
        f"{row['moved_bytes'] / row['nanoseconds']:.1f}",
        f"{row['loop_nanoseconds']:.3f}",
        f"{row['loop_ratio']:.2f}" + "!" * ("loop" in missed),
    ]
    for form in FORMS:
        theirs = row["torch_nanoseconds"].get(form)
        cells += [f"{theirs:.3f}", f"{row['speedup'][form]:.2f}" + "!" * (form in missed)] if theirs else ["", ""]
    return cells


def print_report(report):
    print_sides(report)
    head = [
        ["", "", "state", "moved", "", "loop", "step", "fused", "", "foreach", "", "for-loop", ""],
        ["algorithm", "ns", "bytes", "bytes", "GB/s", "ns", "/ loop", "ns", "/ step", "ns", "/ step", "ns", "/ step"],
    ]
    for size, threads in dict.fromkeys((row["size"], row["threads"]) for row in report["rows"]):
        rows = [row for row in report["rows"] if (row["size"], row["threads"]) == (size, threads)]
        print(f"\n{size:g} numbers in 12 tensors, {threads} thread{'s' * (threads > 1)}; all a number\n")
        print_table(head + [table_row(row) for row in rows])
    print()
    print_disturbance(report["disturbance"])
    if any(map(misses, report["rows"])):
        print("! a goal was missed (README.md)")


def main():
    parser = argparse.ArgumentParser(description="Time optimizer steps of descent beside PyTorch's.")
    add_arguments(parser, program="optimizer_steps", rounds=5, slice_seconds=0.1)
    parser.add_argument("--algorithms", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--sizes", nargs="+", type=lambda text: int(float(text)), default=SIZES, metavar="N")
    parser.add_argument("--threads", nargs="+", type=int, default=THREADS, metavar="N")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds must be at least 2")

    descent = Side("descent", [options.optimizer_steps])
    torch = Side("PyTorch", [options.python, HERE / "peer.py"])
    sides = descent, torch
    report = {"descent": descent.ask("version"), "torch": torch.ask("version"), "machine": machine(), "rows": []}
    quiet, known = Quiet(sides), descent.ask("algorithms").split()
    for algorithm in options.algorithms or known:
        if algorithm not in known:
            parser.error(f"{PROGRAM}: no algorithm {algorithm} that needs a gradient only; there are {', '.join(known)}")
        for size in sorted(options.sizes):
            for threads in options.threads:
                progress(f"{algorithm}: {size:g} numbers, {threads} threads")
                row = time_algorithm(algorithm, size, threads, sides, quiet, options)
                report["rows"].append(row)
            for side in sides:
                side.ask("forget")
            if size >= 1_000_000 and row["nanoseconds"] * size > PATIENCE * 1e9:
                break
    report["disturbance"] = quiet.report()
    for side in sides:
        side.close()
    give(report, print_report, options.json)


if __name__ == "__main__":
    main()
