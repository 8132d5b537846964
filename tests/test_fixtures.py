"""Every fixture is linted: what is reported is what its comments say, no more and no less.

The format is described in fixtures/README.md. Reports of rules that do not exist yet are left out.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest
from fixture_header import files_of, find_fixtures, main_file, read_header, source_of
from linting import Report, flake8, lint, reports_by_file

from flake8_mppitfalls.rules import registry

FIXTURES = Path(__file__).parents[1] / "fixtures"
ALL = find_fixtures(FIXTURES)
CODES = frozenset(rule.code for rule in registry.all_rules())

_EXPECTATION = re.compile(r"\b(MPP\d{3})@(\d+)\b")

every_fixture = pytest.mark.parametrize(
    "path", ALL, ids=lambda path: path.relative_to(FIXTURES).as_posix()
)


def options_of(fixture: Path) -> tuple[str, ...]:
    return read_header(fixture).options


def expected(source: str) -> list[Report]:
    """What the comments of *source* say: ``# MPP201@17 MPP601@9``."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            for code, column in _EXPECTATION.findall(token.string):
                found.append(Report(token.start[0], int(column), code))
    return sorted(found)


def existing(reports: list[Report]) -> list[Report]:
    return sorted(report for report in reports if report.code in CODES)


def skip_unless_it_can_be_parsed(fixture: Path, source: str) -> None:
    try:
        ast.parse(source)
    except SyntaxError:
        if read_header(fixture).runs_on():
            raise
        pytest.skip(f"speaks about Python {read_header(fixture).python}")


def test_there_are_fixtures() -> None:
    assert len(ALL) > 100
    assert FIXTURES / "article" in {path.parent for path in ALL}


@every_fixture
def test_reports(path: Path) -> None:
    for file in files_of(path):
        source = source_of(file)
        skip_unless_it_can_be_parsed(path, source)
        found = lint(source, *options_of(path), filename=str(file))
        assert existing(found) == existing(expected(source)), file


@every_fixture
def test_traps_have_an_expectation_and_right_ones_have_none(path: Path) -> None:
    codes = {report.code for file in files_of(path) for report in expected(source_of(file))}
    if path.name.startswith("right_"):
        assert not codes
    elif path.parent.name.startswith("MPP"):
        assert path.parent.name in codes
    else:
        assert codes


def test_every_expectation_is_understood() -> None:
    """A slip of the pen must not turn an expectation into an ordinary comment."""
    slip = re.compile(r"#\s*MPP\d{3}\b(?!@\d+\b)|MPP\d{3}@\s|MPP\d{4,}@|MPP\d{1,2}@|\bmpp\d{3}@")
    for path in ALL:
        for file in files_of(path):
            source = source_of(file)
            comments = [
                token.string
                for token in tokenize.generate_tokens(io.StringIO(source).readline)
                if token.type == tokenize.COMMENT
            ]
            assert [comment for comment in comments if slip.search(comment)] == [], file


@pytest.mark.slow
def test_the_real_flake8_over_all_fixtures() -> None:
    by_options: dict[tuple[str, ...], dict[str, list[Report]]] = defaultdict(dict)
    for fixture in ALL:
        if read_header(fixture).runs_on():
            for file in files_of(fixture):
                name = file.relative_to(FIXTURES).as_posix()
                by_options[options_of(fixture)][name] = existing(expected(source_of(file)))
    for options, wanted in by_options.items():
        run = flake8("--isolated", "--select=MPP", *options, *wanted, cwd=FIXTURES)
        assert run.stderr == ""
        assert run.returncode == (1 if run.stdout else 0)
        found = {path: existing(each) for path, each in reports_by_file(run.stdout).items()}
        assert found == {path: each for path, each in wanted.items() if each}


def test_every_fixture_has_its_main_file() -> None:
    assert [path for path in ALL if not main_file(path).is_file()] == []
