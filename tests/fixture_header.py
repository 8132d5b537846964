"""Reads the header of a fixture: how it is run, and what is seen then.

The format is described in fixtures/README.md. Reading is strict: a header that can't be understood
is an error, so that a slip of the pen can't turn a fixture into one that proves nothing.
"""

from __future__ import annotations

import operator
import re
import shlex
import sys
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

START_METHODS = ("fork", "forkserver", "spawn")
KINDS = ("raises", "hangs", "loses", "leaks", "slower", "prints")
KEYS = ("options", "start", "not run", "python", "argv", "stdin", *KINDS)
REPEATABLE = ("stdin", *KINDS)

_KEY_LINE = re.compile(r"#\s*(not run|[\w-]+)\s*:(.*)")
_CODING_LINE = re.compile(r"#.*?coding[:=]")
_COMPARISON = re.compile(r"(>=|<=|==|!=|>|<)\s*(\d+)\.(\d+)")
_COMPARE: dict[str, Callable[[object, object], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


class HeaderError(ValueError):
    """The header of a fixture is not what fixtures/README.md asks for."""


@dataclass(frozen=True)
class Expectation:
    """One thing that is seen when the fixture runs."""

    kind: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Header:
    """What the first lines of a fixture say."""

    path: Path
    starts: tuple[str, ...] = ()
    not_run: str | None = None
    expectations: tuple[Expectation, ...] = ()
    options: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    stdin: str | None = None
    python: str | None = None

    @property
    def hangs(self) -> bool:
        return any(e.kind == "hangs" for e in self.expectations)

    def runs_on(self, version: tuple[int, int] | None = None) -> bool:
        """Does the fixture speak about this version of Python (the running one by default)?"""
        if self.python is None:
            return True
        if version is None:
            version = sys.version_info[:2]
        return all(
            _COMPARE[sign](version, (int(major), int(minor)))
            for sign, major, minor in _COMPARISON.findall(self.python)
        )


def main_file(path: Path) -> Path:
    """The file of a fixture that has the header: itself, or the `__main__.py` of its folder."""
    return path / "__main__.py" if path.is_dir() else path


def find_fixtures(root: Path) -> list[Path]:
    """All fixtures of the rule folders below `root`: single files, and folders run as packages."""
    found = []
    for folder in sorted(root.iterdir()):
        if not folder.is_dir() or folder.name in ("frozen", "__pycache__"):
            continue
        for path in sorted(folder.iterdir()):
            named = path.name.startswith(("trap_", "right_"))
            if named and (path.suffix == ".py" or path.is_dir()):
                found.append(path)
    return found


def files_of(fixture: Path) -> list[Path]:
    """The Python files of a fixture."""
    return sorted(fixture.rglob("*.py")) if fixture.is_dir() else [fixture]


def source_of(path: Path) -> str:
    """The text of a Python file, in the encoding that it names."""
    with tokenize.open(path) as file:
        return file.read()


def read_header(path: Path) -> Header:
    """Read and check the header of the fixture `path` (a file, or a folder with `__main__.py`)."""
    try:
        with tokenize.open(main_file(path)) as file:
            text = file.read()
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise HeaderError(f"{path}: can't be read: {error}") from error
    return parse_header(path, text)


def parse_header(path: Path, text: str) -> Header:
    """Parse the header at the start of `text`; `path` names the fixture in errors."""

    def wrong(problem: str) -> HeaderError:
        return HeaderError(f"{path}: {problem} (see fixtures/README.md)")

    entries: dict[str, list[str]] = {}
    has_remark = False
    for number, line in enumerate(text.splitlines()):
        if not line.startswith("#"):
            has_remark = has_remark or line.startswith(('"""', "'''"))
            break
        if (number == 0 and line.startswith("#!")) or (number < 2 and _CODING_LINE.match(line)):
            continue
        match = _KEY_LINE.match(line)
        if match is None:
            has_remark = True
            continue
        key, value = match[1], match[2].strip()
        if key not in KEYS:
            raise wrong(f"unknown key {key!r} in line {number + 1}")
        if key in entries and key not in REPEATABLE:
            raise wrong(f"{key!r} is given twice")
        if not value and key not in ("hangs", "stdin"):
            raise wrong(f"{key!r} is empty")
        entries.setdefault(key, []).append(value)

    def single(key: str) -> str | None:
        return entries[key][0] if key in entries else None

    def words(key: str) -> tuple[str, ...]:
        try:
            return tuple(shlex.split(single(key) or ""))
        except ValueError as error:
            raise wrong(f"{key!r} can't be split into words: {error}") from error

    starts = tuple(part.strip() for part in (single("start") or "").split(",") if part.strip())
    kinds = [kind for kind in KINDS if kind in entries]
    not_run, python = single("not run"), single("python")
    if not_run is None and not starts:
        raise wrong("neither 'start' nor 'not run'")
    if not_run is not None and (starts or kinds):
        raise wrong("'not run' together with 'start' or what is seen")
    for start in starts:
        if start not in START_METHODS:
            raise wrong(f"unknown start method {start!r}")
    if len(set(starts)) != len(starts):
        raise wrong("a start method is given twice")
    if starts and not kinds:
        raise wrong("nothing says what is seen: one of " + ", ".join(KINDS))
    if "hangs" in kinds and len(kinds) > 1:
        raise wrong("'hangs' (it never ends) together with what a program that ends shows")
    if "prints" in kinds and len(kinds) > 1:
        raise wrong("'prints' (all is well) together with a damage")
    name = path.name
    if name.startswith("right_") and kinds not in ([], ["prints"]):
        raise wrong("a right fixture says 'prints'")
    if name.startswith("trap_") and kinds == ["prints"] and not has_remark:
        raise wrong("a trap that only 'prints' needs a comment or docstring that says why")
    if python is not None and not all(
        map(_COMPARISON.fullmatch, map(str.strip, python.split(",")))
    ):
        raise wrong(f"'python' is not a list of comparisons such as >=3.12: {python!r}")

    expectations = []
    for kind in kinds:
        for pattern in entries[kind]:
            try:
                expectations.append(Expectation(kind, re.compile(pattern, re.MULTILINE)))
            except re.error as error:
                raise wrong(f"{kind!r} is no regular expression: {error}") from error
    return Header(
        path=path,
        starts=starts,
        not_run=not_run,
        expectations=tuple(expectations),
        options=words("options"),
        argv=words("argv"),
        stdin="".join(line + "\n" for line in entries["stdin"]) if "stdin" in entries else None,
        python=python,
    )
