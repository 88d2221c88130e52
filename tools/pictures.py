#!/usr/bin/env python3
"""Runs the commands that docs/why-optimizers.md prints, and nothing else.

write: puts their output and their pictures where the document has them; all of them, or those of the
       pictures that are named. Takes minutes, and the whole of Fashion-MNIST.
check: runs the commands that take no time, the paths over surfaces, and compares what they print, numbers
       to 2 %; draws one of their pictures; every picture must be one that the document shows. Exit code 77:
       all well, but there is no gnuplot here to draw with.

A block of console lines after a picture pictures/NAME.svg makes it: one of its commands has the option
`--out runs/NAME`. Of what `landscape --surface` prints the document has the table."""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

DOCUMENT = "docs/why-optimizers.md"
BLOCK = re.compile(r"(?:^!\[[^]]*\]\(pictures/(?P<name>[\w-]+)\.svg\)\n\n)?"
                   r"^```console\n(?P<text>.*?)^```\n", re.M | re.S)
MOST_BYTES = 80_000  # of a picture


def commands(text):
    """[command, output it is followed by] of a block; "\\" continues a command."""
    found = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif found and found[-1][1] == "" and found[-1][0].endswith("\\\n"):
            found[-1][0] += line
        else:
            found[-1][1] += line
    return found


def run(command, directory):
    done = subprocess.run(["sh", "-c", command], cwd=directory, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.exit(f"{command}{done.stdout}exit code {done.returncode}")
    text = re.sub(r" +$", "", done.stdout, flags=re.M)
    if "--surface" in command and "|" not in command:
        return re.search(r"^optimizer .*?(?=^\n)", text, re.M | re.S).group()
    return text


def smaller(svg):
    """What gnuplot drew in half of the bytes: coordinates to a tenth of a pixel, relative to the last ones,
    and the dots on a line as one path."""
    def path(match):
        out, x, y = "", None, 0
        for what, a, b in re.findall(r"([ML])(-?[\d.]+),(-?[\d.]+)", match[1]):
            a, b = round(10 * float(a)), round(10 * float(b))
            if what == "M":
                out += f"M{a / 10:g},{b / 10:g}"
            elif (a, b) != (x, y):
                out += f"l{(a - x) / 10:g},{(b - y) / 10:g}"
            x, y = a, b
        return f"d='{out}'"

    def dots(match):
        at = re.findall(r"translate\(([\d.]+),([\d.]+)\) scale\(([\d.]+)\) *' color='([^']*)'", match[0])
        return (f"<path stroke='{at[0][3]}' stroke-width='{2 * float(at[0][2]):g}' stroke-linecap='round' d='"
                + "".join(f"M{float(x):.1f},{float(y):.1f}h0" for x, y, _, _ in at) + "'/>\n")
    svg = re.sub(r"d='(M[^a-zHV]*?)'", path, svg)
    return re.sub(r"(?:[ \t]*<use xlink:href='#gpPt6'[^\n]*\n){2,}", dots, svg)


def picture(directory, name):
    """What a command drew."""
    for file in ("landscape", "lr-find", "landscape-1"):
        made = directory / "runs" / name / f"{file}.svg"
        if made.exists():
            return smaller(made.read_text())
    return ""


def same(one, other):
    """Whether two outputs say the same: words alike, numbers nearly."""
    def split(text):
        return re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?|[^\s\d]+", text)
    a, b = split(one), split(other)

    def near(x, y):
        try:
            x, y = float(x), float(y)
        except ValueError:
            return x == y
        return abs(x - y) <= 0.02 * max(abs(x), abs(y)) + 1e-3
    return len(a) == len(b) and all(map(near, a, b))


def write(source, directory, names):
    document = source / DOCUMENT
    for match in BLOCK.finditer(document.read_text()):
        name = match["name"]
        if names and name not in names:
            continue
        text = ""
        for command, _ in commands(match["text"]):
            print(f"$ {command}", end="", flush=True)
            text += f"$ {command}{run(command, directory)}"
        if name:
            drawn = picture(directory, name)
            if not drawn:
                sys.exit(f"no picture in runs/{name}")
            (source / f"docs/pictures/{name}.svg").write_text(drawn)
        # The rest of the page may have been edited meanwhile.
        document.write_text(document.read_text().replace(match["text"], text.rstrip() + "\n"))


def is_quick(command):
    return command.startswith(("build/train/train landscape --surface", "awk "))


def check(source, directory):
    text = (source / DOCUMENT).read_text()
    failed = compared = 0
    to_draw = None
    for match in BLOCK.finditer(text):
        block = commands(match["text"])
        if not all(is_quick(command) for command, _ in block):
            continue
        for command, output in block:
            made = run(command.replace("landscape", "landscape --no-pictures", 1), directory)
            compared += 1
            if not same(made, output):
                failed += 1
                print(f"$ {command}{made}but {DOCUMENT} has\n{output}")
        if match["name"] and not to_draw:
            to_draw = match["name"], block[0][0]
    shown = set(re.findall(r"\]\((?:docs/)?(pictures/[\w-]+\.svg)\)",
                           text + (source / "README.md").read_text()))
    there = {f"pictures/{file.name}" for file in (source / "docs/pictures").iterdir()}
    for file in sorted(shown ^ there):
        failed += 1
        print(f"docs/{file}: {'is not there' if file in shown else 'is shown nowhere'}")
    for file in sorted(shown & there):
        if (source / "docs" / file).stat().st_size > MOST_BYTES:
            failed += 1
            print(f"docs/{file}: more than {MOST_BYTES} bytes")
    print(f"{compared} commands, {len(shown)} pictures, {failed} wrong")
    if failed or compared < 10:
        sys.exit(1)
    if not shutil.which("gnuplot"):
        print("no gnuplot here: no picture is drawn")
        sys.exit(77)
    run(to_draw[1], directory)
    drawn = picture(directory, to_draw[0])
    if not drawn.rstrip().endswith("</svg>") or "sgd" not in drawn or len(drawn) > MOST_BYTES:
        sys.exit(f"{to_draw[0]}.svg as drawn here, {len(drawn)} bytes, is no picture of it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mode", choices=("write", "check"))
    parser.add_argument("source", type=pathlib.Path, help="the root of the source tree")
    parser.add_argument("train", type=pathlib.Path, help="the program train")
    parser.add_argument("names", nargs="*", help="pictures to make")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        directory = pathlib.Path(name)
        (directory / "build/train").mkdir(parents=True)
        (directory / "build/train/train").symlink_to(options.train.resolve())
        (directory / "data").symlink_to((options.source / "data").resolve())
        if options.mode == "write":
            write(options.source, directory, options.names)
        else:
            check(options.source, directory)


if __name__ == "__main__":
    main()
