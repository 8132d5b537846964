"""Tools beside pytest that some tests need, and what happens where one is not there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from run_fixture import end_group

#: Set where a tool of the extra "test" that is missing is an error, and no reason to skip.
REQUIRED = "MPP_REQUIRE_TOOLS"


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where all tools have to be there."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason} ({REQUIRED} is set)")
    pytest.skip(reason)


def need(module: str) -> None:
    """Go on only if *module* is installed."""
    if importlib.util.find_spec(module) is None:
        missing(f"{module} is not installed: pip install -e '.[test]'")


def run(
    command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str], *, limit: float
) -> tuple[int, str]:
    """Status and output of a command. At the limit it ends, with all that it has started."""
    with (cwd.parent / "output").open("w+b") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        late = False
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            end_group(process)
        output.seek(0)
        text = output.read().decode("utf-8", errors="replace")
    assert not late, f"{command[0]} takes longer than {limit} s:\n{text}"
    return process.returncode, text
