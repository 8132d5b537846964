"""Paths: what may have happened in a program before it comes to a place.

``Paths.before(node)`` follows the control flow against its direction: to the start of the function
that holds ``node``, from there to the calls of that function, and so on to the start of the module.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

import libcst as cst

from flake8_mppitfalls.model.execution.worlds import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.execution.conditions import Conditions
    from flake8_mppitfalls.model.execution.runs import Caller, Runs, Step
    from flake8_mppitfalls.syntax.flow import Flow, Point

T = TypeVar("T")

MOST_PLACES = 300
"""So many calls are followed back from one place."""


class Paths:
    """Answers about the paths through one module."""

    def __init__(self, evaluator: Evaluator, conditions: Conditions, runs: Runs) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._conditions = conditions
        self._runs = runs
        self._steps_at: dict[cst.CSTNode, dict[Point, list[Step]]] = {}

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
        back = _Back(self, barrier)
        return list(dict.fromkeys(s for s in back.steps(node) if self.together(s.node, node)))

    def first_before(
        self,
        node: cst.CSTNode,
        asked: Callable[[Step], T],
        barrier: Callable[[Step], bool] | None = None,
    ) -> T | None:
        """What ``asked`` says first that is true, of the steps before ``node``, nearest first."""
        for step in _Back(self, barrier).steps(node):
            answer = asked(step)
            if answer and self.together(step.node, node):
                return answer
        return None

    def comes_afresh(self, node: cst.CSTNode, barrier: Callable[[Step], bool]) -> bool:
        """Is there a path from the start of the program to ``node`` that passes no barrier?"""
        back = _Back(self, barrier)
        return any(back.comes_afresh for _ in back.steps(node)) or back.comes_afresh

    def before_in(
        self,
        owner: cst.CSTNode,
        node: cst.CSTNode,
        barrier: Callable[[Step], bool] | None = None,
    ) -> list[Step]:
        """The steps of ``owner`` alone that come before ``node``."""
        return list(dict.fromkeys(_Back(self, barrier).steps_in(owner, node)))

    def leads_to(self, node: cst.CSTNode, asked: Callable[[Step], bool]) -> bool:
        """Does some path from ``node`` come to a step for which ``asked`` is true?

        Callers are followed to the end of the module. What comes after the return of a function
        that nothing in this module calls is not known.
        """
        work = [(self.owner(node), node)]
        seen: set[cst.CSTNode] = set()
        while work and len(seen) < MOST_PLACES:
            owner, place = work.pop()
            if place in seen:
                continue
            seen.add(place)
            steps_at = self.steps_at(owner)
            points = self.flow(owner).points_of(place)
            if place is not node and any(
                asked(step) and self.together(step.node, node)
                for point in points
                for step in steps_at.get(point, ())
                if step.node is not place and self._tree.is_within(place, step.node)
            ):
                return True  # ``run(load())``: in the same statement
            ahead = deque(n for p in points for n in (*p.successors, *p.exceptional))
            reached: set[Point] = set()
            while ahead:
                point = ahead.popleft()
                if point in reached:
                    continue
                reached.add(point)
                for step in steps_at.get(point, ()):
                    if asked(step) and self.together(step.node, node):
                        return True
                ahead += [*point.successors, *point.exceptional]
            if owner is not self._tree.module:
                work.extend((c.owner, c.step.node) for c in self._runs.callers(owner))
        return False

    def flow(self, owner: cst.CSTNode) -> Flow:
        """The control flow of a function or the module."""
        return self._evaluator.names.flow(self._tree.scopes[owner])

    def steps_at(self, owner: cst.CSTNode) -> dict[Point, list[Step]]:
        """The steps of ``owner`` by the points of its flow at which they happen."""
        known = self._steps_at.get(owner)
        if known is None:
            known = self._steps_at[owner] = {}
            flow = self.flow(owner)
            for step in self._runs.steps(owner):
                for point in flow.points_of(step.node):
                    known.setdefault(point, []).append(step)
        return known

    def imported(self) -> Iterator[Step]:
        """The steps at module level that an import makes."""
        for step in self._runs.steps(self._tree.module):
            if not self._conditions.is_guarded(step.node):
                yield step

    def done_before(self, step: Step, node: cst.CSTNode) -> bool:
        """Within one statement: is the step an operand of ``node``, or does it end before it?"""
        if step.node is node or self._tree.is_within(node, step.node):
            return False
        return self._tree.is_within(step.node, node) or self._tree.before(step.node, node)

    def may_follow(self, node: cst.CSTNode, place: cst.CSTNode) -> bool:
        """False if no path from ``place`` comes to ``node``; found without following one."""
        owner = self.owner(node)
        if owner is not self._tree.module and self._runs.callers(owner):
            return True
        if owner is not self.owner(place):
            return owner is self._tree.module
        return self._tree.before(place, node) or any(
            isinstance(parent, (cst.For, cst.While))
            for parent in self._tree.ancestors(place)
            if self._tree.is_within(parent, owner)
        )

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

    def is_module(self, owner: cst.CSTNode) -> bool:
        """True for the code of the module itself."""
        return owner is self._tree.module

    def callers(self, node: cst.CSTNode) -> list[Caller]:
        """The calls of the function that holds ``node``."""
        owner = self.owner(node)
        return [] if owner is self._tree.module else self._runs.callers(owner)

    # -- conditions ----------------------------------------------------------------------------

    def together(self, first: cst.CSTNode, second: cst.CSTNode) -> bool:
        """Can both places be reached in one run: on one platform, under tests that agree?"""
        runs = self._conditions.runs
        if not any(
            runs(first, world) is not False and runs(second, world) is not False
            for world in PLATFORMS.values()
        ):
            return False
        tests = list(self.tests_around(first))
        return not any(
            _exclude(mine, holds, other, held)
            for mine, holds in self.tests_around(second)
            for other, held in tests
        )

    def tests_around(self, node: cst.CSTNode) -> Iterator[tuple[cst.BaseExpression, bool]]:
        """The tests around a place in its function, and whether they hold there."""
        child = node
        for parent in self._tree.ancestors(node):
            if type(parent) is cst.If and child is not parent.test:
                yield from _parts(parent.test, child is parent.body)
            elif type(parent) is cst.FunctionDef or type(parent) is cst.Lambda:
                return
            child = parent


class _Back:
    """One walk against the flow. ``comes_afresh``: it came to the start of the program."""

    def __init__(self, paths: Paths, barrier: Callable[[Step], bool] | None) -> None:
        self._paths = paths
        self._barrier = barrier
        self._reaches_entry = False
        self.comes_afresh = False

    def steps(self, node: cst.CSTNode) -> Iterator[Step]:
        """The steps before ``node``, those of its own function first; some more than once."""
        paths = self._paths
        work = [(paths.owner(node), node)]
        seen: set[cst.CSTNode] = set()
        while work and len(seen) < MOST_PLACES:
            owner, place = work.pop()
            if place in seen:
                continue
            seen.add(place)
            yield from self.steps_in(owner, place)
            if not self._reaches_entry:
                continue
            callers = paths.callers(place)
            work.extend((caller.owner, caller.step.node) for caller in callers)
            if not callers:
                self.comes_afresh = True
                if not paths.is_module(owner):
                    yield from paths.imported()

    def steps_in(self, owner: cst.CSTNode, node: cst.CSTNode) -> Iterator[Step]:
        """The steps of ``owner`` before ``node``, nearest first."""
        paths = self._paths
        flow, steps_at = paths.flow(owner), paths.steps_at(owner)
        self._reaches_entry = False
        work: deque[Point] = deque()
        for point in flow.points_of(node):
            earlier = [s for s in steps_at.get(point, ()) if paths.done_before(s, node)]
            passed = self._passed(earlier)
            yield from passed
            if len(passed) == len(earlier):
                work.append(point)
        expanded: set[Point] = set()
        passed_by: set[Point] = set()  # also the place itself, in the turn before of a loop
        while work:
            point = work.popleft()
            if point in expanded:
                continue
            expanded.add(point)
            self._reaches_entry = self._reaches_entry or point is flow.entry
            for previous in point.predecessors:
                if previous in passed_by:
                    continue
                passed_by.add(previous)
                steps = steps_at.get(previous, [])
                passed = self._passed(steps)
                yield from passed
                if len(passed) == len(steps):
                    work.append(previous)
            # An exception leaves before the point has had its effect.
            work.extend(point.thrown_from)

    def _passed(self, steps: list[Step]) -> list[Step]:
        """The steps of one point, the last one first, up to a barrier."""
        passed: list[Step] = []
        for step in reversed(steps):
            if self._barrier is not None and self._barrier(step):
                break
            passed.append(step)
        return passed


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
