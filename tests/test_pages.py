"""The pages of the rules: docstrings taken apart, and what the runs showed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flake8_mppitfalls.pages import evidence
from flake8_mppitfalls.pages.evidence import Row, Seen
from flake8_mppitfalls.pages.page import Block, Page, all_pages, page_of
from flake8_mppitfalls.pages.terminal import Terminal
from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.rules.base import Rule

ROOT = Path(__file__).parents[1]
PAGES = {page.code: page for page in all_pages()}
TITLES = [
    "What it does",
    "Why it is bad",
    "Example",
    "Use instead",
    "Known limits",
    "References",
]


def letters(text: str) -> str:
    return re.sub(r"[\s:`]+", "", text)


@pytest.mark.parametrize("rule", registry.all_rules(), ids=lambda rule: rule.code)
def test_nothing_of_a_docstring_is_lost(rule: type[Rule]) -> None:
    page = page_of(rule)
    assert [section.title for section in page.sections] == TITLES
    parts = [page.summary]
    for section in page.sections:
        assert section.blocks, section.title
        parts += [section.title, *(block.text for block in section.blocks)]
    assert letters("".join(parts)) == letters(rule.__doc__ or "")
    for block in [block for section in page.sections for block in section.blocks]:
        assert block.text.strip("\n") == block.text
        if not block.is_code:
            assert "\n" not in block.text
            assert block.text.count("`") % 2 == 0


def test_paragraphs_and_code() -> None:
    class Invented(Rule):
        """It ends ``too`` soon.

        What it does:
            Finds one
            thing.

            And this::

                if x:
                    y

                z

            Then this.

        Example:
            ::

                a = [
                ]
        """

        __module__ = registry.all_rules()[0].__module__
        code = "MPP999"
        name = "invented"
        message = "{what} from {from_} ends"

    page = page_of(Invented)
    assert page.summary == "It ends `too` soon."
    assert page.message == "<what> from <from> ends"
    first, second = page.sections
    assert first.blocks == (
        Block("Finds one thing."),
        Block("And this:"),
        Block("if x:\n    y\n\nz", is_code=True),
        Block("Then this."),
    )
    assert second.blocks == (Block("a = [\n]", is_code=True),)


@pytest.mark.parametrize(
    ("code", "default", "switch"),
    [
        ("MPP403", "on", "On by default."),
        ("MPP402", "part opt-in", "On by default; `--mpp-opt-in=MPP402` lets it find more."),
        ("MPP606", "opt-in", "Off by default: `--mpp-opt-in=MPP606` switches it on."),
    ],
)
def test_default(code: str, default: str, switch: str) -> None:
    assert (PAGES[code].default, PAGES[code].switch) == (default, switch)


def test_families() -> None:
    families = {page.code[:4]: page.family for page in PAGES.values()}
    assert len(set(families.values())) == len(families)
    assert families["MPP6"] == "Errors that vanish"


def test_the_file_is_found_in_a_clone_and_in_the_wheel() -> None:
    """The wheel takes it along; whether it is there, CI asks the installed command."""
    docs = "docs/evidence.md"
    assert evidence.text() == (ROOT / docs).read_text(encoding="utf-8")
    taken = f'"{docs}" = "flake8_mppitfalls/pages/evidence.md"'
    assert taken in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def row(fixture: str, kind: str, seen: str, *versions: str) -> Row:
    return Row("MPP201", fixture, "spawn", kind, (seen,), versions)


def test_gist_of_runs() -> None:
    gist = evidence.gist_of(
        [
            row("a", "raises", "Error: Can't pickle 'x.<locals>.<lambda>'", "3.10", "3.11", "3.12"),
            row("a", "raises", "Error: Can't get 'x.<locals>.<lambda>'", "3.13"),
            row("b", "hangs", "task: Can't pickle 'y'", "3.10", "3.11", "3.12", "3.13"),
            row("c", "loses", "0 of 3", "3.10", "3.13"),
            row("c", "loses", "0 of 4", "3.11"),
        ],
        ["`tests/x.py`: it fails"],
    )
    assert gist.sentence == (
        "Programs with this trap that were run (Python 3.10 to 3.13): "
        "1 ended with an error, 1 hung, 1 lost work."
    )
    assert gist.errors == (
        Seen("Error: Can't pickle 'x.<locals>.<lambda>'", ""),
        Seen("Error: Can't get 'x.<locals>.<lambda>'", "3.13"),
    )
    assert gist.tests == ("`tests/x.py`: it fails",)


def test_the_most_frequent_errors_with_what_other_versions_say() -> None:
    rows = [row(f"often{n}", "raises", "KeyError: 'a'", "3.11", "3.12") for n in range(3)]
    rows += [row(f"{word}", "raises", f"ValueError: {word}", "3.11") for word in "abcdefgh"]
    rows.append(row("a", "raises", "OSError: last", "3.12"))
    errors = [seen.text for seen in evidence.gist_of(rows).errors]
    assert errors[0] == "KeyError: 'a'"
    assert errors[-1] == "OSError: last"
    assert len(errors) == 7


def test_no_runs_no_gist() -> None:
    assert evidence.gist_of([]) == evidence.Gist("", (), ())


@pytest.mark.parametrize("code", [code for code in PAGES if code != "MPP503"])
def test_each_rule_shows_something(code: str) -> None:
    """(MPP503 needs Windows, and a machine with over 61 processors.)"""
    gist = evidence.gist(code)
    assert gist.sentence or gist.tests


def test_the_error_of_each_version_is_quoted() -> None:
    errors = {seen.versions: seen.text for seen in evidence.gist("MPP201").errors}
    assert "Can't get local object" in errors["3.13"]
    assert any("Can't pickle local object" in text for text in errors.values())


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("width", [80, 300])
def test_page_in_the_terminal(page: Page, width: int) -> None:
    gist = evidence.gist(page.code)
    plain = Terminal(colour=False, width=width).page(page, gist)
    assert "\x1b" not in plain
    assert "``" not in plain
    lines = plain.splitlines()
    assert lines[0] == f"{page.code} {page.name}"
    assert lines == [line.rstrip() for line in lines]
    titles = [line for line in lines if line and not line.startswith(" ")]
    titles = titles[titles.index("Message") :]
    shown = [] if gist == evidence.gist_of([]) else ["What the runs showed"]
    assert titles == ["Message", *TITLES[:-1], *shown, TITLES[-1]]
    prose = [line for line in lines if not line.startswith(" " * 8)]
    assert max(map(len, prose)) <= min(width, 100)
    coloured = Terminal(colour=True, width=width).page(page, gist)
    assert letters(re.sub(r"\x1b\[\d+m", "", coloured)) == letters(plain)
