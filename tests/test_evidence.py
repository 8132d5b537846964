"""docs/evidence.md says what the runs show, for every rule."""

from __future__ import annotations

import multiprocessing
import re

import pytest
from evidence import (
    EVIDENCE,
    PYTHON,
    SHOWN_BY_TESTS,
    confirms,
    fixture_name,
    is_evidence,
    merge,
    render,
    row_of,
    rules_of,
)
from fixture_header import parse_header
from fixture_runs import FIXTURES, Case, cases, headers, runs_of
from run_fixture import Run

from flake8_mppitfalls.pages.evidence import Row, read_rows
from flake8_mppitfalls.rules.registry import all_rules

TRAPS = [case for case in cases() if is_evidence(case.header)]
TEXT = EVIDENCE.read_text(encoding="utf-8") if EVIDENCE.exists() else ""
ROWS = read_rows(TEXT)
RECORDED = {version for row in ROWS for version in row.versions}
REMEDY = "run: python tests/make_evidence.py"


@pytest.mark.slow
@pytest.mark.parametrize("case", TRAPS, ids=lambda case: case.name)
def test_row_says_what_the_run_shows(case: Case, request: pytest.FixtureRequest) -> None:
    if PYTHON not in RECORDED:
        pytest.skip(f"nothing is recorded for Python {PYTHON}; {REMEDY}")
    if case.start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no start method {case.start!r} on this platform")
    if not case.header.runs_on():
        pytest.skip(f"speaks about Python {case.header.python}")
    rows = [row for row in ROWS if row.case == (fixture_name(case.header), case.start)]
    rows = [row for row in rows if PYTHON in row.versions]
    assert len(rows) == 1, f"one row is wanted for Python {PYTHON}; {REMEDY}"
    run = runs_of(request).first_that(case, lambda run: confirms(case, run, rows[0]))
    assert confirms(case, run, rows[0]), f"{rows[0]}\nis not what was seen; {REMEDY}\n{run.output}"


def test_table_is_about_the_fixtures_that_there_are() -> None:
    known = {(fixture_name(case.header), case.start) for case in TRAPS}
    here = {(fixture_name(c.header), c.start) for c in TRAPS if c.header.runs_on()}
    shown = {row.case for row in ROWS}
    # What only another version of Python shows is recorded with that version.
    assert here <= shown <= known, REMEDY


def test_file_is_as_it_is_made() -> None:
    assert render(ROWS, headers()) == TEXT, REMEDY
    assert not re.search(r"/tmp/|/home/|0x[0-9a-f]{3}", TEXT)


def test_every_rule_has_evidence_or_says_why_not() -> None:
    shown = {code for row in ROWS for code in row.rule.split(", ")}
    shown |= {code for code, _, _ in SHOWN_BY_TESTS}
    reasoned = {code for header in headers() if header.not_run for code in [rules_of(header)]}
    folders = {path.name for path in FIXTURES.glob("MPP[0-9][0-9][0-9]")}
    rules = {rule.code for rule in all_rules()}
    assert rules, "no rules found"
    missing = (rules | folders) - shown - reasoned
    assert not missing, f"no trap of these is run: {sorted(missing)}"


def made_case(text: str, name: str = "MPP000/trap_made.py") -> Case:
    return Case(parse_header(FIXTURES / name, text), "fork")


CASE = made_case("# start: fork\n# raises: ValueError\n# raises: left \\d\n")
RUN = Run('a\nx left 3 of 0x7f01\nFile "/tmp/a/b.py", ValueError: no\n', 1, 0.1)


def test_row_has_the_lines_that_matched() -> None:
    row = row_of(CASE, RUN)
    assert (row.rule, row.fixture) == ("MPP000", "MPP000/trap_made.py")
    assert row.seen == ('File "b.py", ValueError: no', "x left 3 of 0x…")
    assert confirms(CASE, RUN, row)


@pytest.mark.parametrize(
    ("output", "same"),
    [
        ('x left 5 of 0x12ab\nFile "/home/c/b.py", ValueError: no\n', True),
        ('x left 5 of 0x12ab\nFile "/home/c/b.py", ValueError: yes\n', False),
        ('File "b.py", ValueError: no\ny left 5 of 0x1\n', False),
        (
            'ValueError: first\nx left 5 of 0x12ab\nFile "b.py", ValueError: no\n',
            True,
        ),
    ],
)
def test_row_is_compared_but_for_numbers_and_order(output: str, same: bool) -> None:
    assert confirms(CASE, Run(output, 1, 0.1), row_of(CASE, RUN)) is same


def test_row_of_another_kind_or_with_too_much_is_not_confirmed() -> None:
    row = row_of(CASE, RUN)
    assert not confirms(CASE, RUN, Row(*row.case, *row.case, row.seen, row.versions))
    more = Row(row.rule, *row.case, row.kind, (*row.seen, "never printed"), row.versions)
    assert not confirms(CASE, RUN, more)
    less = Row(row.rule, *row.case, row.kind, row.seen[:1], row.versions)
    assert not confirms(CASE, RUN, less)


def test_rows_are_merged_by_version() -> None:
    def row(seen: str, *versions: str, fixture: str = "f") -> Row:
        return Row("MPP000", fixture, "fork", "raises", (seen,), versions)

    old = [row("lost 3", "3.1", PYTHON), row("gone", "3.1", fixture="g"), row("mine", PYTHON)]
    valid = {("f", "fork")}
    assert merge(old, [row("lost 4", PYTHON)], valid) == [row("lost 3", "3.1", PYTHON)]
    assert merge(old, [row("other", PYTHON)], valid) == [
        row("lost 3", "3.1"),
        row("other", PYTHON),
    ]
    assert merge([row("mine 1", PYTHON)], [row("mine 2", PYTHON)], valid) == [row("mine 1", PYTHON)]


def test_rows_survive_writing_and_reading() -> None:
    rows = [
        Row("MPP000", "MPP000/trap_a.py", "fork", "raises", ("a | b", "second"), ("3.10", "3.13")),
        Row("MPP000", "MPP000/trap_a.py", "spawn", "raises", ("a | b", "second"), ("3.10", "3.13")),
        Row("MPP001, MPP002", "article/trap_b", "spawn", "hangs", (), ("3.13",)),
    ]
    text = render(rows, [])
    assert read_rows(text) == rows
    assert "| fork, spawn | raises | `a \\| b`<br>`second` | 3.10, 3.13 |" in text


def test_long_matches_are_shortened() -> None:
    case = made_case("# start: fork\n# loses: (?s)one.*six\n")
    row = row_of(case, Run("one\n2\n3\n4\n5\nsix\n", 0, 0.1))
    assert row.seen == ("one", "six")
