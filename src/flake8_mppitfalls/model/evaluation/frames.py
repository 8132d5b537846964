"""Frames: under which call of a function of this module an expression is evaluated."""

from __future__ import annotations

from typing import NamedTuple

import libcst as cst

from flake8_mppitfalls.model.evaluation.arrivals import NO_FACTS
from flake8_mppitfalls.model.numbers.facts import Fact

MOST_FRAMES = 4
"""So many calls within calls are told apart."""


class Frame(NamedTuple):
    """The call for which a function of this module is evaluated."""

    function: cst.CSTNode
    call: cst.Call
    skip: int
    outer: Frame | None

    @property
    def depth(self) -> int:
        """How many calls there are around it."""
        return 1 + (self.outer.depth if self.outer is not None else 0)


class At(NamedTuple):
    """Under which call, and with which facts at hand, an expression is evaluated."""

    frame: Frame | None = None
    facts: frozenset[Fact] = NO_FACTS


ANYWHERE = At()
