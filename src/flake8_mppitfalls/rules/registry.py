"""Finds the rules, and runs them over a program."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from flake8_mppitfalls import rules
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


@functools.cache
def all_rules() -> tuple[type[Rule], ...]:
    """Every rule there is, sorted by code."""
    found = {
        value
        for module in _family_modules()
        for value in vars(module).values()
        if _is_rule(value) and value.__module__ == module.__name__
    }
    return tuple(sorted(found, key=lambda rule: rule.code))


def check(program: Program) -> list[Finding]:
    """What the rules that are on find in *program*: one report for each defect.

    Where a test wants an error (``with pytest.raises(…):``), nothing goes wrong by its coming, and
    nothing does in code that never runs.
    """
    found: dict[tuple[str, int], Finding] = {}
    for rule in all_rules():
        if rule.opt_in and not program.settings.wants(rule.code):
            continue
        for finding in rule().check(program):
            conditions = program.conditions
            if not conditions.is_to_fail(finding.node) and not conditions.never_runs(finding.node):
                found.setdefault((finding.rule.code, id(finding.node)), finding)
    return list(found.values())


def _family_modules() -> Iterator[ModuleType]:
    for family in pkgutil.iter_modules(rules.__path__, f"{rules.__name__}."):
        if family.ispkg:
            package = importlib.import_module(family.name)
            for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
                yield importlib.import_module(module.name)


def _is_rule(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Rule) and "code" in vars(value)
