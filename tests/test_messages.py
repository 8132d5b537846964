"""What users are told about each trap: no word of it changes unnoticed."""

from __future__ import annotations

import pytest
from fixture_header import find_fixtures
from fixture_messages import FIXTURES, messages_of, recorded

RECORDED = recorded()
ALL = find_fixtures(FIXTURES)


def names_of(fixture: str) -> list[str]:
    """The keys of a fixture: its own path, or those of the files in it."""
    return [name for name in RECORDED if name == fixture or name.startswith(f"{fixture}/")]


@pytest.mark.parametrize(
    "name",
    [path.relative_to(FIXTURES).as_posix() for path in ALL if path.name.startswith("trap_")],
)
def test_messages(name: str) -> None:
    try:
        found = messages_of(FIXTURES / name)
    except SyntaxError:
        pytest.skip("speaks about another version of Python")
    wanted = [line for key in names_of(name) for line in RECORDED[key]]
    assert found == wanted, "if it is meant so: python tests/fixture_messages.py"


def test_nothing_is_recorded_of_what_is_not_there() -> None:
    known = {name for path in ALL for name in names_of(path.relative_to(FIXTURES).as_posix())}
    assert set(RECORDED) == known
