"""MPP804 and MPP807: the fixtures as they run where Linux's ways are missing.

The traps run well here. So they are run again in an interpreter that lacks what the other platform
lacks: CPython's own code then raises the error.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"

WINDOWS = """
from multiprocessing import context
context._concrete_contexts.pop("fork", None)
context._default_context = context._default_context
context._default_context._default_context = context._concrete_contexts["spawn"]
"""
"""On Windows the table of contexts has ``spawn`` alone (``multiprocessing/context.py``)."""

MACOS = """
import sys
sys.platform = "darwin"
import _multiprocessing
class SemLock(_multiprocessing.SemLock):
    def _get_value(self):
        raise NotImplementedError
_multiprocessing.SemLock = SemLock
"""
"""macOS has no ``sem_getvalue``: ``_get_value`` raises (``HAVE_BROKEN_SEM_GETVALUE``)."""


def run(fixture: Path, platform: str, folder: Path) -> tuple[int, str]:
    """Run a fixture on something like another platform; returns its status and output."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(platform, encoding="utf-8")
    argv = re.findall(r"^# argv: (.*)$", fixture.read_text(encoding="utf-8"), re.MULTILINE)
    process = subprocess.Popen(
        [sys.executable, str(fixture), *(argv[0].split() if argv else ())],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:  # an error that left others waiting
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    return process.returncode, output


def fixtures(code: str, kind: str) -> list[Path]:
    """The fixtures of a rule that need no folder."""
    return sorted((FIXTURES / code).glob(f"{kind}_*.py"))


@pytest.mark.parametrize("fixture", fixtures("MPP804", "trap"), ids=lambda path: path.stem)
def test_fork_is_missing_on_windows(fixture: Path, tmp_path: Path) -> None:
    status, output = run(fixture, WINDOWS, tmp_path)
    assert status == 1
    assert re.search(r"^ValueError: cannot find context for 'fork'$", output, re.MULTILINE)


def test_the_error_can_be_taken(tmp_path: Path) -> None:
    status, output = run(FIXTURES / "MPP804" / "right_error_taken.py", WINDOWS, tmp_path)
    assert (status, "Traceback" in output) == (0, False), output


@pytest.mark.parametrize("fixture", fixtures("MPP807", "trap"), ids=lambda path: path.stem)
def test_size_is_missing_on_macos(fixture: Path, tmp_path: Path) -> None:
    _, output = run(fixture, MACOS, tmp_path)
    assert re.search(r"^NotImplementedError$", output, re.MULTILINE)


@pytest.mark.parametrize("fixture", fixtures("MPP807", "right"), ids=lambda path: path.stem)
def test_right_ones_do_without_size(fixture: Path, tmp_path: Path) -> None:
    _, output = run(fixture, MACOS, tmp_path)
    assert "NotImplementedError" not in output
