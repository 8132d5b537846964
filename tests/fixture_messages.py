"""The text of every report on a fixture, as tests/messages.txt has it.

``python tests/fixture_messages.py`` writes it anew. Read what ``git diff`` then shows: each line is
what a user will be told.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fixture_header import files_of, find_fixtures, read_header, source_of
from linting import messages

from flake8_mppitfalls.rules import registry

FIXTURES = Path(__file__).parents[1] / "fixtures"
MESSAGES = Path(__file__).with_name("messages.txt")


def messages_of(fixture: Path) -> list[str]:
    """``MPP403/trap_a.py:12:5: MPP403 …`` for each report on a fixture.

    Raises `SyntaxError` where the fixture speaks about another version of Python.
    """
    found = []
    options = read_header(fixture).options
    for file in files_of(fixture):
        reports = messages(source_of(file), *options, filename=str(file))
        for line, column, text in sorted(reports):
            name = file.relative_to(FIXTURES).as_posix()
            found.append(f"{name}:{line}:{column + 1}: {text}")
    return found


def recorded() -> dict[str, list[str]]:
    """What the file has, by the path of the Python file within the fixtures."""
    found: dict[str, list[str]] = {}
    for line in MESSAGES.read_text(encoding="utf-8").splitlines():
        found.setdefault(line.split(":", 1)[0], []).append(line)
    return found


def main() -> int:
    registry.all_rules()
    old = recorded() if MESSAGES.exists() else {}
    lines: list[str] = []
    for fixture in find_fixtures(FIXTURES):
        try:
            lines += messages_of(fixture)
        except SyntaxError:
            name = fixture.relative_to(FIXTURES).as_posix()
            lines += [line for key, each in old.items() if key.startswith(name) for line in each]
    MESSAGES.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} messages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
