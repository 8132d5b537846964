"""State: one way in which a pool, executor or process may be at a point of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flake8_mppitfalls.model.lives.machine import Phase

if TYPE_CHECKING:
    import libcst as cst

    from flake8_mppitfalls.model.lives.decisions import Known
    from flake8_mppitfalls.model.lives.naming import Key
    from flake8_mppitfalls.syntax.flow import Point


class State(NamedTuple):
    """One way the thing may be at a point.

    Attributes:
        phase: where in its life it is.
        event: the event that brought it there.
        thrown: only an exception leads from that event to this point.
        known: tests that came out so on this path, of those that decide about events.
        names: the names that hold it.
        containers: the containers that hold it, by where they are made.
        loops: the loops over such containers that have come to it.
        fresh: the call whose value it is, within the statement.
        given: it is what the function returns.
    """

    phase: Phase
    event: cst.CSTNode | None = None
    thrown: bool = False
    known: Known = frozenset()
    names: frozenset[Key] = frozenset()
    containers: frozenset[cst.CSTNode] = frozenset()
    loops: frozenset[tuple[Point, Key]] = frozenset()
    fresh: cst.CSTNode | None = None
    given: bool = False


ABSENT = State(Phase.ABSENT)
