"""What the runs of the trap fixtures showed: docs/evidence.md, read, and its gist for a rule."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

_ROW = re.compile(r"\| (.*?) \| `(.*?)` \| ([\w, ]+) \| (\w+) \| (.*) \| ([\d., ]+) \|")
_TEST = re.compile(r"\| (MPP\d{3}) \| (`tests/.*?`) \| (.*) \|")

#: What differs from one program to the next: names in quotes, functions, classes, numbers.
_NAMES = re.compile(r"(?<!\w)'[^']*'|<.*>|__(?:mp_)?main__\.\w+|[\w.<>]+\(\)|\d+(?:\.\d+)?")
#: The class of an error, at the beginning of its text.
_CLASS = re.compile(r"[\w.]*(?:Error|Exception|Warning|Quit|Pool):? ")
#: What a fixture prints in front of an error.
_LABEL = re.compile(r"[\w.]+: ")
_ERROR = re.compile(r"(?:Error|Exception|Warning|Quit|Pool|\berror): |\b(?:[Cc]an't|cannot) ")
_MOST = 6

_OUTCOMES = {
    "raises": "ended with an error",
    "hangs": "hung",
    "loses": "lost work",
    "leaks": "leaked",
    "slower": "ran slower",
    "prints": "did no harm on Linux",
}


@dataclass(frozen=True, order=True)
class Row:
    """What was seen of one fixture under one start method, by these versions of Python.

    (In the file, start methods that show the same share a line.)
    """

    rule: str
    fixture: str
    start: str
    kind: str
    seen: tuple[str, ...]
    versions: tuple[str, ...]

    @property
    def case(self) -> tuple[str, str]:
        return self.fixture, self.start

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for rows that differ in numbers (and versions) only."""
        return (*self.case, self.kind, frozenset(map(without_numbers, self.seen)))


@dataclass(frozen=True)
class Seen:
    """The text of an error, word for word, and the versions of Python that said it so."""

    text: str
    versions: str
    """In words; empty where all versions said the same."""


@dataclass(frozen=True)
class Gist:
    """What the runs showed about one rule."""

    sentence: str
    """How the programs with the trap ended; empty if none was run."""

    errors: tuple[Seen, ...]
    """The errors that came most often: alike ones once, but for each version of Python."""

    tests: tuple[str, ...]
    """What tests show that no fixture can, as Markdown."""


def text() -> str:
    """The text of evidence.md: the wheel has it in this package, a clone in docs/."""
    shipped = resources.files(__package__) / "evidence.md"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "docs" / "evidence.md").read_text(encoding="utf-8")


def read_rows(text: str) -> list[Row]:
    """The rows of docs/evidence.md."""
    rows = []
    for line in text.splitlines():
        match = _ROW.fullmatch(line)
        if match:
            rule, fixture, starts, kind, cell, versions = match.groups()
            cell = cell.replace("\\|", "|")
            seen = tuple(cell[1:-1].split("`<br>`")) if cell.startswith("`") else ()
            for start in starts.split(", "):
                rows.append(Row(rule, fixture, start, kind, seen, tuple(versions.split(", "))))
    return rows


def gist(code: str) -> Gist:
    """What the shipped table says about the rule *code*."""
    rows, tests = _shipped()
    return gist_of([row for row in rows if code in row.rule.split(", ")], tests.get(code, ()))


def gist_of(rows: Iterable[Row], tests: Iterable[str] = ()) -> Gist:
    """What *rows*, which are about one rule, say in short."""
    rows = list(rows)
    return Gist(_sentence(rows), tuple(_errors(rows)), tuple(tests))


def without_numbers(line: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "0", line)


def version_order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@functools.cache
def _shipped() -> tuple[list[Row], dict[str, tuple[str, ...]]]:
    file = text()
    tests: dict[str, tuple[str, ...]] = {}
    for match in filter(None, map(_TEST.fullmatch, file.splitlines())):
        code, test, seen = match.groups()
        tests[code] = (*tests.get(code, ()), f"{test}: {seen}")
    return read_rows(file), tests


def _sentence(rows: list[Row]) -> str:
    kinds = list({row.fixture: row.kind for row in rows}.values())
    if not kinds:
        return ""
    ends = [f"{kinds.count(kind)} {end}" for kind, end in _OUTCOMES.items() if kind in kinds]
    return f"Programs with this trap that were run (Python {_span(rows)}): {', '.join(ends)}."


def _errors(rows: list[Row]) -> list[Seen]:
    """The errors that most of the traps share, each with what it is in other versions."""
    alike: dict[str, list[tuple[Row, str]]] = {}
    for row in rows:
        for line in _error_lines(row):
            common = _NAMES.sub("…", line[match.end() :] if (match := _CLASS.match(line)) else line)
            alike.setdefault(common, []).append((row, line))
    groups = sorted(alike.values(), key=lambda group: -len({row.fixture for row, _ in group}))
    chosen = groups[:_MOST]
    shown = {(row.case, row.versions) for group in chosen for row, _ in group}
    cases = {case for case, _ in shown}
    for group in groups[_MOST:]:
        if any(row.case in cases and (row.case, row.versions) not in shown for row, _ in group):
            chosen.append(group)
    everywhere = _span(rows)
    found = []
    for group in chosen:
        # The first one that begins with the class of the error stands for all.
        _, line = min(group, key=lambda place: not _CLASS.match(place[1]))
        versions = _span(row for row, _ in group)
        found.append(Seen(line, "" if versions == everywhere else versions))
    return found


def _error_lines(row: Row) -> list[str]:
    """The lines that tell of an error; what else the program printed says little without it."""
    lines = [
        line if _CLASS.match(line) else _LABEL.sub("", line, count=1)
        for line in row.seen
        if _ERROR.search(line)
    ]
    return lines or (list(row.seen) if row.kind == "raises" else [])


def _span(rows: Iterable[Row]) -> str:
    """The versions of Python in words: ``3.10 to 3.12``."""
    versions = sorted({version for row in rows for version in row.versions}, key=version_order)
    minors = [version_order(version)[1] for version in versions]
    if len(versions) > 2 and minors == list(range(minors[0], minors[-1] + 1)):
        return f"{versions[0]} to {versions[-1]}"
    return ", ".join(versions)
