"""Aftermath: what a program still does after a place, until it ends.

The forward counterpart of ``paths.py``: from a place to the end of its function, from there behind
the calls of that function, and so on to the end of the module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.paths import MOST_PLACES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Flow, Point

_ENTRIES = frozenset({"main", "cli", "_main"})
"""Functions that a program begins with, and ends with, where nothing here calls them."""


@dataclass
class After:
    """What may come after a place.

    Attributes:
        steps: what may be done.
        loops: the ``while`` loops that may be come to.
        ends: a path leads to the end of the program.
        is_open: one leads to where the file does not show what comes.
    """

    steps: dict[Step, None] = field(default_factory=dict)
    loops: dict[cst.While, None] = field(default_factory=dict)
    ends: bool = False
    is_open: bool = False


class Aftermath:
    """Answers for one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._known: dict[cst.CSTNode, After] = {}

    def of(self, node: cst.CSTNode) -> After:
        """What may come after ``node``."""
        known = self._known.get(node)
        if known is None:
            known = self._known[node] = self._find(node, None)
        return known

    def until(self, node: cst.CSTNode, barrier: Callable[[Step], bool]) -> After:
        """What may come after ``node`` and before a step for which ``barrier`` is true."""
        return self._find(node, barrier)

    def _find(self, node: cst.CSTNode, barrier: Callable[[Step], bool] | None) -> After:
        program = self._program
        after = After()
        in_parent = program.sides.is_parent_code(node)
        work = [(program.paths.owner(node), node)]
        seen: set[cst.CSTNode] = set()
        while work:
            owner, place = work.pop()
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MOST_PLACES:
                after.is_open = True
                break
            if not self._goes_to_end(owner, place, after, barrier):
                continue
            if owner is self._tree.module:
                after.ends = True
                continue
            callers = [
                caller
                for caller in program.runs.callers(owner)
                if not in_parent or program.sides.is_parent_code(caller.step.node)
            ]  # a worker that calls the same function goes on with a life of its own
            work.extend((caller.owner, caller.step.node) for caller in callers)
            if owner in program.sides.workers or program.references.is_given_away(owner):
                after.is_open = True
            elif not callers:
                if isinstance(owner, cst.FunctionDef) and owner.name.value in _ENTRIES:
                    after.ends = True
                else:
                    after.is_open = True
        return after

    def _goes_to_end(
        self,
        owner: cst.CSTNode,
        node: cst.CSTNode,
        after: After,
        barrier: Callable[[Step], bool] | None,
    ) -> bool:
        """Add what comes in ``owner``; true if a path leads to its end."""
        flow = self._program.names.flow(self._tree.scopes[owner])
        steps_at: dict[Point, list[Step]] = {}
        for step in self._program.runs.steps(owner):
            for point in flow.points_of(step.node):
                steps_at.setdefault(point, []).append(step)
        if not flow.complete:
            after.is_open = True
            return False
        work: list[Point] = []
        for point in flow.points_of(node):
            later = [s for s in steps_at.get(point, ()) if self._is_later(s, node)]
            if self._add(later, after, barrier):
                work += point.successors
                if self._ends_program(flow, point):
                    after.ends = True  # ``sys.exit(main())``
        seen: set[Point] = set()
        while work:
            point = work.pop()
            if point in seen:
                continue
            seen.add(point)
            if not self._add(steps_at.get(point, ()), after, barrier):
                continue
            loop = self._tree.parent(point.node) if point.node is not None else None
            if isinstance(loop, cst.While) and loop.test is point.node:
                after.loops[loop] = None
            if self._ends_program(flow, point):
                after.ends = True
            work.extend(point.successors)
        return flow.exit in seen

    def _is_later(self, step: Step, node: cst.CSTNode) -> bool:
        """Within one statement: does a step come after ``node``?"""
        return step.node is not node and self._tree.before(node, step.node)

    def _add(
        self, steps: Iterable[Step], after: After, barrier: Callable[[Step], bool] | None
    ) -> bool:
        """Add the steps of one point; false if one of them is a barrier."""
        for step in steps:
            if barrier is not None and barrier(step):
                return False
            after.steps[step] = None
        return True

    def _ends_program(self, flow: Flow, point: Point) -> bool:
        return point.node is not None and flow.ends_program(point.node)
