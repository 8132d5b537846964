"""Runs a fixture under a start method and says whether it shows what its header claims.

As a command:

    python tests/run_fixture.py fixtures/MPP201/trap_report.py [--start spawn]
    python tests/run_fixture.py fixtures/MPP201 --quiet

Each run has a directory, a session and a process group of its own. The group is killed at the
limit and also after a program that ended by itself, so nothing is left behind.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fixture_header import START_METHODS, Header, HeaderError, find_fixtures, read_header

SITE = Path(__file__).resolve().parent / "start_method"
_KEPT_VARIABLES = ("PATH", "HOME", "LD_LIBRARY_PATH", "SYSTEMROOT")
_TICK = 0.05


@dataclass(frozen=True)
class Limits:
    """Seconds that a run may take."""

    ends: float = 10.0  # a program that ends; also a hanging one until its output is seen
    hangs: float = 4.0  # a hanging program, after its output was seen
    settles: float = 1.0  # what a program left behind may still print after its end


@dataclass(frozen=True)
class Run:
    """What was seen of one run."""

    output: str  # stdout and stderr, in the order written
    status: int | None  # exit status; None: still running at the limit
    seconds: float

    @property
    def ended(self) -> bool:
        return self.status is not None


class StoppedError(Exception):
    """The run was given up because the caller asked for it."""


def run_fixture(
    header: Header,
    start: str | None,
    limits: Limits | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Run a fixture once, with `start` as the default start method."""
    limits = limits or Limits()
    stop = stop or threading.Event()
    with tempfile.TemporaryDirectory(prefix="mpp-", ignore_cleanup_errors=True) as name:
        base = Path(name)
        # The program lies beside the directory that it runs in: that one is empty.
        place, work, tmp = base / "program", base / "work", base / "tmp"
        for folder in (place, work, tmp):
            folder.mkdir()
        if header.path.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(header.path, place / header.path.name, ignore=ignored)
            command = [sys.executable, "-m", header.path.name, *header.argv]
        else:
            shutil.copy(header.path, place)
            command = [sys.executable, str(place / header.path.name), *header.argv]
        stdin = base / "stdin"
        stdin.write_text(header.stdin or "", encoding="utf-8")
        output = base / "output"
        # A file, not a pipe: processes that outlive the program would keep a pipe open. Opened for
        # appending, so that processes with their own open file don't write over each other.
        with (
            open(stdin if header.stdin is not None else os.devnull, "rb") as source,
            output.open("ab") as sink,
        ):
            began = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=work,
                env=_environment(start, place, tmp),
                stdin=source,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        try:
            return _watch(process, output, header, limits, stop, began)
        finally:
            end_group(process)


def _environment(start: str | None, place: Path, tmp: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "MPP_START_METHOD": start or "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": os.pathsep.join([str(SITE), str(place)]),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(tmp),
    }


def _watch(
    process: subprocess.Popen[bytes],
    output: Path,
    header: Header,
    limits: Limits,
    stop: threading.Event,
    began: float,
) -> Run:
    def read() -> str:
        return output.read_bytes().decode("utf-8", "replace")

    # Under load a program may need long until it hangs: the time to hang counts from the moment
    # its output is seen. Where no output tells, the program gets as long as one that ends.
    told = header.hangs and any(e.pattern.pattern for e in header.expectations)
    deadline = began + limits.ends
    status = None
    while (now := time.monotonic()) < deadline:
        status = process.poll()
        if status is not None:
            break
        if told and _all_seen(header, read()):
            told = False
            deadline = now + limits.hangs
        if stop.wait(_TICK):
            raise StoppedError
    if status is not None:
        last = time.monotonic() + limits.settles
        while (
            not _all_seen(header, read()) and group_lives(process.pid) and time.monotonic() < last
        ):
            time.sleep(_TICK)
    return Run(read(), status, time.monotonic() - began)


def _all_seen(header: Header, output: str) -> bool:
    return all(e.pattern.search(output) for e in header.expectations)


def group_lives(group: int) -> bool:
    """Is there a process of this group that is no zombie? (Not every init collects those soon.)"""
    stats = list(Path("/proc").glob("[0-9]*/stat"))
    if not stats:
        return _signal_group(group, 0)
    for stat in stats:
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End all processes of the run.

    First politely: the resource tracker of multiprocessing ignores SIGTERM and frees the named
    semaphores and shared memory as soon as the others have gone.
    """
    group = process.pid
    if group_lives(group):
        _signal_group(group, signal.SIGCONT)
        _signal_group(group, signal.SIGTERM)
        last = time.monotonic() + 1.0
        while time.monotonic() < last:
            process.poll()
            if not group_lives(group):
                break
            time.sleep(_TICK)
        else:
            _signal_group(group, signal.SIGKILL)
    process.wait()


def problems(header: Header, run: Run) -> list[str]:
    """How the run contradicts the header; nothing where it shows just what the header says."""
    found = []
    if header.hangs and run.ended:
        found.append(f"it should hang, but it ended with status {run.status}")
    if not header.hangs and not run.ended:
        found.append(f"it should end, but was still running after {run.seconds:.0f} s")
    for expectation in header.expectations:
        if not expectation.pattern.search(run.output):
            wanted = expectation.pattern.pattern
            found.append(f"{expectation.kind}: its output has nothing like {wanted!r}")
        if expectation.kind == "prints":
            if run.status:
                found.append(f"all should be well, but it ended with status {run.status}")
            if "Traceback" in run.output:
                found.append("all should be well, but there is a traceback")
    return list(dict.fromkeys(found))


def report(header: Header, start: str | None, run: Run) -> str:
    """The run in words, for a failing test or a reader at the terminal."""
    how = f"ended with status {run.status}" if run.ended else "was stopped"
    lines = [f"{header.path} under {start or 'the default start method'}:"]
    lines += [f"  {problem}" for problem in problems(header, run)] or ["  as its header says"]
    lines += [f"  it {how} after {run.seconds:.1f} s; output:"]
    lines += [f"    | {line}" for line in run.output.splitlines()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("paths", nargs="+", type=Path, help="fixtures, or folders of fixtures")
    parser.add_argument("--start", choices=START_METHODS, help="not those that the header names")
    parser.add_argument("--quiet", action="store_true", help="no output of runs that are right")
    parser.add_argument("--jobs", type=int, default=1, help="so many runs side by side")
    options = parser.parse_args(arguments)

    fixtures: list[Path] = []
    for path in options.paths:
        path = path.resolve()
        if path.name.startswith(("trap_", "right_")):
            fixtures.append(path)
        else:
            holder = [p for p in find_fixtures(path.parent) if p.parent == path]
            fixtures += holder or find_fixtures(path)

    def one(header: Header, start: str | None) -> tuple[bool, str]:
        run = run_fixture(header, start)
        good = not problems(header, run)
        brief = f"ok    {header.path.parent.name}/{header.path.name} {start} {run.seconds:.1f} s"
        return good, brief if good and options.quiet else report(header, start, run)

    wrong = count = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting = []
        for path in fixtures:
            try:
                header = read_header(path)
            except HeaderError as error:
                wrong += 1
                print(error)
                continue
            if not header.runs_on() or header.not_run:
                print(f"skip  {path}: {header.not_run or 'Python ' + str(header.python)}")
                continue
            starts = [options.start] if options.start else header.starts
            waiting += [pool.submit(one, header, start) for start in starts]
        for future in waiting:
            good, text = future.result()
            count += 1
            wrong += not good
            print(text, flush=True)
    print(f"{count} runs, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
