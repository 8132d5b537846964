"""Data flow: facts that go along the paths of a function, over ``flow.py``."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import cached_property
from heapq import heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import libcst as cst

from flake8_mppitfalls.syntax.flow import PointKind

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence, Set

    from flake8_mppitfalls.syntax.flow import Flow, Point
    from flake8_mppitfalls.syntax.scopes import Binding

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


class Way(NamedTuple):
    """A way out of a row of statements: which of them take it, and from where to where it leads."""

    numbers: list[int]
    source: Point
    target: Point
    is_thrown: bool


class Row:
    """Statements of one block that follow one another, and what leads out of them.

    Facts that nothing in them changes hold at each statement and at the end of each way out.
    """

    def __init__(self) -> None:
        self.begins: list[int] = []
        self.end = 0
        self._ways: dict[tuple[Point, bool, bool], Way] = {}

    def add_way(self, source: Point, target: Point, *, is_thrown: bool) -> None:
        """Add a way out of the last statement."""
        key = (target, is_thrown, bool(source.successors))
        way = self._ways.setdefault(key, Way([], source, target, is_thrown))
        number = len(self.begins) - 1
        if way.numbers[-1:] != [number]:
            way.numbers.append(number)

    def ways(self, first: int, until: int) -> Iterator[Way]:
        """The ways out of some of the statements."""
        for way in self._ways.values():
            place = bisect_left(way.numbers, first)
            if place < len(way.numbers) and way.numbers[place] < until:
                yield way


class DataFlow:
    """Forward data flow by union, over one control flow that many ask about.

    A function may hold thousands of things, to each of which something happens in a small part of
    it. The statements in which nothing does are passed over, as many at once as stand in a row.
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
        places: Iterable[Point] | None = None,
        most: int,
        too_many: Facts,
    ) -> dict[Point, Facts]:
        """The facts that hold *before* each point that is reached.

        ``transfer`` gives the facts after a point; ``taken`` narrows them to those that go on
        to one successor of a test; ``thrown`` gives what an exception carries out of a point.
        ``begin`` are the points at which ``start`` holds, if not the entry.
        ``places`` are the points at which ``transfer`` and ``taken`` change anything, if not all:
        others may be passed over, and are not among the answers then. Where more than ``most``
        facts meet, ``too_many`` stands for them, and stays.
        """
        before = dict.fromkeys([self.flow.entry] if begin is None else begin, start)
        stops = None if places is None else sorted({self.index[point] for point in places})
        # In the order of the text, so that all that leads to a point has been gone through before
        # it; only loops bring a point back.
        work = sorted(self.index[point] for point in before)
        waiting = set(work)

        def reach(target: Point, facts: Facts) -> None:
            old = before.get(target)
            if old is None or not (facts <= old or old is too_many):
                met = facts if old is None else old | facts
                before[target] = met if len(met) <= most else too_many
                index = self.index[target]
                if index not in waiting:
                    waiting.add(index)
                    heappush(work, index)

        while work:
            index = heappop(work)
            waiting.remove(index)
            point = self.flow.points[index]
            facts = before[point]
            passed = None if stops is None else self._passed_over(index, stops)
            if passed is not None:
                row, first, until = passed
                for way in row.ways(first, until):
                    reach(way.target, thrown(way.source, facts) if way.is_thrown else facts)
                if until < len(row.begins):
                    reach(self.flow.points[row.begins[until]], facts)
                continue
            after = transfer(point, facts)
            for target in point.successors:
                reach(target, after if point.when_true is None else taken(point, target, after))
            if point.exceptional:
                raised = thrown(point, facts)
                for target in point.exceptional:
                    reach(target, raised)
        return before

    def reaching(
        self, loads: Iterable[cst.CSTNode], bindings: Sequence[Binding], most: int
    ) -> dict[cst.CSTNode, list[Binding]]:
        """For each of the reads of a name: those of its bindings whose value it may see.

        All of them where more than ``most`` meet. As :meth:`Flow.reaching`, for many reads.
        """
        flow, stores = self.flow, self.flow.stores(bindings)

        def transfer(point: Point, facts: Facts) -> Facts:
            return frozenset(stores[point][-1:]) if point in stores else facts

        places = {load: flow.points_of(load) for load in loads}
        before = self.forward(
            frozenset(),
            transfer,
            lambda _, facts: facts,
            lambda _, __, facts: facts,
            places=[*stores, *(point for points in places.values() for point in points)],
            most=most,
            too_many=frozenset(bindings),
        )
        number = {binding: i for i, binding in enumerate(bindings)}
        result: dict[cst.CSTNode, list[Binding]] = {}
        for load, points in places.items():
            found: set[Binding] = set()
            for point in points:
                here = [b for b in stores.get(point, ()) if flow.is_named_before(b.node, load)]
                if here or point in before:
                    found.update(here[-1:] or before[point])  # type: ignore[arg-type]
                else:  # nothing leads there
                    found.update(flow.reaching(load, bindings))
            result[load] = sorted(found, key=number.__getitem__)
        return result

    def _passed_over(self, index: int, stops: list[int]) -> tuple[Row, int, int] | None:
        """The row, and which of its statements, that begin at a point and hold no stop."""
        rows = self._rows.get(index)
        if rows is None:
            return None
        place = bisect_left(stops, index)
        stop = stops[place] if place < len(stops) else len(self.flow.points)
        for row, number in rows:
            until = len(row.begins) if stop >= row.end else bisect_right(row.begins, stop) - 1
            if until > number:
                return row, number, until
        return None

    @cached_property
    def _rows(self) -> dict[int, list[tuple[Row, int]]]:
        """The rows that have a statement which begins at a point, the outermost first."""
        found: dict[int, list[tuple[Row, int]]] = {}
        for begins in self.flow.blocks:
            row: Row | None = None
            for begin, end in pairwise(begins):
                if self.flow.points[begin] not in self._reachable:
                    row = None
                    continue
                row = row or Row()
                row.begins.append(begin)
                row.end = end
                found.setdefault(begin, []).append((row, len(row.begins) - 1))
                if not self._add_ways(row, begin, end, follows=end != begins[-1]):
                    row = None
        return found

    def _add_ways(self, row: Row, begin: int, end: int, *, follows: bool) -> bool:
        """Add the ways out of a statement; does one lead to the statement that ``follows``?"""
        goes_on = False
        for point in self.flow.points[begin:end]:
            if point not in self._reachable:
                continue
            for target in point.successors:
                if follows and self.index[target] == end:
                    goes_on = True
                elif not begin <= self.index[target] < end:
                    row.add_way(point, target, is_thrown=False)
            for target in point.exceptional:
                if not begin <= self.index[target] < end:
                    row.add_way(point, target, is_thrown=True)
        return goes_on

    def is_reachable(self, node: cst.CSTNode) -> bool:
        """False for what is never evaluated, as nothing leads to it."""
        points = self.flow.points_of(node)
        return not points or not self._perhaps_reachable.isdisjoint(points)

    @cached_property
    def _reachable(self) -> set[Point]:
        return self._reached(any_with_suppresses=False)

    @cached_property
    def _perhaps_reachable(self) -> set[Point]:
        return self._reached(any_with_suppresses=True)

    def _reached(self, *, any_with_suppresses: bool) -> set[Point]:
        found: set[Point] = set()
        work = [self.flow.entry]
        while work:
            point = work.pop()
            if point not in found:
                found.add(point)
                work += point.successors
                work += point.exceptional
                if any_with_suppresses and type(point.node) is cst.With:
                    behind = self.index.get(point, len(self.index)) + 1
                    work += self.flow.points[behind : behind + 1]
        return found

    @cached_property
    def index(self) -> dict[Point, int]:
        """The places of the points in the order of the text."""
        return {point: i for i, point in enumerate(self.flow.points)}

    def reraising(self, statements: Set[cst.CSTNode]) -> Iterator[Point]:
        """The points at which some of the ``try`` and ``with`` let an exception pass."""
        known = self._by_node[PointKind.RERAISE]
        for statement in known.keys() & statements:
            yield from known[statement]

    def leaves_of(self, item: cst.WithItem) -> list[Point]:
        """The points at which the ``with`` block of an item is left."""
        return self._by_node[PointKind.LEAVE].get(item, [])

    @cached_property
    def _by_node(self) -> dict[PointKind, dict[cst.CSTNode, list[Point]]]:
        found: dict[PointKind, dict[cst.CSTNode, list[Point]]] = {
            PointKind.LEAVE: {},
            PointKind.RERAISE: {},
        }
        for point in self.flow.points:
            if point.kind in found and point.node is not None:
                found[point.kind].setdefault(point.node, []).append(point)
        return found
