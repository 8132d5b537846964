"""Lint packages of the package index, and compare the findings with what readers said of them.

    python benchmarks/corpus.py                    all packages of corpus/packages.txt
    python benchmarks/corpus.py --only dask luigi  some of them
    python benchmarks/corpus.py --code MPP403      every finding of one rule, judged or not
    python benchmarks/corpus.py --csv out.csv      the findings as rows of the judgement file

Each package is a pinned wheel. It is downloaded by pip into a folder outside the repository and
unpacked there; nothing of it is imported, built or run (which is why packages without a wheel are
not in the list: pip has to run their build to download them). Its files are linted as flake8 would,
once with the default rules and once with all of them; what only the second finds is an own row
of the table, *opt-in*.

``corpus/judgements.csv`` says of each finding that somebody has read whether it is *right* (the
code goes wrong as the message says, under a start method and platform that the package claims to
support), *wrong*, or *unsure*, and why. Where a rule has over 60 findings, a fixed random 60 of
them are to be read. Shown at the end: findings of these that nobody has judged; findings judged
right that are gone; findings judged wrong that are there. The last two make the exit status 1. A
wrong one whose *why* begins with "known limit:" is counted, and nothing else.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tokenize
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flake8_mppitfalls.plugin import Plugin
from flake8_mppitfalls.prefilter import uses_processes
from flake8_mppitfalls.settings import OPT_IN_CODES, Settings

HERE = Path(__file__).resolve().parent / "corpus"
PACKAGES = HERE / "packages.txt"
JUDGEMENTS = HERE / "judgements.csv"
COLUMNS = ("package", "version", "path", "line", "code", "verdict", "why")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mppitfalls-corpus"
WORDS = ("multiprocess", "concurrent", "billiard")
"""A file without any of these uses no processes."""

SAMPLE = 60
"""How many findings of a rule are read where there are more."""

Package = tuple[str, str]
"""Name and version."""

Key = tuple[str, str, str, int, str]
"""Package, version, path, line and code: the first columns of the judgement file."""


@dataclass(frozen=True)
class Found:
    """One finding."""

    key: Key
    message: str
    source: str
    opt_in: bool

    @property
    def row(self) -> str:
        """The row of the table in which it is counted."""
        return f"{self.key[4]} opt-in" if self.opt_in else self.key[4]

    @property
    def rank(self) -> str:
        """Its place in an order that is random, and always the same."""
        return hashlib.sha256(repr(self.key).encode()).hexdigest()

    def __str__(self) -> str:
        package, version, path, line, _ = self.key
        return f"{package}=={version} {path}:{line}: {self.message}\n    {self.source.strip()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some packages of the list")
    parser.add_argument("--code", help="print every finding of this rule")
    parser.add_argument("--csv", type=Path, help="write the findings as rows of the judgement file")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the packages are kept")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes (default: 1)")
    options = parser.parse_args()

    trees = {package: unpacked(package, options.cache) for package in listed(options.only)}
    files = [
        (package, tree, path)
        for package, tree in trees.items()
        if tree
        for path in sorted(tree.rglob("*.py"))
    ]
    found: list[Found] = []
    using = 0
    with ProcessPoolExecutor(options.jobs) as executor:
        for findings in executor.map(lint_file, files, chunksize=50):
            if findings is not None:
                using += 1
                found += findings
    present = [package for package, tree in trees.items() if tree]
    print(f"{len(present)} packages, {len(files)} files, {using} of them use processes\n")

    judgements = {key: judgement for key, judgement in judged() if key[:2] in present}
    verdicts = {key: verdict for key, (verdict, _) in judgements.items()}
    print(table(found, verdicts))
    if options.csv:
        write(options.csv, found, verdicts)
    if options.code:
        show(f"Findings of {options.code}", (one for one in found if one.key[4] == options.code))
    show("Not judged yet", (one for one in to_read(found) if one.key not in verdicts))
    keys = {one.key for one in found}
    gone = [key for key, verdict in verdicts.items() if verdict == "right" and key not in keys]
    show("Judged right, and not found any more", map(place, gone))
    back = [
        one
        for one in found
        if one.key in judgements
        and judgements[one.key][0] == "wrong"
        and not judgements[one.key][1].startswith("known limit:")
    ]
    show("Judged wrong, and found", back)
    return 1 if gone or back else 0


def listed(names: list[str] | None) -> Iterator[Package]:
    """The packages of the list, or those of *names*."""
    for line in PACKAGES.read_text("utf-8").splitlines():
        name, _, version = line.partition("#")[0].strip().partition("==")
        if name and (names is None or name in names):
            yield name, version


def unpacked(package: Package, cache: Path) -> Path | None:
    """The folder with the Python files of a package; it is downloaded if it is not there."""
    name, version = package
    folder = cache / "unpacked" / f"{name}-{version}"
    if not folder.is_dir():
        wheel = downloaded(package, cache / "wheels")
        if wheel is None:
            print(f"no wheel of {name}=={version}", file=sys.stderr)
            return None
        half = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        with zipfile.ZipFile(wheel) as archive:
            # extract() keeps what it unpacks inside the folder.
            for member in archive.namelist():
                if member.endswith(".py"):
                    archive.extract(member, half)
        half.rename(folder)
    return folder


def downloaded(package: Package, folder: Path) -> Path | None:
    """The wheel of a package; any Python and platform will do, as it is only read."""
    name, version = package
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--ignore-requires-python", "--dest", str(folder)]
    if wheel(package, folder) is None:
        subprocess.run([*command, f"{name}=={version}"], check=False)
    return wheel(package, folder)


def wheel(package: Package, folder: Path) -> Path | None:
    """The wheel of a package in *folder*."""
    for path in folder.glob("*.whl"):
        name, version = path.name.split("-")[:2]
        if (plain(name), version) == (plain(package[0]), package[1]):
            return path
    return None


def plain(name: str) -> str:
    """The name of a package as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lint_file(file: tuple[Package, Path, Path]) -> list[Found] | None:
    """What is found in a file; None if it uses no processes, or is no Python of this version."""
    package, tree, path = file
    try:
        with tokenize.open(path) as text, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lines = text.readlines()
            if not any(word in line for line in lines for word in WORDS):
                return None
            module = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return None
    if not uses_processes("".join(lines), module):
        return None
    messages: dict[bool, set[tuple[int, str]]] = {}
    for all_rules in (False, True):
        Plugin.settings = Settings(opt_in=frozenset(OPT_IN_CODES if all_rules else ()))
        reports = Plugin(module, lines, str(path)).run()
        messages[all_rules] = {(line, message) for line, _, message, _ in reports}
    found: dict[Key, Found] = {}
    for line, message in sorted(messages[False] | messages[True]):
        key = (*package, path.relative_to(tree).as_posix(), line, message.split()[0])
        opt_in = (line, message) not in messages[False]
        found.setdefault(key, Found(key, message, lines[line - 1], opt_in))
    return list(found.values())


def judged() -> Iterator[tuple[Key, tuple[str, str]]]:
    """The findings that were read, each with its verdict and why."""
    with JUDGEMENTS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = (row["package"], row["version"], row["path"], int(row["line"]), row["code"])
            yield key, (row["verdict"], row["why"])


def to_read(found: Iterable[Found]) -> Iterator[Found]:
    """Of each row of the table, at most `SAMPLE` findings."""
    read: Counter[str] = Counter()
    for one in sorted(found, key=lambda one: (one.row, one.rank)):
        read[one.row] += 1
        if read[one.row] <= SAMPLE:
            yield one


def table(found: list[Found], verdicts: dict[Key, str]) -> str:
    """How many of each rule were found, read, and judged so or so."""
    head = ("code", "found", "read", "right", "wrong", "unsure", "share right")
    lines = [head, ("---",) * len(head)]
    for name in [*sorted({one.row for one in found}), "all"]:
        rows = [one for one in found if name in (one.row, "all")]
        count = Counter(verdicts[one.key] for one in rows if one.key in verdicts)
        decided = count["right"] + count["wrong"]
        share = f"{count['right'] / decided:.2f}" if decided else ""
        numbers = (len(rows), count.total(), *(count[v] for v in ("right", "wrong", "unsure")))
        lines.append((name, *map(str, numbers), share))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(path: Path, found: list[Found], verdicts: dict[Key, str]) -> None:
    """Write the findings as rows of the judgement file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows((*one.key, verdicts.get(one.key, ""), one.message) for one in found)


def show(title: str, items: Iterable[object]) -> None:
    """Print a list, if there is anything in it."""
    lines = [str(item) for item in items]
    if lines:
        print(f"\n{title}: {len(lines)}", *lines, sep="\n")


def place(key: Key) -> str:
    """A finding that is not there any more."""
    package, version, path, line, code = key
    return f"{package}=={version} {path}:{line}: {code}"


if __name__ == "__main__":
    sys.exit(main())
