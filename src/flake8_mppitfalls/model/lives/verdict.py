"""Verdict: what the data flow of a thing's life comes to.

While the data flow runs it notes what it meets in a :class:`Record`. What of that is a finding is
decided here, when all functions have been gone through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.lives.life import Trouble
from flake8_mppitfalls.model.lives.machine import Effect, Fault, Phase
from flake8_mppitfalls.syntax.scopes import ScopeKind
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.lives.events import Events
    from flake8_mppitfalls.model.lives.life import Life
    from flake8_mppitfalls.syntax.scopes import Scope
    from flake8_mppitfalls.syntax.tree import Tree


_OUT_OF_SIGHT = HANDED_ON - {UseKind.RETURNED, UseKind.KEPT}
"""To callers in this file its uses are known; the life says where there are none."""


@dataclass
class Record:
    """What the data flow met.

    Attributes:
        joined: the events of which some path has a ``join()`` after them.
        unjoined: those of which some path has none; true if only an exception leads there.
        troubles: the events that go wrong, and what brings the thing there on some path.
        reached: the phases in which each event came.
    """

    joined: set[cst.CSTNode] = field(default_factory=set)
    unjoined: dict[cst.Call, bool] = field(default_factory=dict)
    troubles: dict[tuple[Fault, cst.Call], set[cst.CSTNode | None]] = field(default_factory=dict)
    reached: dict[cst.CSTNode, set[Phase]] = field(default_factory=dict)


class Verdict:
    """The findings about one thing: they are added to its life."""

    def __init__(
        self, tree: Tree, life: Life, events: Events, record: Record, followed: set[Scope]
    ) -> None:
        """``followed`` are the functions whose states came from a caller."""
        self._tree = tree
        self._life = life
        self._events = events
        self._record = record
        self._followed = followed

    def judge(self, first: Phase) -> None:
        """Add what is a finding; ``first`` is the phase in which the thing is made."""
        record, life = self._record, self._life
        joins = self._events.nodes(Effect.JOIN)
        for event, weak in record.unjoined.items():
            if weak and event in record.joined:
                continue  # only an exception skips the join()
            here = self._tree.function_of(event)
            if any(self._may_follow(join, here) for join in joins):
                continue
            life.unjoined.append(event)
        for (fault, node), befores in record.troubles.items():
            earlier = self._last(befores)
            if fault is Fault.JOINED_WHILE_OPEN:
                if not self._may_be_ended_before(node):
                    life.early_joins.append(node)
            elif fault is Fault.JOINED_UNSTARTED:
                if record.reached[node] == {first}:
                    life.troubles.append(Trouble(fault, node, earlier))
            elif not any(e is not None and self._is_told(node, e) for e in befores):
                life.troubles.append(Trouble(fault, node, earlier))

    def _last(self, events: Iterable[cst.CSTNode | None]) -> cst.CSTNode | None:
        """The last in the text, so that the same file always gives the same message."""
        last: cst.CSTNode | None = None
        for event in events:
            if event is not None and (last is None or self._tree.before(last, event)):
                last = event
        return last

    def _is_told(self, node: cst.CSTNode, earlier: cst.CSTNode) -> bool:
        """Does another function leave word of the earlier event, and this one asks for it?

        ``self.closed = True`` after ``self.pool.close()``; elsewhere ``if self.closed: return``.
        """
        here, there = self._tree.function_of(node).node, self._tree.function_of(earlier).node
        if (here is there and node is not earlier) or isinstance(there, cst.Module):
            return False
        told: set[str] = set()
        for part in self._tree.walk(there):
            if isinstance(part, cst.AssignTarget):
                told.add(dotted_name(part.target))
            elif isinstance(part, cst.Call) and isinstance(part.func, cst.Attribute):
                if part.func.attr.value in {"set", "clear"}:
                    told.add(dotted_name(part.func.value))
        told -= {"", *(dotted_name(use.at) for use in self._life.uses)}
        return bool(told) and any(
            dotted_name(part) in told
            for test in self._tests_in(here)
            for part in self._tree.walk(test)
            if isinstance(part, (cst.Name, cst.Attribute))
        )

    def _tests_in(self, function: cst.CSTNode) -> Iterable[cst.BaseExpression]:
        for part in self._tree.walk(function):
            if isinstance(part, (cst.If, cst.IfExp, cst.While, cst.Assert)):
                yield part.test

    def _may_be_ended_before(self, join: cst.Call) -> bool:
        """Was the pool given away, earlier in the text, to something that may end it?"""
        return any(
            event.effect is Effect.HAND_ON and self._tree.before(event.node, join)
            for events in self._events.at.get(self._tree.function_of(join), {}).values()
            for event in events
        )

    def _may_follow(self, join: cst.CSTNode, here: Scope) -> bool:
        """A ``join()`` elsewhere, in code that no analysed path from the event leads to."""
        there = self._tree.function_of(join)
        if there is not here and here in self._events.escaping:
            return True
        if there is here or there in self._followed:
            return False
        if there.kind is ScopeKind.MODULE and here.kind is ScopeKind.MODULE:
            return False
        return there is not self._events.home


def judge_roughly(life: Life) -> None:
    """One of many: only what no call anywhere puts right."""
    if life.is_handed_on or any(use.kind in _OUT_OF_SIGHT for use in life.uses):
        return
    joins = life.calls("join")
    ending = life.calls("close", "terminate")
    if not joins:
        life.unjoined = ending
    elif not ending and not life.entered:
        life.early_joins = list(joins)
