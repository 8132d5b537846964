"""Every fixture is run and shows what its header says: each trap springs, each right one runs.

A shard can be run alone (`pytest tests/test_fixtures_run.py -k MPP2`): only what is selected runs.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from fixture_header import find_fixtures, read_header
from fixture_runs import FIXTURES, Case, cases, runs_of
from run_fixture import problems, report, run_fixture


@pytest.mark.parametrize(
    "path", find_fixtures(FIXTURES), ids=lambda path: path.relative_to(FIXTURES).as_posix()
)
def test_header_is_understood(path: Path) -> None:
    read_header(path)


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_fixture_shows_what_it_claims(case: Case, request: pytest.FixtureRequest) -> None:
    if case.start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no start method {case.start!r} on this platform")
    if not case.header.runs_on():
        pytest.skip(f"speaks about Python {case.header.python}")
    run = runs_of(request).first_that(case, lambda run: not problems(case.header, run))
    if problems(case.header, run):
        pytest.fail(report(case.header, case.start, run), pytrace=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        # Traps that are mended ...
        ("MPP201/trap_pool_map.py", "lambda span: span[1] - span[0]", "len"),
        (
            "MPP301/trap_counter_in_process.py",
            "multiprocessing as mp",
            "multiprocessing.dummy as mp",
        ),
        ("MPP404/trap_before_closing_is_left.py", "crew.join()", "pass"),
        # ... and right programs into which a trap is put.
        ("MPP201/right_callbacks.py", "apply_async(cube,", "apply_async(lambda n: n**3,"),
        ("MPP301/right_threads_share_globals.py", "ThreadPool(3)", "Pool(3)"),
        ("MPP404/right_around_with.py", "        pool.close()\n", ""),
    ],
)
def test_program_that_changes_sides_is_refuted(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    original = FIXTURES / name
    text = original.read_text(encoding="utf-8")
    assert old in text
    changed = tmp_path / original.name
    changed.write_text(text.replace(old, new), encoding="utf-8")
    header = read_header(changed)
    run = run_fixture(header, header.starts[0])
    assert run.ended
    assert problems(header, run), run.output
