"""MPP102 and MPP103 for real: small programs are frozen with PyInstaller and started.

Such a program without freeze_support() starts itself without end, and a limit on the number of
processes does not bind root. So the programs count their starts in a file and give up after six,
and their process group is killed at a deadline.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixture_runs import FIXTURES
from run_fixture import end_group
from tools import missing, need

pytestmark = pytest.mark.slow

PROGRAMS = sorted((FIXTURES / "frozen").glob("*.py"))
ENOUGH = 6
DEADLINE = 30.0


@dataclass(frozen=True)
class Frozen:
    """What was seen of a frozen program."""

    output: str
    starts: int
    status: int | None


def freeze(program: Path, folder: Path) -> Path:
    """Freeze a program into a folder of its own; returns the executable."""
    # Its own bundle may not see the start method that the tests of the fixtures set.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--onedir", "--log-level=WARN"]
    for option in ("distpath", "workpath", "specpath"):
        command.append(f"--{option}={folder / option}")
    done = subprocess.run(
        [*command, str(program)],
        cwd=folder,
        env={**environment, "PYINSTALLER_CONFIG_DIR": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode and re.search(r"Python (shared )?library", done.stdout):
        missing("PyInstaller needs Python's shared library, which this Python does not have")
    assert done.returncode == 0, done.stdout
    return folder / "distpath" / program.stem / program.stem


def run_frozen(executable: Path, folder: Path) -> Frozen:
    """Start a frozen program in a process group of its own, which ends at the deadline."""
    starts, output = folder / "starts", folder / "output"
    with output.open("ab") as sink:
        process = subprocess.Popen(
            [str(executable)],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "STARTS": str(starts)},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        status = process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        end_group(process)
    text = output.read_text(encoding="utf-8", errors="replace")
    return Frozen(text, len(starts.read_text(encoding="utf-8").splitlines()), status)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Frozen]:
    """All programs, frozen side by side and run one after the other."""
    if not sys.platform.startswith("linux"):
        pytest.skip("these programs are frozen on Linux only")
    need("PyInstaller")
    folders = [tmp_path_factory.mktemp(program.stem) for program in PROGRAMS]
    with ThreadPoolExecutor(2) as pool:
        executables = list(pool.map(freeze, PROGRAMS, folders))
    return {
        program.stem: run_frozen(executable, folder)
        for program, executable, folder in zip(PROGRAMS, executables, folders, strict=True)
    }


def test_without_freeze_support_the_program_starts_itself_again(
    frozen: Mapping[str, Frozen],
) -> None:
    seen = frozen["without_freeze_support"]
    assert seen.starts >= ENOUGH, seen
    assert "started often enough" in seen.output
    assert "indexed" not in seen.output


def test_with_freeze_support_it_starts_once(frozen: Mapping[str, Frozen]) -> None:
    seen = frozen["with_freeze_support"]
    assert (seen.starts, seen.status, seen.output) == (1, 0, "indexed reports\n"), seen


def test_freeze_support_after_parsing_is_too_late(frozen: Mapping[str, Frozen]) -> None:
    seen = frozen["freeze_support_after_parsing"]
    assert re.search(r"error: unrecognized arguments: --multiprocessing-fork", seen.output), seen
    assert "exit code 2" in seen.output
    assert "indexed" not in seen.output


def test_freeze_support_above_the_worker_is_too_early(frozen: Mapping[str, Frozen]) -> None:
    seen = frozen["freeze_support_above_worker"]
    assert "AttributeError: Can't get attribute 'index' on <module '__main__'" in seen.output, seen
    assert "exit code 1" in seen.output
    assert "indexed" not in seen.output


def test_every_program_is_asked_about() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert PROGRAMS
    for program in PROGRAMS:
        assert f'frozen["{program.stem}"]' in source, f"no test looks at {program.name}"
