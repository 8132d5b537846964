"""Paths: what may have happened in a program before it comes to a place.

``Paths.before(node)`` follows the control flow against its direction: to the start of the function
that holds ``node``, from there to the calls of that function, and so on to the start of the module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.conditions import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flake8_mppitfalls.model.conditions import Conditions
    from flake8_mppitfalls.model.evaluate import Evaluator
    from flake8_mppitfalls.model.runs import Caller, Runs, Step
    from flake8_mppitfalls.syntax.flow import Point

MOST_PLACES = 300
"""So many calls are followed back from one place."""


class Paths:
    """Answers about the paths through one module."""

    def __init__(self, evaluator: Evaluator, conditions: Conditions, runs: Runs) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._conditions = conditions
        self._runs = runs

    def owner(self, node: cst.CSTNode) -> cst.CSTNode:
        """The function, lambda or module whose code ``node`` is (class bodies count outwards)."""
        scope = self._tree.function_of(node)
        while not scope.is_function and scope.parent is not None:
            scope = scope.parent.function()
        return scope.node

    def before(
        self, node: cst.CSTNode, barrier: Callable[[Step], bool] | None = None
    ) -> list[Step]:
        """The steps that some path to ``node`` has passed; in no particular order.

        A path does not go back beyond a step for which ``barrier`` is true, and that step itself
        is not given. A function that nothing in this module calls is called after the import.
        """
        return self._back(node, barrier)[0]

    def comes_afresh(self, node: cst.CSTNode, barrier: Callable[[Step], bool]) -> bool:
        """Is there a path from the start of the program to ``node`` that passes no barrier?"""
        return self._back(node, barrier)[1]

    def _back(
        self, node: cst.CSTNode, barrier: Callable[[Step], bool] | None
    ) -> tuple[list[Step], bool]:
        found: dict[Step, None] = {}
        afresh = False
        work = [(self.owner(node), node)]
        seen: set[cst.CSTNode] = set()
        while work and len(seen) < MOST_PLACES:
            owner, place = work.pop()
            if place in seen:
                continue
            seen.add(place)
            steps, reaches_entry = self.before_in(owner, place, barrier)
            found.update(dict.fromkeys(s for s in steps if self._together(s.node, node)))
            if not reaches_entry:
                continue
            callers = [] if owner is self._tree.module else self._runs.callers(owner)
            work.extend((caller.owner, caller.step.node) for caller in callers)
            if not callers:
                afresh = True
                if owner is not self._tree.module:
                    found.update(dict.fromkeys(self._imported()))
        return list(found), afresh

    def after(self, node: cst.CSTNode) -> Iterator[Step]:
        """The steps that some path from ``node`` comes to, callers followed to the module's end.

        What comes after the return of a function that nothing in this module calls is not known.
        """
        work = [(self.owner(node), node)]
        seen: set[cst.CSTNode] = set()
        while work and len(seen) < MOST_PLACES:
            owner, place = work.pop()
            if place in seen:
                continue
            seen.add(place)
            flow = self._evaluator.flow(self._tree.scopes[owner])
            reached: set[Point] = set()
            ahead = [n for p in flow.points_of(place) for n in (*p.successors, *p.exceptional)]
            while ahead:
                point = ahead.pop()
                if point not in reached:
                    reached.add(point)
                    ahead += [*point.successors, *point.exceptional]
            for step in self._runs.steps(owner):
                if not reached.isdisjoint(flow.points_of(step.node)):
                    if self._together(step.node, node):
                        yield step
            if owner is not self._tree.module:
                work.extend((c.owner, c.step.node) for c in self._runs.callers(owner))

    def before_in(
        self,
        owner: cst.CSTNode,
        node: cst.CSTNode,
        barrier: Callable[[Step], bool] | None = None,
    ) -> tuple[list[Step], bool]:
        """The steps of ``owner`` alone that come before ``node``; whether its entry does, too."""
        flow = self._evaluator.flow(self._tree.scopes[owner])
        steps_at: dict[Point, list[Step]] = {}
        for step in self._runs.steps(owner):
            for point in flow.points_of(step.node):
                steps_at.setdefault(point, []).append(step)
        found: dict[Step, None] = {}
        reaches_entry = False
        work: list[Point] = []
        for point in flow.points_of(node):
            earlier = [s for s in steps_at.get(point, ()) if self._done_before(s, node)]
            if self._collect(earlier, barrier, found):
                work.append(point)
        expanded: set[Point] = set()
        while work:
            point = work.pop()
            if point in expanded:
                continue
            expanded.add(point)
            reaches_entry = reaches_entry or point is flow.entry
            for previous in point.predecessors:
                if self._collect(steps_at.get(previous, ()), barrier, found):
                    work.append(previous)
            # An exception leaves before the point has had its effect.
            work.extend(point.thrown_from)
        return list(found), reaches_entry

    def _collect(
        self,
        steps: list[Step] | tuple[()],
        barrier: Callable[[Step], bool] | None,
        found: dict[Step, None],
    ) -> bool:
        """Add the steps of one point; false if one of them is a barrier."""
        for step in reversed(steps):
            if barrier is not None and barrier(step):
                return False
            found[step] = None
        return True

    def _done_before(self, step: Step, node: cst.CSTNode) -> bool:
        """Within one statement: is the step an operand of ``node``, or does it end before it?"""
        if step.node is node or self._tree.is_within(node, step.node):
            return False
        return self._tree.is_within(step.node, node) or self._tree.before(step.node, node)

    def _imported(self) -> Iterator[Step]:
        for step in self._runs.steps(self._tree.module):
            if not self._conditions.is_guarded(step.node):
                yield step

    def roots(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        """The places at module level from which a path leads to ``node``."""
        found: dict[cst.CSTNode, None] = {}
        seen: set[cst.CSTNode] = set()
        work = [(self.owner(node), node)]
        while work and len(seen) < MOST_PLACES:
            owner, place = work.pop()
            if owner is self._tree.module:
                found[place] = None
            elif owner not in seen:
                seen.add(owner)
                work.extend((c.owner, c.step.node) for c in self._runs.callers(owner))
        return list(found)

    def callers(self, node: cst.CSTNode) -> list[Caller]:
        """The calls of the function that holds ``node``."""
        owner = self.owner(node)
        return [] if owner is self._tree.module else self._runs.callers(owner)

    # -- conditions ----------------------------------------------------------------------------

    def _together(self, first: cst.CSTNode, second: cst.CSTNode) -> bool:
        """Can both places be reached in one run: on one platform, under tests that agree?"""
        runs = self._conditions.runs
        if not any(
            runs(first, world) is not False and runs(second, world) is not False
            for world in PLATFORMS.values()
        ):
            return False
        tests = list(self._tests(first))
        return not any(
            _exclude(mine, holds, other, held)
            for mine, holds in self._tests(second)
            for other, held in tests
        )

    def _tests(self, node: cst.CSTNode) -> Iterator[tuple[cst.BaseExpression, bool]]:
        """The tests around a place in its function, and whether they hold there."""
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, cst.If) and child is not parent.test:
                yield from _parts(parent.test, child is parent.body)
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return
            child = parent


def _parts(test: cst.BaseExpression, holds: bool) -> Iterator[tuple[cst.BaseExpression, bool]]:
    """The operands of an ``and`` that holds, of an ``or`` that does not; else the test itself."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And) is holds:
        yield from _parts(test.left, holds)
        yield from _parts(test.right, holds)
    else:
        yield test, holds


def _exclude(
    first: cst.BaseExpression, holds: bool, second: cst.BaseExpression, held: bool
) -> bool:
    """True if two tests can't have these truths at once: ``a`` and ``not a``, ``x == 1`` and 2."""
    while isinstance(first, cst.UnaryOperation) and isinstance(first.operator, cst.Not):
        first, holds = first.expression, not holds
    while isinstance(second, cst.UnaryOperation) and isinstance(second.operator, cst.Not):
        second, held = second.expression, not held
    if first is second:
        return False  # the flow itself knows about the branches of one statement
    if holds is not held:
        return first.deep_equals(second)
    return holds and _different_constants(first, second)


def _different_constants(first: cst.BaseExpression, second: cst.BaseExpression) -> bool:
    one, other = _equality(first), _equality(second)
    if one is None or other is None:
        return False
    return one[0].deep_equals(other[0]) and one[1] != other[1]


def _equality(test: cst.BaseExpression) -> tuple[cst.BaseExpression, object] | None:
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        target = test.comparisons[0]
        if isinstance(target.operator, cst.Equal):
            value = target.comparator
            if isinstance(value, (cst.SimpleString, cst.Integer)):
                return test.left, value.evaluated_value
    return None
