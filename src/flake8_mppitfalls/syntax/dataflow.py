"""Data flow: facts that go along the paths of a function, over ``flow.py``."""

from __future__ import annotations

from functools import cached_property
from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.syntax.flow import PointKind

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from flake8_mppitfalls.syntax.flow import Flow, Point

    Facts: TypeAlias = "frozenset[object]"


def always_passes(
    flow: Flow,
    places: Iterable[Point],
    gates: Container[Point],
    *,
    undone_by: Container[Point] = (),
    undone_at: Container[Point] = (),
) -> bool:
    """Does each path to one of ``places`` pass one of ``gates``, and then nothing that undoes it?

    A gate counts where it has had its effect, not where an exception left it. So does a
    point of ``undone_by``; one of ``undone_at`` counts in either case.
    """
    work: list[tuple[Point, bool]] = []
    for place in places:
        flow.push_back(place, work)
    seen: set[tuple[Point, bool]] = set()
    while work:
        item = work.pop()
        if item in seen:
            continue
        seen.add(item)
        point, done = item
        if done and point in gates:
            continue
        if point is flow.entry or point in undone_at or (done and point in undone_by):
            return False
        flow.push_back(point, work)
    return True


class DataFlow:
    """Forward data flow by union, over one control flow that many ask about.

    A function may hold thousands of things, each of which needs but a small part of it: where its
    facts begin, and where nothing happens to them any more, can be said.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def forward(
        self,
        start: Facts,
        transfer: Callable[[Point, Facts], Facts],
        thrown: Callable[[Point, Facts], Facts],
        taken: Callable[[Point, Point, Facts], Facts],
        *,
        begin: Iterable[Point] | None = None,
        last: int | None = None,
    ) -> dict[Point, Facts]:
        """The facts that hold *before* each point that is reached.

        ``transfer`` gives the facts after a point; ``taken`` narrows them to those that go on
        to one successor of a test; ``thrown`` gives what an exception carries out of a point.
        ``begin`` are the points at which ``start`` holds, if not the entry; from behind the point
        of the index ``last`` the facts go straight to the ends that can be reached.
        """
        begin = [self.flow.entry] if begin is None else list(begin)
        before: dict[Point, Facts] = dict.fromkeys(begin, start)
        # In the order of the text, so that all that leads to a point has been gone through before
        # it; only loops bring a point back.
        work = sorted(self.index[point] for point in before)
        waiting = set(work)
        while work:
            index = heappop(work)
            waiting.remove(index)
            point = self.flow.points[index]
            facts = before[point]
            after = transfer(point, facts)
            raised = thrown(point, facts) if point.exceptional else facts
            for targets, leaving in ((point.successors, after), (point.exceptional, raised)):
                for target in targets:
                    out = leaving
                    if leaving is after and point.when_true is not None:
                        out = taken(point, target, after)
                    for reached in self._followed(target, last):
                        old = before.get(reached)
                        if old is None or not out <= old:
                            before[reached] = out if old is None else old | out
                            index = self.index[reached]
                            if index not in waiting:
                                waiting.add(index)
                                heappush(work, index)
        return before

    def _followed(self, point: Point, last: int | None) -> tuple[Point, ...]:
        if last is None or self.index[point] <= last:
            return (point,)
        return self._ends.get(point, ())

    @cached_property
    def index(self) -> dict[Point, int]:
        """The places of the points in the order of the text."""
        return {point: i for i, point in enumerate(self.flow.points)}

    def last_of_loops_around(self, index: int) -> int:
        """The last point from which a loop leads back to the point at ``index``, or before it."""
        return self._loop_ends[index]

    @cached_property
    def _loop_ends(self) -> list[int]:
        ends: list[int] = []
        reach = 0
        for i, point in enumerate(self.flow.points):
            back = (self.index[p] for p in (*point.predecessors, *point.thrown_from))
            reach = max(reach, i, *back)
            ends.append(reach)
        return ends

    @cached_property
    def _ends(self) -> dict[Point, tuple[Point, ...]]:
        """Which of the two ends of the flow a path from a point may come to."""
        found: dict[Point, tuple[Point, ...]] = {}
        for end in (self.flow.exit, self.flow.raised):
            seen: set[Point] = set()
            work = [end]
            while work:
                point = work.pop()
                if point not in seen:
                    seen.add(point)
                    found[point] = (*found.get(point, ()), end)
                    work += point.predecessors
                    work += point.thrown_from
        return found

    def leaves_of(self, item: cst.WithItem) -> list[Point]:
        """The points at which the ``with`` block of an item is left."""
        return self._leaves.get(item, [])

    @cached_property
    def _leaves(self) -> dict[cst.CSTNode, list[Point]]:
        found: dict[cst.CSTNode, list[Point]] = {}
        for point in self.flow.points:
            if point.kind is PointKind.LEAVE and point.node is not None:
                found.setdefault(point.node, []).append(point)
        return found
