"""Measure what the plugin costs, as ratios within one run, and print the table of the README.

    python benchmarks/run.py            everything (about a quarter of an hour on two cores)
    python benchmarks/run.py --quick    fewer runs, and no large package
    python benchmarks/run.py --only growth

Each ratio is that of the medians of interleaved runs; the times are those of the processor (user
and system, children included), which other load on the machine disturbs least. The environments
(flake8 alone, with this plugin, with flake8-async) are made below ``benchmarks/.environments``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENTS = HERE / ".environments"
STDLIB = Path(sysconfig.get_path("stdlib"))
PACKAGES = {"alone": [], "plugin": [str(ROOT)], "flake8-async": ["flake8-async"]}
WORDS = ("multiprocess", "concurrent.futures", "billiard")
MANY = 20
"""So many runs are done of what takes a fraction of a second."""
LARGE = "sympy==1.13.3"
"""A package of a thousand files of which a few use processes."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs, no large package")
    parser.add_argument("--only", choices=sorted(PARTS), help="one part of the table")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each row")
    options = parser.parse_args()
    pythons = {name: environment(name, packages) for name, packages in PACKAGES.items()}
    names = [name for name in PARTS if options.only in (None, name)]
    if not options.json:
        print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for row in PARTS[name](pythons, Path(folder), 3 if options.quick else 5, options.quick):
                cells = json.dumps(row) if options.json else line([row.get(c, "") for c in COLUMNS])
                print(cells, flush=True)
    return 0


SHAPES = ("lines", "pools", "tasks", "branches", "kept", "aliases", "calls", "globals")
"""The shapes of generated programs that ``inside.py`` knows."""
COLUMNS = ("what", "alone", "with the plugin", "ratio", "budget", "flake8-async", "memory")
Row = dict[str, str]


def environment(name: str, packages: Sequence[str]) -> str:
    """The interpreter of an environment with flake8 and ``packages``; made if it is not there."""
    folder = ENVIRONMENTS / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "flake8", *packages], check=True)
    elif str(ROOT) in packages:
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall"]
        subprocess.run([*install, *packages], check=True)
    return str(python)


# -- whole commands


def seconds(command: Sequence[str]) -> tuple[float, int]:
    """Processor seconds and peak memory (KiB) of a command and its children."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def compare(commands: dict[str, list[str]], runs: int) -> dict[str, tuple[float, int]]:
    """Median seconds and largest memory of each command over interleaved runs, one warm-up.

    Of a command that is many times as slow as the others, two runs are enough.
    """
    taken: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            if name == "flake8-async" and turn > 2 and runs < MANY:
                continue
            measured = seconds(command)
            if turn:
                taken[name].append(measured)
    return {
        name: (statistics.median(t for t, _ in runs_), max(m for _, m in runs_))
        for name, runs_ in taken.items()
    }


def flake8(python: str, *arguments: str) -> list[str]:
    return [python, "-m", "flake8", "--isolated", "-j1", "--exit-zero", *arguments]


def whole(what: str, budget: str, measured: dict[str, tuple[float, int]]) -> Row:
    alone, memory = measured["alone"]
    ours, our_memory = measured["plugin"]
    row = {
        "what": what,
        "alone": f"{alone:.2f} s",
        "with the plugin": f"{ours:.2f} s",
        "ratio": f"{ours / alone:.3f}",
        "budget": budget,
        "memory": f"{memory // 1024} → {our_memory // 1024} MiB",
    }
    if "flake8-async" in measured:
        row["flake8-async"] = f"{measured['flake8-async'][0] / alone:.3f}"
    return row


def start_up(pythons: dict[str, str], folder: Path, runs: int, quick: bool) -> list[Row]:
    """``flake8 --version``."""
    commands = {name: [python, "-m", "flake8", "--version"] for name, python in pythons.items()}
    return [whole("`flake8 --version`", "≤ 1.05", compare(commands, max(MANY, runs)))]


def no_processes(pythons: dict[str, str], folder: Path, runs: int, quick: bool) -> list[Row]:
    """The standard library's files that name no process module."""
    files = folder / "no_processes"
    count = 0
    for source in sorted(STDLIB.rglob("*.py")):
        place = source.relative_to(STDLIB)
        if place.parts[0] in ("test", "site-packages", "lib2to3", "idlelib", "pydoc_data"):
            continue
        text = source.read_text(encoding="utf-8", errors="replace")
        if not any(word in text for word in WORDS) and len(text) < 40_000:
            (files / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, files / place)
            count += 1
            if count == 150:
                break
    commands = {name: flake8(python, str(files)) for name, python in pythons.items()}
    if quick:
        del commands["flake8-async"]
    what = f"{count} files of the standard library, of which none uses processes"
    return [whole(what, "≤ 1.01", compare(commands, 3 * runs))]  # 1 % is within the noise of 5


def large_package(pythons: dict[str, str], folder: Path, runs: int, quick: bool) -> list[Row]:
    """A large package of which a few files use processes."""
    if quick:
        return []
    target = folder / "large"
    install = [pythons["alone"], "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(target), LARGE], check=True)
    package = target / LARGE.partition("=")[0]
    files = list(package.rglob("*.py"))
    users = sum(any(word in f.read_text(errors="replace") for word in WORDS) for f in files)
    commands = {name: flake8(pythons[name], str(package)) for name in ("alone", "plugin")}
    what = f"{LARGE}: {len(files)} files, {users} name a process module"
    return [whole(what, "", compare(commands, 1))]


def process_packages(pythons: dict[str, str], folder: Path, runs: int, quick: bool) -> list[Row]:
    """CPython's own process packages, where nearly every file uses them."""
    places = [str(STDLIB / "multiprocessing"), str(STDLIB / "concurrent")]
    commands = {name: flake8(python, *places) for name, python in pythons.items()}
    if quick:
        del commands["flake8-async"]
    what = "CPython's `multiprocessing` and `concurrent.futures`"
    return [whole(what, "≤ 2.0", compare(commands, runs))]


# -- inside one process


def inside(python: str, *arguments: str) -> list[dict[str, float]]:
    done = subprocess.run(
        [python, str(HERE / "inside.py"), *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def per_file(pythons: dict[str, str], folder: Path, runs: int, quick: bool) -> list[Row]:
    """The analysis of single files against LibCST's parse of them."""
    names = ("pool", "managers", "queues", "connection", "synchronize", "context")
    library = [str(STDLIB / "multiprocessing" / f"{name}.py") for name in names]
    library.append(str(STDLIB / "concurrent" / "futures" / "process.py"))
    rows = []
    for what, budget, files in (
        ("files of CPython that use processes, clean", "≤ 1.6", library),
        ("small programs that do nothing else, clean", "", fixtures("right")),
        ("small programs with findings", "≤ 3.5", fixtures("trap")),
    ):
        figures = inside(pythons["plugin"], "files", str(runs), *files)
        parse = sum(f["parse"] for f in figures)
        everything = sum(f["all"] for f in figures)
        rows.append(
            {
                "what": f"{len(files)} {what}: analysis against `libcst.parse_module`",
                "alone": f"{parse * 1000:.0f} ms",
                "with the plugin": f"{everything * 1000:.0f} ms",
                "ratio": f"{everything / parse:.2f}",
                "budget": budget,
            }
        )
    return rows


def fixtures(kind: str) -> list[str]:
    """Every twelfth fixture, but those that LibCST does not parse."""
    found = sorted((ROOT / "fixtures").glob(f"*/{kind}_*.py"))
    return [str(path) for path in found if path.parent.name != "MPP001"][::12]


def growth(pythons: dict[str, str], folder: Path, runs: int, quick: bool) -> list[Row]:
    """Time beyond the parse for generated files, ten times as large at each step."""
    rows = []
    for shape in SHAPES:
        sizes = ("1000", "10000") if quick or shape != "lines" else ("1000", "10000", "100000")
        figures = inside(pythons["plugin"], "growth", shape, *sizes)
        for size, before, after in zip(sizes[1:], figures, figures[1:], strict=False):
            rows.append(
                {
                    "what": f"{shape}: {int(size) // 10:,} → {int(size):,}, time beyond the parse",
                    "alone": f"{before['beyond'] * 1000:.0f} ms",
                    "with the plugin": f"{after['beyond'] * 1000:.0f} ms",
                    "ratio": f"{after['beyond'] / before['beyond']:.1f}",
                    "budget": "≤ 12",
                    "memory": f"{after['memory'] / 1024:.0f} MiB",
                }
            )
    return rows


PARTS: dict[str, Callable[[dict[str, str], Path, int, bool], list[Row]]] = {
    "start-up": start_up,
    "no-processes": no_processes,
    "large-package": large_package,
    "process-packages": process_packages,
    "per-file": per_file,
    "growth": growth,
}


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
