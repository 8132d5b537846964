"""Lints source text with the plugin, in this process and through the real flake8."""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flake8_mppitfalls.plugin import Plugin
from flake8_mppitfalls.settings import Settings

#: A script with a trap, MPP201, at line 6, column 19. It runs under every start method.
TRAP = textwrap.dedent(
    """\
    from multiprocessing import Pool

    if __name__ == "__main__":
        with Pool(2) as pool:
            rows = [1, 2, 3]
            pool.map(lambda row: row + 1, rows)
    """
)


class Report(NamedTuple):
    """One report, as flake8 prints it: the first column is 1."""

    line: int
    column: int
    code: str


class _Manager:
    """As much of flake8's option manager as a plugin needs to add options."""

    def __init__(self) -> None:
        self.parser = argparse.ArgumentParser(exit_on_error=False)

    def add_option(self, *names: str, parse_from_config: bool = False, **kwargs: Any) -> None:
        assert parse_from_config, f"{names} can't be set in a configuration file"
        self.parser.add_argument(*names, **kwargs)


def settings(*options: str) -> Settings:
    """The settings that these command-line options make."""
    manager = _Manager()
    Plugin.add_options(manager)  # type: ignore[arg-type]
    plugin = type("Configured", (Plugin,), {})
    plugin.parse_options(manager.parser.parse_args(options))
    return plugin.settings


def messages(
    source: str, *options: str, filename: str = "program.py"
) -> list[tuple[int, int, str]]:
    """What the plugin yields for *source*: line, column from 0, text."""
    plugin = type("Configured", (Plugin,), {"settings": settings(*options)})
    lines = io.StringIO(source).readlines()
    return [report[:3] for report in plugin(ast.parse(source), lines, filename).run()]


def lint(source: str, *options: str, filename: str = "program.py") -> list[Report]:
    """What the plugin reports about *source*."""
    return [
        Report(line, column + 1, text.split()[0])
        for line, column, text in messages(source, *options, filename=filename)
    ]


_LINE = re.compile(r"(?P<path>.+?):(?P<line>\d+):(?P<column>\d+): (?P<code>[A-Z]+\d+) ")


def flake8(
    *arguments: str | Path, cwd: Path, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real flake8."""
    return subprocess.run(
        [sys.executable, "-m", "flake8", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        timeout=300,
        check=False,
    )


def reports_by_file(output: str) -> dict[str, list[Report]]:
    """What flake8 printed in its default format, by the path as it printed it."""
    found: dict[str, list[Report]] = {}
    for match in filter(None, map(_LINE.match, output.splitlines())):
        report = Report(int(match["line"]), int(match["column"]), match["code"])
        found.setdefault(match["path"], []).append(report)
    return found


def reports(run: subprocess.CompletedProcess[str]) -> Sequence[Report]:
    """What flake8 printed about one file."""
    assert run.returncode in (0, 1), run.stderr
    found = reports_by_file(run.stdout)
    assert len(found) <= 1, run.stdout
    return next(iter(found.values()), [])
