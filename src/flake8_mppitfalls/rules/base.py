"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import libcst as cst

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class Rule:
    """One trap.

    A rule is a subclass in a module of its own, in the package of its family. It is found by
    being there: no list names it. Its docstring is its page, with the sections *What it does*,
    *Why it is bad*, *Example*, *Use instead*, *Known limits* and *References*.
    """

    code: ClassVar[str]
    """``MPP`` and three digits; the first one is the family's."""

    name: ClassVar[str]
    """What people call it, in kebab-case."""

    message: ClassVar[str]
    """One line for `str.format`: what will happen in this code, then what to do."""

    opt_in: ClassVar[bool] = False
    """Whether the whole rule is off unless ``--mpp-opt-in`` names it."""

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield what the rule finds in *program*."""
        raise NotImplementedError

    def finding(self, node: cst.CSTNode, **arguments: str) -> Finding:
        """A finding of this rule at *node*; *arguments* fill the message."""
        return Finding(type(self), node, arguments)


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim that the program will go wrong at *node*."""

    rule: type[Rule]
    node: cst.CSTNode
    arguments: Mapping[str, str]

    @property
    def text(self) -> str:
        """The code and the message, on one line."""
        return f"{self.rule.code} {' '.join(self.rule.message.format_map(self.arguments).split())}"
