"""Measure the analysis inside one process; ``run.py`` starts it in the plugin's environment.

inside.py files RUNS FILE …         parse and whole analysis of each file, the best of RUNS
inside.py growth SHAPE SIZE …       time beyond the parse for a generated file of each size
"""

from __future__ import annotations

import ast
import gc
import json
import resource
import sys
import time
from pathlib import Path

import libcst

from flake8_mppitfalls import analysis
from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.settings import Settings


def timed(source: str, name: str) -> tuple[float, float]:
    """Processor seconds of LibCST's parse alone, and of our whole analysis."""
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    gc.collect()
    start = time.process_time()
    libcst.parse_module(source)
    parsed = time.process_time()
    analysis.run(tree, lines, name, Settings())
    return parsed - start, time.process_time() - parsed


def files(runs: int, names: list[str]) -> None:
    for name in names:
        source = Path(name).read_text(encoding="utf-8", errors="replace")
        measured = [timed(source, name) for _ in range(runs)]
        best = {"parse": min(p for p, _ in measured), "all": min(a for _, a in measured)}
        print(json.dumps(best))


def growth(shape: str, sizes: list[int]) -> None:
    for size in sizes:
        source = SHAPES[shape](size)
        parse, everything = min((timed(source, "generated.py") for _ in range(3)), key=sum)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"parse": parse, "beyond": everything - parse, "memory": memory}))


HEAD = "import multiprocessing\n\n\ndef work(x):\n    return x\n\n\n"


def lines(size: int) -> str:
    """Many functions, each with a pool of its own."""
    block = (
        "def run_{0}(items):\n    pool = multiprocessing.Pool(2)\n    try:\n"
        "        found = pool.map(work, items)\n    finally:\n        pool.close()\n"
        "        pool.join()\n    return found\n\n\n"
    )
    return HEAD + "".join(block.format(i) for i in range(size // 10))


def pools(size: int) -> str:
    """One function with many pools."""
    block = "    p{0} = multiprocessing.Pool(2)\n    p{0}.close()\n    p{0}.join()\n"
    return HEAD + "def run():\n" + "".join(block.format(i) for i in range(size // 10))


def tasks(size: int) -> str:
    """One pool with many tasks."""
    block = "    r{0} = pool.apply_async(work, ({0},))\n    r{0}.get()\n"
    body = "".join(block.format(i) for i in range(size // 10))
    return (
        HEAD
        + "def run():\n    pool = multiprocessing.Pool(2)\n"
        + body
        + ("    pool.close()\n    pool.join()\n")
    )


def branches(size: int) -> str:
    """One pool and many branches with events."""
    block = "    if flags[{0}]:\n        pool.apply(work, ({0},))\n    else:\n        print({0})\n"
    body = "".join(block.format(i) for i in range(size // 10))
    return (
        HEAD
        + "def run(flags):\n    pool = multiprocessing.Pool(2)\n"
        + body
        + ("    pool.close()\n    pool.join()\n")
    )


def kept(size: int) -> str:
    """Many tasks whose results are kept in one list."""
    block = "        found.append(pool.apply_async(work, ({0},)))\n"
    body = "".join(block.format(i) for i in range(size // 10))
    return (
        HEAD
        + "def run():\n    found = []\n    with multiprocessing.Pool(2) as pool:\n"
        + body
        + "        return [result.get() for result in found]\n"
    )


def globals_of_workers(size: int) -> str:
    """Many workers, all of which change the same name of the module."""
    block = "def work{0}(x):\n    global total\n    total += x\n\n\n"
    count = size // 10
    return (
        "import multiprocessing\n\ntotal = 0\n\n\n"
        + "".join(block.format(i) for i in range(count))
        + "if __name__ == '__main__':\n    with multiprocessing.Pool(2) as pool:\n"
        + "".join(f"        pool.map(work{i}, [1])\n" for i in range(count))
        + "    print(total)\n"
    )


def aliases(size: int) -> str:
    """A long chain of names for one function."""
    chain = "a0 = work\n" + "".join(f"a{i + 1} = a{i}\n" for i in range(size // 10))
    last = f"a{size // 10}"
    return HEAD + chain + f"\n\ndef run(pool: multiprocessing.Pool):\n    pool.map({last}, [1])\n"


def calls(size: int) -> str:
    """A long chain of functions that hand a pool on."""
    block = "def f{0}(pool, x):\n    return f{1}(pool, x)\n\n\n"
    body = "".join(block.format(i, i + 1) for i in range(size // 10))
    last = size // 10
    return (
        HEAD
        + body
        + (
            f"def f{last}(pool, x):\n    return pool.map(work, x)\n\n\n"
            "def run(items):\n    with multiprocessing.Pool(2) as pool:\n"
            "        return f0(pool, items)\n"
        )
    )


SHAPES = {
    "lines": lines,
    "pools": pools,
    "tasks": tasks,
    "branches": branches,
    "kept": kept,
    "globals": globals_of_workers,
    "aliases": aliases,
    "calls": calls,
}


def main() -> None:
    registry.all_rules()  # importing the rules is no part of a file's cost
    what, *rest = sys.argv[1:]
    if what == "files":
        files(int(rest[0]), rest[1:])
    else:
        growth(rest[0], [int(size) for size in rest[1:]])


if __name__ == "__main__":
    main()
