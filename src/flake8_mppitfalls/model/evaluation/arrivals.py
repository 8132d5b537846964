"""Arrivals: from which assignments a value comes to a place, and past which tests.

A search against the control flow, from a place back to the assignments of one name or attribute,
that collects what the tests on the way say. On a given platform the branches for others are no
way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import libcst as cst

from flake8_mppitfalls.model.evaluation.classes import Store
from flake8_mppitfalls.model.evaluation.origins import Origins
from flake8_mppitfalls.model.numbers.facts import (
    Fact,
    Origin,
    Said,
    base_of,
    implied,
    key_of,
    matched,
)
from flake8_mppitfalls.syntax.flow import PointKind
from flake8_mppitfalls.syntax.scopes import Binding, Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.worlds import World
    from flake8_mppitfalls.model.numbers.amounts import Amounts
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Flow, Point
    from flake8_mppitfalls.syntax.scopes import Scope

MOST_STEPS = 3_000
"""After so many steps back the answer is that nobody knows. For a file there is a sum, too."""
MOST_FACTS = 8
MOST_ARRIVALS = 40

Definition: TypeAlias = "Binding | Store"
_Steps: TypeAlias = "list[tuple[Point, bool, frozenset[Fact]]]"
_Stops: TypeAlias = "dict[Point, list[Definition]]"

NO_FACTS: frozenset[Fact] = frozenset()


class Arrival(NamedTuple):
    """An assignment that reaches a place, or ``None`` for the start of the scope.

    ``facts`` hold on the way from there to the place.
    """

    definition: Definition | None
    facts: frozenset[Fact]


class Arrivals:
    """Searches the scopes of one module.

    Args:
        program: the model of the file.
        world: the platform that is asked about; ``None`` for any.
        evaluate: the amounts of what a test compares with.
    """

    def __init__(
        self,
        program: Program,
        world: World | None,
        evaluate: Callable[[cst.BaseExpression], Amounts],
    ) -> None:
        self._tree = program.tree
        self._evaluator = program.evaluator
        self._conditions = program.conditions
        self._origins = Origins(program.evaluator)
        self._world = world
        self._evaluate = evaluate
        self._stops: dict[tuple[Scope, str], _Stops] = {}
        self._tested: dict[Scope, frozenset[str]] = {}
        self._named: dict[tuple[Scope, str], frozenset[str]] = {}
        self._said: dict[tuple[cst.CSTNode, bool], list[Said]] = {}
        self._barred: dict[cst.CSTNode, bool | None] = {}
        self._left = 5_000 + len(program.tree.parents)
        self._in_expressions: dict[Scope, list[cst.CSTNode]] | None = None

    # -- questions -----------------------------------------------------------------------------

    def to(
        self, node: cst.CSTNode, key: str, facts: frozenset[Fact] = NO_FACTS
    ) -> list[Arrival] | None:
        """The assignments of ``key`` that reach ``node``; ``None`` where the search is too long.

        ``facts`` are known to hold at ``node`` already.
        """
        scope = self._tree.function_of(node)
        flow = self._evaluator.names.flow(scope)
        stops = self.definitions(scope, key)
        watched = self._watched(scope, stops, key, facts)
        facts = self._with(facts, self._around(node), watched)
        only = self._only(flow, stops)
        if only is not None and not watched:
            return [Arrival(*only, facts)]
        arrivals: dict[Arrival, None] = {}
        work: _Steps = []
        for point in flow.points_of(node):
            here = [d for d in stops.get(point, ()) if flow.is_named_before(d.node, node)]
            if here:
                arrivals[Arrival(here[-1], facts)] = None
            else:
                self._push(point, facts, work, watched)
        return self._search(flow, key, stops, watched, work, arrivals)

    def to_end(self, scope: Scope, key: str) -> list[Arrival] | None:
        """The assignments of ``key`` in a scope that it may end with."""
        flow = self._evaluator.names.flow(scope)
        stops = self.definitions(scope, key)
        watched = self._watched(scope, stops, key, NO_FACTS)
        only = self._only(flow, stops)
        if only is not None and not watched:
            return [Arrival(*only, NO_FACTS)]
        work: _Steps = [(flow.exit, True, NO_FACTS), (flow.raised, True, NO_FACTS)]
        return self._search(flow, key, stops, watched, work, {})

    @staticmethod
    def _only(flow: Flow, stops: _Stops) -> tuple[Definition | None] | None:
        """The one arrival there can be, where no search is needed to find it."""
        if not stops:
            return (None,)
        found = {id(d): d for definitions in stops.values() for d in definitions}
        if len(found) == 1 and flow.entry in stops:
            return (next(iter(found.values())),)  # a parameter that is never bound again
        return None

    def definitions(self, scope: Scope, key: str) -> _Stops:
        """The points of a scope at which a name or attribute gets a value, by its text."""
        known = self._stops.get((scope, key))
        if known is None:
            flow = self._evaluator.names.flow(scope)
            known = self._stops[scope, key] = {}
            for definition in self._found(scope, key):
                points = [flow.entry]
                if definition.kind is not Bound.PARAMETER:
                    points = flow.points_of(definition.node)
                for point in points:
                    known.setdefault(point, []).append(definition)
        return known

    def said(self, test: cst.CSTNode, truth: bool) -> list[Said]:
        """What a test says where it comes out as ``truth``."""
        known = self._said.get((test, truth))
        if known is None:
            self._said[test, truth] = []  # asked again while its numbers are evaluated
            if isinstance(test, cst.MatchCase):
                found = self._matched(test, truth)
            else:
                found = self._implied(test, truth)
            known = self._said[test, truth] = list(found)
        return known

    def _implied(self, test: cst.CSTNode, truth: bool) -> Iterator[Said]:
        return implied(test, truth, self._evaluate, self._origins.of, self._decided)

    def _matched(self, case: cst.MatchCase, truth: bool) -> Iterator[Said]:
        subject = self._subject(case)
        pattern = case.pattern
        takes_all = isinstance(pattern, cst.MatchAs) and pattern.pattern is None
        yield from matched(subject, case, truth, self._evaluate)
        if case.guard is not None and (truth or takes_all):
            yield from self._implied(case.guard, truth)
            if isinstance(pattern, cst.MatchAs) and pattern.name is not None:
                captured = Origin(case.guard, {pattern.name.value: key_of(subject)})
                for fact, node in self._implied(case.guard, truth):
                    key = captured.key(fact.key)
                    if key and key != fact.key:
                        yield Said(fact._replace(key=key), node)

    def _subject(self, case: cst.MatchCase) -> cst.BaseExpression:
        match = self._tree.parent(case)
        assert isinstance(match, cst.Match)
        return match.subject

    def _decided(self, test: cst.BaseExpression) -> bool | None:
        """How a test comes out on the platform that is asked about."""
        return None if self._world is None else self._conditions.truths.of(test, self._world)

    # -- the search ----------------------------------------------------------------------------

    def _search(
        self,
        flow: Flow,
        key: str,
        stops: _Stops,
        watched: frozenset[str],
        work: _Steps,
        arrivals: dict[Arrival, None],
    ) -> list[Arrival] | None:
        if not flow.complete:
            return None
        kills = self._kills(flow.scope, watched)
        # ``len(x)`` is another number before ``x`` gets its value.
        ends = self.definitions(flow.scope, base_of(key)) if base_of(key) != key else {}
        seen: set[tuple[Point, bool, frozenset[Fact]]] = set()
        while work:
            step = work.pop()
            if step in seen:
                continue
            seen.add(step)
            self._left -= 1
            if len(seen) > MOST_STEPS or len(arrivals) > MOST_ARRIVALS or self._left < 0:
                return None
            point, after, facts = step
            if after:
                if point in stops:
                    arrivals[Arrival(stops[point][-1], facts)] = None
                    continue
                if point in ends:
                    arrivals[Arrival(None, facts)] = None
                    continue
                if facts and point in kills:
                    gone = kills[point]
                    facts = frozenset(f for f in facts if base_of(f.key) not in gone)
                if isinstance(point.node, cst.Assert) and watched:
                    facts = self._with(facts, self.said(point.node.test, True), watched)
            if point is flow.entry:
                arrivals[Arrival(None, facts)] = None
                continue
            self._push(point, facts, work, watched)
        return list(arrivals)

    def _push(
        self, point: Point, facts: frozenset[Fact], work: _Steps, watched: frozenset[str]
    ) -> None:
        for before in point.predecessors:
            known = facts
            test = before.node
            if before.when_true is not None and before.kind is PointKind.TEST and test is not None:
                truth = point is before.when_true
                if self._truth(test) is (not truth):
                    continue
                if watched:
                    known = self._with(facts, self.said(test, truth), watched)
            work.append((before, True, known))
        work.extend((before, False, facts) for before in point.thrown_from)

    def _truth(self, test: cst.CSTNode) -> bool | None:
        """How a test comes out on the platform that is asked about."""
        if self._world is None:
            return None
        if test not in self._barred:
            self._barred[test] = self._conditions.truths.of(test, self._world)
        return self._barred[test]

    @staticmethod
    def _with(
        facts: frozenset[Fact], said: Iterable[Said], watched: frozenset[str]
    ) -> frozenset[Fact]:
        new = {fact for fact, _ in said if fact.key in watched}
        if not new or len(facts) >= MOST_FACTS:
            return facts
        return facts | new

    def _around(self, node: cst.CSTNode) -> Iterator[Said]:
        """What holds at ``node`` by the conditional expressions of its own statement."""
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, cst.IfExp) and child is not parent.test:
                yield from self.said(parent.test, child is parent.body)
            elif isinstance(parent, cst.BooleanOperation) and child is parent.right:
                yield from self.said(parent.left, isinstance(parent.operator, cst.And))
            elif isinstance(parent, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
                return
            child = parent

    # -- what matters --------------------------------------------------------------------------

    def _watched(
        self, scope: Scope, stops: _Stops, key: str, facts: frozenset[Fact]
    ) -> frozenset[str]:
        """The keys whose tests may tell something: of the name and of what it is made from."""
        tested = self._tested_in(scope)
        if not tested:
            return frozenset()
        named = self._named.get((scope, key))
        if named is None:
            keys = {key}
            for definitions in stops.values():
                for definition in definitions:
                    if definition.value is not None:
                        keys.update(self._keys_in(definition.value))
            named = self._named[scope, key] = frozenset(keys & tested)
        return named | tested.intersection(fact.key for fact in facts)

    def _tested_in(self, scope: Scope) -> frozenset[str]:
        known = self._tested.get(scope)
        if known is None:
            keys: set[str] = set()
            for point in self._evaluator.names.flow(scope).points:
                node = point.node
                if isinstance(node, cst.MatchCase):
                    keys.update(self._keys_in(self._subject(node)))
                    node = node.guard
                test = node.test if isinstance(node, cst.Assert) else node
                if test is not None and (test is not node or point.kind is PointKind.TEST):
                    keys.update(self._keys_in(test))
            for test in self._tests_in_expressions().get(scope, ()):
                keys.update(self._keys_in(test))
            known = self._tested[scope] = frozenset(keys)
        return known

    def _tests_in_expressions(self) -> dict[Scope, list[cst.CSTNode]]:
        """The tests of conditional expressions, ``and`` and ``or``, by scope."""
        if self._in_expressions is None:
            self._in_expressions = {}
            found: list[tuple[cst.CSTNode, cst.CSTNode]] = []
            found += [(node, node.test) for node in self._tree.nodes(cst.IfExp)]
            found += [(node, node) for node in self._tree.nodes(cst.BooleanOperation)]
            for node, test in found:
                self._in_expressions.setdefault(self._tree.function_of(node), []).append(test)
        return self._in_expressions

    def _keys_in(self, node: cst.CSTNode) -> Iterator[str]:
        for part in self._tree.walk(node):
            if isinstance(part, (cst.Name, cst.Attribute, cst.Call)):
                key = key_of(part)
                if key:
                    yield key
                origin = self._origins.of(part)
                if origin is not None and origin.test is not node:
                    for inner in self._tree.walk(origin.test):
                        if isinstance(inner, (cst.Name, cst.Attribute, cst.Call)):
                            yield origin.key(key_of(inner))

    def _kills(self, scope: Scope, watched: frozenset[str]) -> dict[Point, set[str]]:
        """Where which of the watched names get another value."""
        kills: dict[Point, set[str]] = {}
        for key in watched:
            base = base_of(key)
            for point in self.definitions(scope, base):
                kills.setdefault(point, set()).add(base)
        return kills

    def _found(self, scope: Scope, key: str) -> Iterator[Definition]:
        head, dot, last = key.rpartition(".")
        if not dot:
            for binding in scope.bindings.get(last, ()):
                if binding.kind is Bound.PARAMETER or self._is_in(binding.node, scope):
                    yield binding
            return
        if not head or "(" in key:
            return
        for store in self._evaluator.classes.stores_in(scope, last):
            if dotted_name(store.node) == key:
                yield store

    def _is_in(self, node: cst.CSTNode, scope: Scope) -> bool:
        return self._tree.function_of(node) is scope
