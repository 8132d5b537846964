"""Every fixture is run and shows what its header says: each trap springs, each right one runs.

A shard can be run alone (`pytest tests/test_fixtures_run.py -k MPP2`): only what is selected runs.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from fixture_header import find_fixtures, read_header
from fixture_runs import FIXTURES, Case, cases, runs_of
from run_fixture import problems, report


@pytest.mark.parametrize(
    "path", find_fixtures(FIXTURES), ids=lambda path: path.relative_to(FIXTURES).as_posix()
)
def test_header_is_understood(path: Path) -> None:
    read_header(path)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_fixture_shows_what_it_claims(case: Case, request: pytest.FixtureRequest) -> None:
    if case.start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no start method {case.start!r} on this platform")
    if not case.header.runs_on():
        pytest.skip(f"speaks about Python {case.header.python}")
    run = runs_of(request).result(case)
    if problems(case.header, run):
        pytest.fail(report(case.header, case.start, run), pytrace=False)
