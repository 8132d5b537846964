"""Programs of adversarial shapes, and how the analysis of each grows.

    python benchmarks/shapes.py               all shapes: N things, and ten times as many
    python benchmarks/shapes.py SHAPE ...     some of them

Measured is the time beyond LibCST's parse, which should grow no more than twelve times.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import inside
from programs import calls, classes, names, paths, things

THINGS = 100
BUDGET = 12
TIMEOUT = 300
"""Seconds for one shape; what takes longer is shown so."""

SHAPES: dict[str, Callable[[int], str]] = {
    name: function
    for room in (calls, classes, names, paths, things)
    for name, function in vars(room).items()
    if callable(function) and function.__module__ == room.__name__
}


def measured(shape: str) -> list[float] | None:
    """Seconds beyond the parse for the two sizes, in a process of its own.

    Fewer, where the analysis says that it is too much for it; none, where it takes too long.
    """
    command = [sys.executable, __file__, "--one", shape]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT, check=True)
    except subprocess.TimeoutExpired:
        return None
    found: list[float] = json.loads(done.stdout)
    return found


def one(shape: str) -> None:
    """What ``measured`` asks for."""
    inside.registry.all_rules()
    inside.timed(SHAPES[shape](THINGS), "warm.py")
    seconds: list[float] = []
    for count, runs in ((THINGS, 3), (10 * THINGS, 2)):
        source = SHAPES[shape](count)
        try:
            times = [inside.timed(source, "generated.py") for _ in range(runs)]
        except (RecursionError, inside.analysis.Unparsable):
            break  # users get MPP001
        parse, everything = (min(each) for each in zip(*times, strict=True))
        seconds.append(max(everything - parse, 0.0001))
    print(json.dumps(seconds))


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["--one"]:
        one(arguments[1])
        return 0
    too_much = 0
    for shape in arguments or SHAPES:
        seconds = measured(shape)
        if seconds is None:
            print(f"{shape:24} no end after {TIMEOUT} s", flush=True)
            too_much += 1
            continue
        if len(seconds) < 2:
            print(f"{shape:24} MPP001", flush=True)
            continue
        small, large = seconds
        mark = "" if large / small <= BUDGET else "  more than linear"
        too_much += bool(mark)
        print(f"{shape:24} {small:8.3f} s {large:8.3f} s {large / small:6.1f}{mark}", flush=True)
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
