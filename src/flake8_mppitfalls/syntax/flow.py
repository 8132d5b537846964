"""Control flow: the order in which the statements of one scope run, on all paths.

``Flow(tree, scope)`` is a graph of points. A point is a small statement, the test of an ``if`` or
``while``, the iterable or target of a ``for``, the entry or exit of a ``with`` item, the start of a
handler. ``successors`` are the normal ways on. ``exceptional`` are the ways that an exception
takes: they leave *before* the point has had its effect. A ``finally`` block and the exits of a
``with`` stand once for each way that leads through them, as CPython's compiler lays them out.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from flake8_mppitfalls.syntax.scopes import Binding, Scope
    from flake8_mppitfalls.syntax.tree import Tree

MOST_POINTS = 60_000
"""A flow that grows larger (finally blocks within finally blocks) is given up: ``complete``."""

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


class _Frame:
    """What a jump passes on its way out: a loop, the exits of a ``with``, a ``finally``."""

    __slots__ = ("after", "catch", "final", "head", "items")

    def __init__(
        self,
        *,
        head: Point | None = None,
        items: Sequence[cst.WithItem] = (),
        final: cst.Finally | None = None,
        catch: Point | None = None,
    ) -> None:
        self.head = head
        self.after: list[Point] = []
        self.items = items
        self.final = final
        self.catch = catch
        """Where exceptions go outside of this frame."""


class _TooLarge(Exception):
    pass


class Flow:
    """The control flow of a module's, function's or class's own statements.

    Attributes:
        entry, exit, raised: first point; the normal end; the end by an exception that is raised
            or re-raised in the text (exceptions out of calls leave no trace outside of a ``try``).
        points: all points, in the order of the text.
        blocks: for each block the places in ``points`` where its statements begin, and its end;
            a block comes before those within it. The items of a ``with`` are blocks, too, where
            they are entered and where they are left.
        complete: false when the flow was too large to be built; it is empty then.
    """

    def __init__(self, tree: Tree, scope: Scope) -> None:
        self.tree = tree
        self.scope = scope
        self.complete = True
        self._reset()
        try:
            self._build()
        except (_TooLarge, RecursionError):
            self.complete = False
            self._reset()

    def _reset(self) -> None:
        self.entry = Point(PointKind.ENTRY, None)
        self.exit = Point(PointKind.EXIT, None)
        self.raised = Point(PointKind.RAISED, None)
        self.points: list[Point] = [self.entry]
        self.blocks: list[list[int]] = []
        self._at: dict[cst.CSTNode, list[Point]] = {}
        self._frontier: list[Point] = [self.entry]
        self._made_at: dict[int, tuple[Sequence[Binding], dict[Point, list[Binding]]]] = {}
        self._frames: list[_Frame] = []
        self._catch: Point | None = None
        self._searched = 0

    # -- questions -----------------------------------------------------------------------------

    def points_of(self, node: cst.CSTNode) -> list[Point]:
        """The points at which ``node`` is evaluated: several for what stands in a ``finally``."""
        current: cst.CSTNode | None = node
        while current is not None:
            found = self._at.get(current)
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

    # -- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        node = self.scope.node
        if isinstance(node, cst.Module):
            self._block(node.body)
        elif isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._suite(node.body)
        else:
            self._add(PointKind.STATEMENT, getattr(node, "body", node))
        self._connect(self.exit)
        self.points += [self.exit, self.raised]
        for point in self.points:
            for target in point.successors:
                target.predecessors.append(point)
            for target in point.exceptional:
                target.thrown_from.append(point)

    def _add(self, kind: PointKind, node: cst.CSTNode | None) -> Point:
        point = Point(kind, node)
        self.points.append(point)
        if len(self.points) > MOST_POINTS:
            raise _TooLarge
        if node is not None and kind is not PointKind.LEAVE:
            self._at.setdefault(node, []).append(point)
        self._connect(point)
        if self._catch is not None:
            point.exceptional.append(self._catch)
        self._frontier = [point]
        return point

    def _row(self, kind: PointKind, items: Sequence[cst.WithItem]) -> None:
        """Add a point for each of some items, one after the other."""
        if len(items) > 1:
            begin = len(self.points)
            self.blocks.append(list(range(begin, begin + len(items) + 1)))
        for item in items:
            self._add(kind, item)

    def _connect(self, target: Point) -> None:
        for point in self._frontier:
            point.successors.append(target)
        self._frontier = []

    def _suite(self, suite: cst.BaseSuite) -> None:
        self._block(suite.body)

    def _block(self, statements: Iterable[cst.CSTNode]) -> None:
        begins: list[int] = []
        self.blocks.append(begins)
        for statement in statements:
            if isinstance(statement, cst.SimpleStatementLine):
                for small in statement.body:
                    begins.append(len(self.points))
                    self._small(small)
                continue
            begins.append(len(self.points))
            if isinstance(statement, cst.BaseSmallStatement):
                self._small(statement)
            else:
                build = _COMPOUND.get(type(statement))
                if build is not None:
                    build(self, statement)
                else:
                    self._add(PointKind.STATEMENT, statement)
        begins.append(len(self.points))

    def _small(self, node: cst.BaseSmallStatement) -> None:
        point = self._add(PointKind.STATEMENT, node)
        if isinstance(node, cst.Return):
            self._jump(self._frames, self.exit)
        elif isinstance(node, (cst.Break, cst.Continue)):
            self._leave_loop(node)
        elif isinstance(node, cst.Raise) or self._calls(node, _RAISING):
            if self._catch is None:
                point.exceptional.append(self.raised)
            self._frontier = []

    def ends_program(self, node: cst.CSTNode) -> bool:
        """True for a statement like ``sys.exit()``, behind which nothing runs."""
        if isinstance(node, cst.Raise):
            error = node.exc.func if isinstance(node.exc, cst.Call) else node.exc
            return self.tree.qualified(error) == "SystemExit"
        return self._calls(node, _EXITS)

    def _calls(self, node: cst.CSTNode, functions: frozenset[str]) -> bool:
        call = node.value if isinstance(node, cst.Expr) else None
        return isinstance(call, cst.Call) and self.tree.qualified(call.func) in functions

    def _jump(self, frames: Sequence[_Frame], target: Point | None) -> None:
        """Run the exits of ``frames`` from the inside out, then go to ``target``."""
        kept_frames, kept_catch = self._frames, self._catch
        for i in range(len(frames) - 1, -1, -1):
            frame = frames[i]
            if not self._frontier:
                break
            self._frames = list(frames[:i])
            self._catch = frame.catch
            self._row(PointKind.LEAVE, frame.items[::-1])
            if frame.final is not None:
                self._suite(frame.final.body)
        self._frames, self._catch = kept_frames, kept_catch
        if target is not None:
            self._connect(target)

    def _leave_loop(self, node: cst.Break | cst.Continue) -> None:
        for i in range(len(self._frames) - 1, -1, -1):
            frame = self._frames[i]
            if frame.head is not None:
                self._jump(self._frames[i + 1 :], None)
                if isinstance(node, cst.Continue):
                    self._connect(frame.head)
                else:
                    frame.after += self._frontier
                    self._frontier = []
                return
        self._frontier = []  # a syntax error in Python; nothing runs on

    def _if(self, node: cst.If) -> None:
        test = self._add(PointKind.TEST, node.test)
        truth = constant_truth(node.test)
        fork = self._frontier
        self._frontier = list(fork) if truth is not False else []
        self._suite(node.body)
        test.when_true = test.successors[0] if test.successors else None
        taken = self._frontier
        self._frontier = list(fork) if truth is not True else []
        if isinstance(node.orelse, cst.If):
            self._if(node.orelse)
        elif node.orelse is not None:
            self._suite(node.orelse.body)
        self._frontier = taken + self._frontier

    def _loop(
        self, node: cst.While | cst.For, head: Point, *, first: Callable[[], None], endless: bool
    ) -> None:
        frame = _Frame(head=head, catch=self._catch)
        self._frames.append(frame)
        self._frontier = [head]
        first()
        test = self._frontier[0]
        exhausted = [test] if isinstance(node, cst.While) else [head]
        self._suite(node.body)
        if isinstance(node, cst.For):
            head.when_true = test
        elif test.successors:
            test.when_true = test.successors[0]
        self._connect(head)
        self._frames.pop()
        self._frontier = [] if endless else exhausted
        if node.orelse is not None:
            self._suite(node.orelse.body)
        self._frontier = self._frontier + frame.after

    def _while(self, node: cst.While) -> None:
        head = self._add(PointKind.LOOP, None)
        endless = constant_truth(node.test) is True
        self._loop(
            node, head, first=lambda: void(self._add(PointKind.TEST, node.test)), endless=endless
        )

    def _for(self, node: cst.For) -> None:
        self._add(PointKind.STATEMENT, node.iter)
        head = self._add(PointKind.LOOP, None)
        self._loop(
            node, head, first=lambda: void(self._add(PointKind.BIND, node.target)), endless=False
        )

    def _with(self, node: cst.With) -> None:
        outside = self._catch
        self._row(PointKind.ENTER, node.items)
        catch = Point(PointKind.CATCH, node)
        self._frames.append(_Frame(items=node.items, catch=outside))
        self._catch = catch
        self._suite(node.body)
        self._frames.pop()
        self._catch = outside
        self._row(PointKind.LEAVE, node.items[::-1])
        normal = self._frontier
        self.points.append(catch)
        self._frontier = [catch]
        self._row(PointKind.LEAVE, node.items[::-1])
        reraise = self._reraise(node)
        self._frontier = list(normal)
        if any(self._suppresses(item) for item in node.items):
            self._frontier.append(reraise)

    def _suppresses(self, item: cst.WithItem) -> bool:
        call = item.item
        return (
            isinstance(call, cst.Call)
            and self.tree.qualified(call.func).rpartition(".")[2] == "suppress"
        )

    def _reraise(self, node: cst.CSTNode) -> Point:
        """Go on with the exception that led here; ``node`` is the statement that let it pass."""
        point = self._add(PointKind.RERAISE, None)
        point.node = node
        if self._catch is None:
            point.exceptional.append(self.raised)
        self._frontier = []
        return point

    def _try(self, node: cst.Try | cst.TryStar) -> None:
        outside = self._catch
        final = node.finalbody
        final_catch: Point | None = None
        if final is not None:
            final_catch = Point(PointKind.CATCH, final)
            self._frames.append(_Frame(final=final, catch=outside))
        around = final_catch or outside
        if node.handlers:
            catch = Point(PointKind.CATCH, node)
            self._catch = catch
        else:
            catch = None
            self._catch = around
        self._suite(node.body)
        self._catch = around
        if node.orelse is not None:
            self._suite(node.orelse.body)
        ends = self._frontier
        if catch is not None:
            self.points.append(catch)
            fork = [catch]
            for handler in node.handlers:
                self._frontier = list(fork)
                self._add(PointKind.HANDLER, handler)
                self._suite(handler.body)
                ends = ends + self._frontier
            if not any(_catches_all(handler) for handler in node.handlers):
                self._frontier = list(fork)
                self._reraise(node)
        self._frontier = ends
        if final is None:
            self._catch = outside
            return
        self._frames.pop()
        self._catch = outside
        if self._frontier:
            self._suite(final.body)
        ends = self._frontier
        assert final_catch is not None
        self.points.append(final_catch)
        self._frontier = [final_catch]
        self._suite(final.body)
        if self._frontier:
            self._reraise(final)
        self._frontier = ends

    def _match(self, node: cst.Match) -> None:
        self._add(PointKind.STATEMENT, node.subject)
        ends: list[Point] = []
        for case in node.cases:
            test = self._add(PointKind.TEST, case)
            self._suite(case.body)
            test.when_true = test.successors[0] if test.successors else None
            ends += self._frontier
            takes_all = isinstance(case.pattern, cst.MatchAs) and case.pattern.pattern is None
            self._frontier = [] if takes_all and case.guard is None else [test]
        self._frontier = ends + self._frontier

    def _class(self, node: cst.ClassDef) -> None:
        self._add(PointKind.STATEMENT, node)
        self._suite(node.body)


def void(_: object) -> None:
    """Drop a value."""


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


def _catches_all(handler: cst.ExceptHandler | cst.ExceptStarHandler) -> bool:
    """Bare ``except``, ``except BaseException`` and, near enough, ``except Exception``."""
    if handler.type is None:
        return True
    types: Iterator[cst.CSTNode]
    if isinstance(handler.type, cst.Tuple):
        types = (element.value for element in handler.type.elements)
    else:
        types = iter((handler.type,))
    return any(isinstance(t, cst.Name) and t.value in {"BaseException"} for t in types)


_COMPOUND: dict[type[cst.CSTNode], Callable[..., None]] = {
    cst.If: Flow._if,
    cst.While: Flow._while,
    cst.For: Flow._for,
    cst.With: Flow._with,
    cst.Try: Flow._try,
    cst.TryStar: Flow._try,
    cst.Match: Flow._match,
    cst.ClassDef: Flow._class,
}
