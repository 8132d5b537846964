"""Control flow: the order in which the statements of one scope run, on all paths.

A ``Flow`` is a graph of points; ``layout.py`` makes it. A point is a small statement, the test of
an ``if`` or ``while``, the iterable or target of a ``for``, the entry or exit of a ``with`` item,
the start of a handler. ``successors`` are the normal ways on. ``exceptional`` are the ways that an
exception takes: they leave *before* the point has had its effect. A ``finally`` block and the exits
of a ``with`` stand once for each way that leads through them, as CPython's compiler lays them out.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flake8_mppitfalls.syntax.scopes import Binding, Scope
    from flake8_mppitfalls.syntax.tree import Tree

MOST_STEPS = 4_000
"""How far back a reaching definition is looked for before every binding counts."""

MOST_STEPS_A_POINT = 200
"""The same for all searches of one scope together, for each of its points."""

_EXITS = frozenset("sys.exit exit quit os._exit os.abort".split())
_RAISING = _EXITS | frozenset("pytest.exit pytest.fail pytest.skip pytest.xfail".split())
"""Statements behind which nothing runs."""

FEW = 8
"""Up to so many bindings of a name are found again each time."""


class PointKind(enum.Enum):
    """What happens at a point."""

    ENTRY = "entry"
    EXIT = "exit"
    RAISED = "raised"
    STATEMENT = "statement"
    TEST = "test"
    LOOP = "loop"
    BIND = "bind"
    ENTER = "enter"
    LEAVE = "leave"
    CATCH = "catch"
    HANDLER = "handler"
    RERAISE = "reraise"


class Point:
    """A place in the flow; ``node`` is what is evaluated there, ``None`` for pure junctions."""

    __slots__ = (
        "exceptional",
        "kind",
        "node",
        "predecessors",
        "successors",
        "thrown_from",
        "when_true",
    )

    def __init__(self, kind: PointKind, node: cst.CSTNode | None) -> None:
        self.kind = kind
        self.node = node
        self.successors: list[Point] = []
        self.exceptional: list[Point] = []
        self.predecessors: list[Point] = []
        self.thrown_from: list[Point] = []
        self.when_true: Point | None = None
        """Of the successors of an ``if``'s or ``while``'s test: the one for a true test.

        For the head of a ``for`` loop: the one that takes the next item.
        """

    def __repr__(self) -> str:
        return f"<{self.kind.value} {type(self.node).__name__}>"


class Flow:
    """The control flow of a module's, function's or class's own statements.

    Attributes:
        entry, exit, raised: first point; the normal end; the end by an exception that is raised
            or re-raised in the text (exceptions out of calls leave no trace outside of a ``try``).
        points: all points, in the order of the text.
        blocks: for each block the places in ``points`` where its statements begin, and its end;
            a block comes before those within it. The items of a ``with`` are blocks, too, where
            they are entered and where they are left.
        at: the points at which a node is evaluated that is no part of another one there.
        complete: false when the flow was too large to be built; it is empty then.
    """

    def __init__(self, tree: Tree, scope: Scope) -> None:
        self.tree = tree
        self.scope = scope
        self.complete = True
        self.entry = Point(PointKind.ENTRY, None)
        self.exit = Point(PointKind.EXIT, None)
        self.raised = Point(PointKind.RAISED, None)
        self.points: list[Point] = [self.entry]
        self.blocks: list[list[int]] = []
        self.at: dict[cst.CSTNode, list[Point]] = {}
        self._made_at: dict[int, tuple[Sequence[Binding], dict[Point, list[Binding]]]] = {}
        self._searched = 0

    # -- questions -----------------------------------------------------------------------------

    def points_of(self, node: cst.CSTNode) -> list[Point]:
        """The points at which ``node`` is evaluated: several for what stands in a ``finally``."""
        current: cst.CSTNode | None = node
        while current is not None:
            found = self.at.get(current)
            if found is not None:
                return found
            current = self.tree.parent(current)
        return []

    def reaching(self, load: cst.CSTNode, bindings: Sequence[Binding]) -> list[Binding]:
        """Those of ``bindings`` (of one name, in this scope) whose value ``load`` may see."""
        stores = self.stores(bindings)
        found: dict[Binding, None] = {}
        work: list[tuple[Point, bool]] = []
        for point in self.points_of(load):
            here = [b for b in stores.get(point, ()) if self.is_named_before(b.node, load)]
            if here:
                found[here[-1]] = None
            else:
                self.push_back(point, work)
        return self._search_back(bindings, stores, work, found)

    def reaching_exit(self, bindings: Sequence[Binding], *, raised: bool = True) -> list[Binding]:
        """Those of ``bindings`` (of one name) whose value the name may have at the end.

        Without ``raised`` at an end that no exception makes.
        """
        stores = self.stores(bindings)
        work: list[tuple[Point, bool]] = []
        for point in (self.exit, self.raised) if raised else (self.exit,):
            self.push_back(point, work)
        return self._search_back(bindings, stores, work, {})

    def stores(self, bindings: Sequence[Binding]) -> dict[Point, list[Binding]]:
        """The points at which the bindings are made; kept for a name that has many."""
        known = self._made_at.get(id(bindings))
        if known is not None and known[0] is bindings:
            return known[1]
        stores: dict[Point, list[Binding]] = {}
        for binding in bindings:
            if binding.kind is Bound.PARAMETER:
                stores.setdefault(self.entry, []).append(binding)
                continue
            for point in self.points_of(binding.node):
                stores.setdefault(point, []).append(binding)
        if len(bindings) > FEW:
            self._made_at[id(bindings)] = (bindings, stores)
        return stores

    def _search_back(
        self,
        bindings: Sequence[Binding],
        stores: dict[Point, list[Binding]],
        work: list[tuple[Point, bool]],
        found: dict[Binding, None],
    ) -> list[Binding]:
        """Walk against the flow from ``work``: (point, may a store at this point be seen?)."""
        if not self.complete or self._searched > MOST_STEPS_A_POINT * len(self.points):
            return list(bindings)
        seen: set[tuple[Point, bool]] = set()
        while work:
            item = work.pop()
            if item in seen:
                continue
            seen.add(item)
            if len(seen) > MOST_STEPS:
                break
            point, after = item
            if after and point in stores:
                found[stores[point][-1]] = None
                continue
            self.push_back(point, work)
        self._searched += len(seen)
        if work:
            return list(bindings)
        if len(found) < 2:
            return list(found)
        return [b for b in bindings if b in found]

    @staticmethod
    def push_back(point: Point, work: list[tuple[Point, bool]]) -> None:
        """Add what comes right before a point; false for what an exception left undone."""
        work.extend((before, True) for before in point.predecessors)
        work.extend((before, False) for before in point.thrown_from)

    def is_named_before(self, target: cst.CSTNode, load: cst.CSTNode) -> bool:
        """Within one point: the target of a ``(n := …)`` that is evaluated before ``load``."""
        named = self.tree.parent(target)
        return (
            isinstance(named, cst.NamedExpr)
            and self.tree.before(named, load)
            and not self.tree.is_within(load, named)
        )

    def ends_program(self, node: cst.CSTNode) -> bool:
        """True for a statement like ``sys.exit()``, behind which nothing runs."""
        if isinstance(node, cst.Raise):
            error = node.exc.func if isinstance(node.exc, cst.Call) else node.exc
            return self.tree.qualified(error) == "SystemExit"
        return self._calls(node, _EXITS)

    def never_goes_on(self, node: cst.CSTNode) -> bool:
        """True for a statement that raises, if only by a call like ``pytest.fail()``."""
        return isinstance(node, cst.Raise) or self._calls(node, _RAISING)

    def _calls(self, node: cst.CSTNode, functions: frozenset[str]) -> bool:
        call = node.value if isinstance(node, cst.Expr) else None
        return isinstance(call, cst.Call) and self.tree.qualified(call.func) in functions


def constant_truth(test: cst.CSTNode) -> bool | None:
    """The truth of a test that is a literal, else ``None``."""
    if isinstance(test, cst.Name):
        return {"True": True, "False": False, "None": False}.get(test.value)
    if isinstance(test, cst.Integer):
        return literal(test) != 0
    if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        inner = constant_truth(test.expression)
        return None if inner is None else not inner
    return None
