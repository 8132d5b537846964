"""Pending: is something begun, and not yet ended, when the program comes to a place?

A walk against the control flow, from the place to the start of its function, and on from the calls
of that function. A loop that ends something at each turn ends it for all that comes after the loop:
``for p in processes: p.join()``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.paths import MOST_PLACES
from flake8_mppitfalls.syntax.flow import PointKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Point


class Pending:
    """Asks for one thing.

    Args:
        program: the model of the file.
        begins: true for a step that begins it, itself or in what it calls.
        ends: true for a step that ends it, or waits for its end.
        leaves: true for a ``with`` item whose end does so.
    """

    def __init__(
        self,
        program: Program,
        begins: Callable[[Step], bool],
        ends: Callable[[Step], bool],
        leaves: Callable[[cst.WithItem], bool] = lambda item: False,
    ) -> None:
        self._tree = program.tree
        self._paths = program.paths
        self._runs = program.runs
        self._conditions = program.conditions
        self._begins = begins
        self._ends = ends
        self._leaves = leaves
        self._at_end: dict[cst.CSTNode, bool] = {}

    def at(self, node: cst.CSTNode) -> Step | None:
        """The step that has begun it, if it may go on when the program comes to ``node``."""
        paths = self._paths
        work = [(paths.owner(node), node)]
        seen: set[cst.CSTNode] = set()
        while work and len(seen) < MOST_PLACES:
            owner, place = work.pop()
            if place in seen:
                continue
            seen.add(place)
            found, reaches_entry = self._in(owner, place, node)
            if found is not None:
                return found
            if not reaches_entry or paths.is_module(owner):
                continue
            callers = paths.callers(place)
            work.extend((caller.owner, caller.step.node) for caller in callers)
            if not callers:
                for step in self._runs.steps(self._tree.module):
                    if self._begins(step) and not self._ends(step) and self._goes_on_after(step):
                        if not self._conditions.is_guarded(step.node):
                            return step
        return None

    def _in(
        self, owner: cst.CSTNode, place: cst.CSTNode, node: cst.CSTNode
    ) -> tuple[Step | None, bool]:
        """The step of ``owner`` that has begun it, and whether a path leads to its start."""
        paths = self._paths
        steps_at = paths.steps_at(owner)
        work: deque[Point] = deque()
        for point in paths.flow(owner).points_of(place):
            earlier = [s for s in steps_at.get(point, ()) if paths.done_before(s, place)]
            found, passes = self._passed(earlier, node)
            if found is not None:
                return found, False
            if passes:
                work.append(point)
        return self._back(owner, work, self._blocked(owner, place), node)

    def _back(
        self, owner: cst.CSTNode, work: deque[Point], blocked: set[Point], node: cst.CSTNode
    ) -> tuple[Step | None, bool]:
        """The same for what comes before some points of ``owner``."""
        steps_at = self._paths.steps_at(owner)
        in_handler = self._is_in_handler(node)
        entry = self._paths.flow(owner).entry
        reaches_entry = False
        seen: set[Point] = set()  # a loop may lead back to the place itself
        thrown: set[Point] = set()
        while work:
            point = work.popleft()
            reaches_entry = reaches_entry or point is entry
            for previous in point.predecessors:
                if previous in seen or previous in blocked:
                    continue
                seen.add(previous)
                found, passes = self._passed(steps_at.get(previous, []), node)
                if found is not None:
                    return found, False
                if passes:
                    work.append(previous)
            if in_handler:
                work.extend(t for t in point.thrown_from if t not in thrown)
                thrown.update(point.thrown_from)
        return None, reaches_entry

    def _passed(self, steps: list[Step], node: cst.CSTNode) -> tuple[Step | None, bool]:
        for step in reversed(steps):
            if self._ends(step):
                return None, False
            if self._begins(step) and self._paths.together(step.node, node):
                if self._goes_on_after(step):
                    return step, False
        return None, True

    def _goes_on_after(self, step: Step) -> bool:
        """Does it go on when the functions that a step calls have returned?"""
        if self._begins(step._replace(functions=())):
            return True
        return any(self._goes_on_at_end(function) for function in step.functions)

    def _goes_on_at_end(self, function: cst.CSTNode) -> bool:
        known = self._at_end.get(function)
        if known is None:
            self._at_end[function] = False  # asked again by a function that calls itself
            flow = self._paths.flow(function)
            blocked = self._blocked(function, function)
            found, _ = self._back(function, deque([flow.exit]), blocked, function)
            known = self._at_end[function] = found is not None
        return known

    def _blocked(self, owner: cst.CSTNode, place: cst.CSTNode) -> set[Point]:
        """Where it has ended besides the steps that do so: loops over them, ends of ``with``."""
        flow = self._paths.flow(owner)
        blocked = {
            point
            for point in flow.points
            if point.kind is PointKind.LEAVE
            and isinstance(point.node, cst.WithItem)
            and self._leaves(point.node)
        }
        for steps in self._paths.steps_at(owner).values():
            for step in steps:
                loops = self._loops_around(step.node, place)
                if loops and self._ends(step):
                    for loop in loops:
                        anchor = loop.iter if isinstance(loop, cst.For) else loop.test
                        blocked.update(flow.points_of(anchor))
        return blocked

    def _loops_around(self, node: cst.CSTNode, place: cst.CSTNode) -> list[cst.For | cst.While]:
        """The loops of the same function that repeat ``node``, and not ``place``."""
        found: list[cst.For | cst.While] = []
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                break
            if isinstance(parent, (cst.For, cst.While)) and child is parent.body:
                if not self._tree.is_within(place, parent):
                    found.append(parent)
            child = parent
        return found

    def _is_in_handler(self, node: cst.CSTNode) -> bool:
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.ExceptHandler, cst.ExceptStarHandler)):
                return True
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
        return False
