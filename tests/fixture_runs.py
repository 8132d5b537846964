"""The runs of all fixtures that a test session needs, done side by side and only once.

Much of a run is waiting: a program that hangs is only watched. So the runs of all selected tests
are begun together, and each test takes the result of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixture_header import Header, HeaderError, find_fixtures, read_header
from run_fixture import Limits, Run, run_fixture

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
# A run that does not end in time although it should is repeated with more patience, so that a
# machine under load doesn't make a right program look wrong.
PATIENT = Limits(ends=40.0, hangs=4.0)
# Some traps spring by chance (a race that two processes may happen not to run), and processes may
# print in an order that a busy machine makes unusual: a run may be tried again, so many times.
ATTEMPTS = 3


@dataclass(frozen=True)
class Case:
    """One fixture under one start method."""

    header: Header
    start: str

    @property
    def name(self) -> str:
        return f"{self.header.path.relative_to(FIXTURES).as_posix()}-{self.start}"


def headers() -> list[Header]:
    """The headers of all fixtures that can be read; a test of its own finds the others."""
    found = []
    for path in find_fixtures(FIXTURES):
        try:
            found.append(read_header(path))
        except HeaderError:
            continue
    return found


def cases() -> list[Case]:
    """All fixtures under all start methods that they name."""
    return [Case(header, start) for header in headers() for start in header.starts]


class Runs:
    """Runs cases in threads and keeps the results."""

    def __init__(self) -> None:
        watchers = int(os.environ.get("MPP_FIXTURE_JOBS", "0")) or 2 * (os.cpu_count() or 1)
        # Two lanes: programs that hang need no processor, the others do.
        self._lanes = {
            True: ThreadPoolExecutor(max(watchers, 4)),
            False: ThreadPoolExecutor(watchers),
        }
        self._stop = threading.Event()
        self._futures: dict[str, Future[Run]] = {}

    def begin(self, wanted: list[Case]) -> None:
        for case in wanted:
            if case.name not in self._futures and case.header.runs_on():
                lane = self._lanes[case.header.hangs]
                self._futures[case.name] = lane.submit(self._run, case)

    def result(self, case: Case) -> Run:
        self.begin([case])
        return self._futures[case.name].result()

    def first_that(self, case: Case, holds: Callable[[Run], bool]) -> Run:
        """The first run of the case for which ``holds`` is true; else the last one tried."""
        run = self.result(case)
        for _ in range(ATTEMPTS - 1):
            if holds(run):
                break
            run = self._run(case)
        return run

    def close(self) -> None:
        self._stop.set()
        for lane in self._lanes.values():
            lane.shutdown(cancel_futures=True)

    def _run(self, case: Case) -> Run:
        run = run_fixture(case.header, case.start, stop=self._stop)
        if not run.ended and not case.header.hangs:
            run = run_fixture(case.header, case.start, PATIENT, self._stop)
        return run


_RUNS = pytest.StashKey[Runs]()


def runs_of(request: pytest.FixtureRequest) -> Runs:
    """The runs of this test session. The first call begins those of all selected tests."""
    config = request.config
    if _RUNS not in config.stash:
        runs = config.stash[_RUNS] = Runs()
        config.add_cleanup(runs.close)
        if not hasattr(config, "workerinput"):  # else each pytest-xdist worker would run them all
            wanted = [
                item.callspec.params["case"]
                for item in request.session.items
                if isinstance(item, pytest.Function) and "case" in _parameters(item)
            ]
            runs.begin([case for case in wanted if isinstance(case, Case)])
    return config.stash[_RUNS]


def _parameters(item: pytest.Function) -> dict[str, object]:
    return item.callspec.params if hasattr(item, "callspec") else {}
