"""Uses: what may be done with a value."""

from __future__ import annotations

import enum
from typing import NamedTuple

import libcst as cst


class UseKind(enum.Enum):
    """What is done with a value."""

    DROPPED = "dropped"
    """It is a statement of its own."""
    METHOD = "method"
    """``value.name(…)``; the node is the call."""
    MEMBER = "member"
    """``value.name`` without a call, or an assignment to it; the node is the attribute."""
    ENTERED = "entered"
    """``with value`` or ``stack.enter_context(value)``; the node is the item or the call."""
    CLOSED = "closed"
    """``with closing(value)``, whose end calls ``close()``; the node is as for ``ENTERED``."""
    ITERATED = "iterated"
    """Looped over, unpacked or consumed by ``list``, ``sum`` …; the node is the loop or call."""
    AWAITED = "awaited"
    PASSED = "passed"
    """An argument of a call that can't be followed; the node is the call, the name its target."""
    RETURNED = "returned"
    YIELDED = "yielded"
    KEPT = "kept"
    """Assigned to an attribute of an instance of this module; its reads are followed too."""
    STORED = "stored"
    """Put where it can't be followed."""
    TESTED = "tested"
    """Compared, formatted, tested for truth, used as a key: nothing comes of it."""


HANDED_ON = frozenset(
    {UseKind.PASSED, UseKind.RETURNED, UseKind.YIELDED, UseKind.KEPT, UseKind.STORED}
)
"""Others may do with the value what this file does not show."""


class Use(NamedTuple):
    """One thing done with a value.

    ``at`` is the expression that stands for the value there. ``depth`` is 0 where that is the
    value itself, 1 where it is a container that holds it, and so on. ``through_container`` is true
    if the value was in a container at some time: then it is one of many.
    """

    kind: UseKind
    node: cst.CSTNode
    at: cst.CSTNode
    name: str = ""
    depth: int = 0
    through_container: bool = False
