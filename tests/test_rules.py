"""What every rule brings along: a code, a message, a page, fixtures, a line in the changelog."""

from __future__ import annotations

import re
import string
from collections import Counter
from pathlib import Path

import pytest

from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.rules.base import Rule

ROOT = Path(__file__).parents[1]
SECTIONS = (
    "What it does:",
    "Why it is bad:",
    "Example:",
    "Use instead:",
    "Known limits:",
    "References:",
)
RULES = registry.all_rules()

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def test_there_are_rules() -> None:
    codes = [rule.code for rule in RULES]
    assert "MPP001" in codes
    assert codes == sorted(codes)


@pytest.mark.parametrize("attribute", ["code", "name"])
def test_nothing_is_used_twice(attribute: str) -> None:
    counts = Counter(getattr(rule, attribute) for rule in RULES)
    assert [value for value, count in counts.items() if count > 1] == []


@every_rule
def test_code_and_name(rule: type[Rule]) -> None:
    assert re.fullmatch(r"MPP[0-8]\d\d", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    module = rule.__module__.rpartition(".")[2]
    assert module == rule.name.replace("-", "_"), "the module is named as the rule is"
    assert rule.__name__.lower() == rule.name.replace("-", ""), "and so is the class"


@every_rule
def test_family(rule: type[Rule]) -> None:
    """All rules of one hundred live in one package, and no other rule does."""
    package = rule.__module__.split(".")[-2]
    for other in RULES:
        same_package = other.__module__.split(".")[-2] == package
        assert same_package == (other.code[:4] == rule.code[:4])


@every_rule
def test_message(rule: type[Rule]) -> None:
    assert rule.message.strip() == rule.message
    assert "\n" not in rule.message
    assert not rule.message.endswith(".")
    for _, field, _, _ in string.Formatter().parse(rule.message):
        assert field is None or field.isidentifier()


@every_rule
def test_docstring(rule: type[Rule]) -> None:
    text = rule.__doc__ or ""
    lines = [line.removeprefix("    ") for line in text.splitlines()]
    assert lines[0].endswith("."), "the first line is a sentence"
    assert tuple(line for line in lines if line in SECTIONS) == SECTIONS
    for here, there in zip(SECTIONS, (*SECTIONS[1:], None), strict=True):
        begin, end = lines.index(here) + 1, lines.index(there) if there else len(lines)
        assert any(line.strip() for line in lines[begin:end]), f"nothing below {here!r}"


@every_rule
def test_fixtures(rule: type[Rule]) -> None:
    folder = ROOT / "fixtures" / rule.code
    assert folder.is_dir()
    for kind in ("trap", "right"):
        assert len(list(folder.glob(f"{kind}_*"))) >= 4


@every_rule
def test_changelog(rule: type[Rule]) -> None:
    entry = re.compile(rf"^- {rule.code} `{rule.name}`", re.MULTILINE)
    assert entry.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_a_class_that_is_only_imported_is_no_rule() -> None:
    modules = {rule.__module__ for rule in RULES}
    assert len(modules) == len(RULES)
    assert Rule not in RULES
