"""Lints many files that other people wrote, and says whether the plugin gets through them.

    python tests/many_files.py                 the standard library, and all installed packages
    python tests/many_files.py DIRECTORY ...   other ones

Shows each report with its line, the reports of each code, and the files whose analysis takes
longest by the measure of their parse.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import sysconfig
import time
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import fuzz
import libcst as cst
from mutations import parsed

from flake8_mppitfalls.plugin import Plugin
from flake8_mppitfalls.prefilter import uses_processes
from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.settings import Settings


class Linted(NamedTuple):
    """A file that uses processes, and how it went."""

    path: Path
    ratio: float
    seconds: float


def files(places: list[Path]) -> Iterator[Path]:
    """All Python files below these places, each once."""
    seen: set[Path] = set()
    for place in places:
        for path in sorted(place.rglob("*.py")):
            real = path.resolve()
            if real not in seen and real.is_file():
                seen.add(real)
                yield real


def text_of(path: Path) -> str | None:
    """The text as flake8 reads it; none if there is a null byte in it."""
    try:
        with tokenize.open(path) as file:
            text = file.read()
    except (SyntaxError, UnicodeError):
        text = path.read_text(encoding="latin-1")
    return None if "\0" in text else text


def seconds_of_parse(text: str) -> float | None:
    """How long LibCST's parser takes, if it takes it at all."""
    start = time.process_time()
    try:
        cst.parse_module(text)
    except cst.ParserSyntaxError:
        return None
    return time.process_time() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("places", nargs="*", type=Path, help="directories")
    options = parser.parse_args()
    places = options.places or [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    registry.all_rules()
    count = refused = problems = 0
    linted: list[Linted] = []
    codes: collections.Counter[str] = collections.Counter()
    for path in files(places):
        text = text_of(path)
        tree = None if text is None else parsed(text)
        if text is None or tree is None:
            refused += 1
            continue
        count += 1
        lines = text.splitlines(keepends=True)
        start = time.process_time()
        reports = [report[:3] for report in Plugin(tree, lines, str(path)).run()]
        took = time.process_time() - start
        problem = ""
        if uses_processes(text, tree):
            if (parse := seconds_of_parse(text)) is not None:
                linted.append(Linted(path, took / parse, took))
            program = fuzz.Program(text, Settings(), str(path))
            every = program._replace(settings=fuzz.SETTINGS[0])
            problem = fuzz.check(every).problem or fuzz.check(program).problem
        if problem:
            problems += 1
            print(f"PROBLEM {path}: {problem}")
        for line, column, message in reports:
            codes[message.split()[0]] += 1
            print(
                f"{path}:{line}:{column + 1}: {message}\n    {text.splitlines()[line - 1].strip()}"
            )
    print(f"Python {sys.version.split()[0]}: {count} files, {refused} that it does not parse,")
    print(f"{len(linted)} that use processes, {problems} problems; reports: {dict(codes)}")
    for each in sorted(linted, key=lambda each: each.ratio)[-10:]:
        print(f"{each.ratio:5.1f} times the parse, {each.seconds:6.3f} s: {each.path}")
    return 1 if problems else 0


if __name__ == "__main__":
    os.environ["MPPITFALLS_DEBUG"] = "1"
    sys.exit(main())
