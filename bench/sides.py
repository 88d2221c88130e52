"""What the benchmarks share: child processes that are asked for measurements, and how quiet the machine was.
"""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = Path(sys.argv[0]).name
# Prefixes of environment variables that change what is measured.
TUNING = ("OPENBLAS", "MKL", "OMP", "GOMP", "KMP", "DNNL", "ONEDNN", "ATEN", "TORCH", "DESCENT")


class Side:
    """A child process that answers requests, a line each (see side.h and peer.py)."""

    def __init__(self, name, command):
        self.name = name
        try:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            sys.exit(f"{PROGRAM}: cannot start {name}: {error} (see README.md)")

    def ask(self, *request):
        try:
            print(*request, file=self.child.stdin, flush=True)
            answer = self.child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            sys.exit(f"{PROGRAM}: {self.name} ended at the request '{' '.join(map(str, request))}'")
        return answer.strip()

    def numbers(self, *request):
        return [float(word) for word in self.ask(*request).split()]

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.child.stdin.close()
        self.child.wait()


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


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


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


def print_sides(report):
    machine = report["machine"]
    print(report["descent"], report["torch"], f"{machine['cpu']}, {machine['cpus']} CPUs", sep="\n")
    for key, value in machine["environment"].items():
        print(f"{key}={value}")


def print_table(lines):
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))


def print_disturbance(disturbance):
    print("CPU time of", ", ".join(f"{key} {share:.1%}" for key, share in disturbance.items()))
    if max(disturbance.values()) > 0.05:
        print("The machine was not quiet: repeat before you believe this table.")


def give(report, print_report, path):
    """Prints a report and, with a path, writes all of it there."""
    progress("")
    print_report(report)
    if path:
        path.write_text(json.dumps(report, indent=1) + "\n")


def add_arguments(parser, program, rounds, slice_seconds):
    parser.add_argument(
        "--" + program.replace("_", "-"),
        default=HERE.parent / "build/bench" / program,
        help="descent's side (default: %(default)s)",
    )
    parser.add_argument(
        "--python",
        default=os.environ.get("BENCH_PYTHON", sys.executable),
        help="an interpreter that has torch (default: $BENCH_PYTHON, else this one)",
    )
    parser.add_argument("--rounds", type=int, default=rounds, help="at least 2 (default: %(default)s)")
    parser.add_argument(
        "--slice", type=float, default=slice_seconds, help="seconds of one measurement (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="also write everything here, every measurement included")
