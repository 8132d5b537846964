"""Layout: the statements of a scope as the points of its control flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.syntax.flow import Flow, Point, PointKind, constant_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from flake8_mppitfalls.syntax.scopes import Scope
    from flake8_mppitfalls.syntax.tree import Tree

MOST_POINTS = 60_000
"""A flow that grows larger (finally blocks within finally blocks) is given up: ``complete``."""


def lay_out(tree: Tree, scope: Scope) -> Flow:
    """The control flow of the own statements of a module, function or class."""
    flow = Flow(tree, scope)
    try:
        _Layout(flow).build()
    except (_TooLarge, RecursionError):
        flow = Flow(tree, scope)
        flow.complete = False
    return flow


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


class _Layout:
    """Adds point after point to a flow."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._frontier: list[Point] = [flow.entry]
        self._frames: list[_Frame] = []
        self._catch: Point | None = None

    def build(self) -> None:
        node = self._flow.scope.node
        if isinstance(node, cst.Module):
            self._block(node.body)
        elif isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._suite(node.body)
        else:
            self._add(PointKind.STATEMENT, getattr(node, "body", node))
        self._connect(self._flow.exit)
        self._flow.points += [self._flow.exit, self._flow.raised]
        for point in self._flow.points:
            for target in point.successors:
                target.predecessors.append(point)
            for target in point.exceptional:
                target.thrown_from.append(point)

    def _add(self, kind: PointKind, node: cst.CSTNode | None) -> Point:
        point = Point(kind, node)
        self._flow.points.append(point)
        if len(self._flow.points) > MOST_POINTS:
            raise _TooLarge
        if node is not None and kind is not PointKind.LEAVE:
            self._flow.at.setdefault(node, []).append(point)
        self._connect(point)
        if self._catch is not None:
            point.exceptional.append(self._catch)
        self._frontier = [point]
        return point

    def _row(self, kind: PointKind, items: Sequence[cst.WithItem]) -> None:
        """Add a point for each of some items, one after the other."""
        if len(items) > 1:
            begin = len(self._flow.points)
            self._flow.blocks.append(list(range(begin, begin + len(items) + 1)))
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
        self._flow.blocks.append(begins)
        for statement in statements:
            if isinstance(statement, cst.SimpleStatementLine):
                for small in statement.body:
                    begins.append(len(self._flow.points))
                    self._small(small)
                continue
            begins.append(len(self._flow.points))
            if isinstance(statement, cst.BaseSmallStatement):
                self._small(statement)
            else:
                build = _COMPOUND.get(type(statement))
                if build is not None:
                    build(self, statement)
                else:
                    self._add(PointKind.STATEMENT, statement)
        begins.append(len(self._flow.points))

    def _small(self, node: cst.BaseSmallStatement) -> None:
        point = self._add(PointKind.STATEMENT, node)
        if isinstance(node, cst.Return):
            self._jump(self._frames, self._flow.exit)
        elif isinstance(node, (cst.Break, cst.Continue)):
            self._leave_loop(node)
        elif self._flow.never_goes_on(node):
            if self._catch is None:
                point.exceptional.append(self._flow.raised)
            self._frontier = []

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
        ends: list[Point] = []
        branch: cst.If | cst.Else | None = node
        while isinstance(branch, cst.If):  # each ``elif`` is within the one before
            test = self._add(PointKind.TEST, branch.test)
            truth = constant_truth(branch.test)
            fork = self._frontier
            self._frontier = list(fork) if truth is not False else []
            self._suite(branch.body)
            test.when_true = test.successors[0] if test.successors else None
            ends += self._frontier
            self._frontier = list(fork) if truth is not True else []
            branch = branch.orelse
        if branch is not None:
            self._suite(branch.body)
        self._frontier = ends + self._frontier

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
        self._flow.points.append(catch)
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
            and self._flow.tree.qualified(call.func).rpartition(".")[2] == "suppress"
        )

    def _reraise(self, node: cst.CSTNode) -> Point:
        """Go on with the exception that led here; ``node`` is the statement that let it pass."""
        point = self._add(PointKind.RERAISE, None)
        point.node = node
        if self._catch is None:
            point.exceptional.append(self._flow.raised)
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
            self._flow.points.append(catch)
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
        self._flow.points.append(final_catch)
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
    cst.If: _Layout._if,
    cst.While: _Layout._while,
    cst.For: _Layout._for,
    cst.With: _Layout._with,
    cst.Try: _Layout._try,
    cst.TryStar: _Layout._try,
    cst.Match: _Layout._match,
    cst.ClassDef: _Layout._class,
}
