"""What the runs of the trap fixtures showed: docs/evidence.md, made and compared.

The text is kept stable: paths, addresses, process numbers and times are taken out, and a row is
left as it stands while a run differs from it in numbers only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fixture_header import Header, main_file
from fixture_runs import FIXTURES, Case
from run_fixture import Run

from flake8_mppitfalls.pages.evidence import Row, version_order, without_numbers

EVIDENCE = FIXTURES.parent / "docs" / "evidence.md"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_WIDTH = 160
# Of a match over many lines only the first and the last are kept: between them, several processes
# print in any order.
_LINES = 2

# What no program can show by being started on Linux, and the test that shows it.
SHOWN_BY_TESTS = (
    (
        "MPP102",
        "`tests/test_frozen.py`",
        "A program frozen with PyInstaller starts itself again and again; with `freeze_support()` "
        "it starts once.",
    ),
    (
        "MPP103",
        "`tests/test_frozen.py`",
        "Frozen, with `freeze_support()` after the command line was parsed: "
        "`error: unrecognized arguments: --multiprocessing-fork`; above the worker's `def`: "
        "`AttributeError: Can't get attribute 'index' on <module '__main__'`.",
    ),
    (
        "MPP501",
        "`tests/test_windows_limit.py`",
        "CPython's own check, with the platform made to look like Windows: "
        "`ValueError: max_workers must be <= 61`. A `Pool` waits for all its workers and two pipes "
        "of its own at once: `ValueError: need at most 63 handles, got a sequence of length 64` "
        "(until Python 3.12).",
    ),
)

_INTRODUCTION = """\
# What the runs showed

Each trap in `fixtures/` is a program. This is what was seen when it ran: the lines of its output
that its header asks for. The file is made by `python tests/make_evidence.py` (with each version of
Python in turn) and checked by `tests/test_evidence.py`; don't edit it by hand. Paths, addresses,
process numbers and times are taken out.
"""
_HEADING = """\
| Rule | Fixture | Start method | Shows | Seen | Python |
| --- | --- | --- | --- | --- | --- |"""
_EXPECTED = re.compile(r"#((?: ?MPP\d{3}@\d+)+)\s*$", re.MULTILINE)
_CODE = re.compile(r"MPP\d{3}")
_SCRUBBED = (
    (re.compile(r"(?<![\w/.])(?:/[\w.+@-]+)+/(?=[\w<.])"), ""),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "0x…"),
    (re.compile(r"\b(pid|PID)([= ]+)\d+"), r"\1\2…"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:s|ms|seconds)\b"), "… s"),
)


def fixture_name(header: Header) -> str:
    return header.path.relative_to(FIXTURES).as_posix()


def rules_of(header: Header) -> str:
    """The rule whose folder the fixture is in; the rules it expects, where that is no rule's."""
    folder = header.path.parent.name
    if _CODE.fullmatch(folder):
        return folder
    text = main_file(header.path).read_text(encoding="utf-8")
    found = {code for line in _EXPECTED.findall(text) for code in _CODE.findall(line)}
    return ", ".join(sorted(found)) or "-"


def is_evidence(header: Header) -> bool:
    return header.path.name.startswith("trap_")


def _scrub(line: str) -> str:
    for pattern, kept in _SCRUBBED:
        line = pattern.sub(kept, line)
    line = line.strip().replace("`", "'")
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _matches(header: Header, output: str) -> list[list[tuple[str, ...]]]:
    """For each thing that the header expects, all places of the output that show it, as lines."""
    found = []
    for expectation in header.expectations:
        places = []
        for match in expectation.pattern.finditer(output):
            if match.end() == match.start():
                continue
            first = output.rfind("\n", 0, match.start()) + 1
            last = output.find("\n", match.end() - 1)
            text = output[first : last if last >= 0 else len(output)]
            lines = [line for line in map(_scrub, text.splitlines()) if line]
            places.append(tuple(lines if len(lines) <= _LINES else (lines[0], lines[-1])))
        if places:
            found.append(places)
    return found


def row_of(case: Case, run: Run) -> Row:
    """The evidence that a run gives."""
    seen = dict.fromkeys(line for places in _matches(case.header, run.output) for line in places[0])
    return Row(
        rules_of(case.header),
        fixture_name(case.header),
        case.start,
        case.header.expectations[0].kind,
        tuple(seen),
        (PYTHON,),
    )


def _is_left_to_chance(pattern: str) -> bool:
    """Does a header name several errors, ``A|B|C``, of which any may come?"""
    inner = re.compile(r"\\.|\([^()]*\)|\[[^\]]*\]")
    while inner.search(pattern):
        pattern = inner.sub("", pattern)
    return "|" in pattern


def confirms(case: Case, run: Run, row: Row) -> bool:
    """Does the run show what the row says? (Several processes may print in any order.)"""
    if row.kind != case.header.expectations[0].kind or row.rule != rules_of(case.header):
        return False
    if _is_left_to_chance(case.header.expectations[0].pattern.pattern):
        pattern = case.header.expectations[0].pattern
        return bool(row.seen and pattern.search(run.output)) and all(map(pattern.search, row.seen))
    written = set(map(without_numbers, row.seen))
    possible = [
        [set(map(without_numbers, lines)) for lines in places]
        for places in _matches(case.header, run.output)
    ]
    printed = {line for places in possible for lines in places for line in lines}
    return written <= printed and all(
        any(lines <= written for lines in places) for places in possible
    )


def merge(old: Iterable[Row], new: Iterable[Row], valid: set[tuple[str, str]]) -> list[Row]:
    """Put the rows that this version of Python gave in the place of its old ones.

    A row of another version that says the same takes this version in, with its wording.
    Rows of fixtures and start methods that are gone are left out.
    """
    merged: dict[tuple[object, ...], Row] = {}
    before = list(old)
    for row in before:
        versions = tuple(version for version in row.versions if version != PYTHON)
        if row.case in valid and versions:
            merged[row.key] = replace(row, versions=versions)
    wording = {row.key: row.seen for row in before}
    for row in new:
        seen = wording.get(row.key, row.seen)
        versions = merged[row.key].versions if row.key in merged else ()
        versions = tuple(sorted({*versions, *row.versions}, key=version_order))
        merged[row.key] = replace(row, seen=seen, versions=versions)
    return sorted(
        merged.values(),
        key=lambda row: (row.rule, row.fixture, row.start, version_order(row.versions[0])),
    )


def render(rows: Iterable[Row], headers: Iterable[Header]) -> str:
    """The text of docs/evidence.md."""
    return "\n".join(_lines(list(rows), list(headers))) + "\n"


def _lines(rows: list[Row], headers: list[Header]) -> Iterator[str]:
    yield _INTRODUCTION
    yield _HEADING
    alike: dict[Row, list[str]] = {}
    for row in rows:
        alike.setdefault(replace(row, start=""), []).append(row.start)
    for row, starts in alike.items():
        seen = "<br>".join(f"`{line}`" for line in row.seen).replace("|", "\\|")
        cells = [row.rule, f"`{row.fixture}`", ", ".join(starts), row.kind]
        cells += [seen or "(it prints nothing)", ", ".join(row.versions)]
        yield "| " + " | ".join(cells) + " |"
    yield "\n## Shown by tests\n"
    yield "| Rule | Test | Seen |\n| --- | --- | --- |"
    for rule, test, seen in SHOWN_BY_TESTS:
        yield f"| {rule} | {test} | {seen} |"
    yield "\n## Not run\n"
    yield "| Rule | Fixture | Why |\n| --- | --- | --- |"
    for header in headers:
        if header.not_run and is_evidence(header):
            why = header.not_run.replace("|", "\\|")
            yield f"| {rules_of(header)} | `{fixture_name(header)}` | {why} |"


def write(path: Path, text: str) -> bool:
    """Write the file if it changes; says whether it did."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True
