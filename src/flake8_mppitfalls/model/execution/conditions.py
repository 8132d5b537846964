"""Conditions: does a place in the code run when this or that is the case?

``Conditions.runs(node, world)`` asks the ``if``, ``match``, ``and`` and early exits around a node
whether it can be reached in a world (``worlds.py``).
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.truths import UNDECIDED, Truths
from flake8_mppitfalls.model.execution.worlds import (
    CHILD,
    FROZEN,
    NOT_FROZEN,
    PLATFORMS,
    PROGRAM,
    World,
)
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

MOST_AROUND = 40
"""So many tests around a place are asked for, from the inside out."""
MOST_EARLIER = 20
"""So many of the earlier statements that may leave a block are asked for their tests."""
_WANTING = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
"""In a test: what follows has to fail (``pytest.raises()``, ``TestCase.assertRaises()``)."""
_LEAVING = {"sys.exit", "exit", "quit", "os._exit", "os.abort"}


class Conditions:
    """Answers about the conditions under which the code of one module runs."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self.truths = Truths(evaluator)
        self._blocks: dict[tuple[cst.CSTNode, int, bool], tuple[bool | None, World]] = {}
        self._leaving: dict[tuple[cst.CSTNode, int], tuple[int, World]] = {}
        self._places: dict[cst.CSTNode, dict[cst.CSTNode, int]] = {}
        self._early: dict[cst.CSTNode, list[tuple[int, cst.BaseExpression, bool]]] = {}

    def is_guarded(self, node: cst.CSTNode) -> bool:
        """True if ``node`` runs in the main program only: not when a child imports the file."""
        return self.runs(node, CHILD) is False and self.runs(node, PROGRAM) is not False

    def is_certain_in_child(self, node: cst.CSTNode) -> bool:
        """True if a child that imports the file comes to ``node`` by its tests, a program not."""
        if self.runs(node, PROGRAM) is not False:
            return False
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.If, cst.IfExp)) and child is not parent.test:
                if self.truths.of(parent.test, CHILD) is not (child is parent.body):
                    return False
            child = parent
        return self.runs(node, CHILD) is not False

    def is_exit(self, call: cst.Call) -> bool:
        """True for ``sys.exit()`` and what ends the process like it."""
        return self._tree.qualified(call.func) in _LEAVING

    def is_under_guard(self, node: cst.CSTNode) -> bool:
        """As :meth:`is_guarded`, for the block of a guard only: not what an earlier exit spares."""
        child = self.runs(node, CHILD, exits=False)
        return child is False and self.runs(node, PROGRAM, exits=False) is not False

    def is_guard(self, test: cst.CSTNode) -> bool:
        """True if a test holds in the main program only (``__name__ == "__main__"``)."""
        return self.truths.of(test, CHILD) is False and self.truths.of(test, PROGRAM) is not False

    def is_frozen_only(self, node: cst.CSTNode) -> bool:
        """True if ``node`` runs in a frozen program only: ``if getattr(sys, "frozen", False):``."""
        return self.runs(node, NOT_FROZEN) is False and self.runs(node, FROZEN) is not False

    def depends_on_platform(self, node: cst.CSTNode, *, exits: bool = True) -> bool:
        """True if ``node`` runs on some platforms only."""
        return any(self.runs(node, world, exits=exits) is False for world in PLATFORMS.values())

    def runs(self, node: cst.CSTNode, world: World, *, exits: bool = True) -> bool | None:
        """``False`` if ``node`` can't be reached in its function in ``world``, else ``None``.

        ``exits``: an earlier statement that leaves the block counts.
        """
        child = node
        for parent in self._tree.ancestors(node):
            if type(parent) is cst.Module or type(parent) is cst.IndentedBlock:
                if exits and self._left_before(parent, child, world):
                    return False
                return self._block_runs(parent, world, exits)
            if type(parent) in _BARRING:
                if self._bars(parent, child, world):
                    return False
            elif type(parent) is cst.FunctionDef or type(parent) is cst.Lambda:
                if child is parent.body:
                    return None
            child = parent
        return None

    def _block_runs(
        self, block: cst.Module | cst.IndentedBlock, world: World, exits: bool
    ) -> bool | None:
        """As :meth:`runs`, for a block: many nodes are in the same one."""
        key = (block, id(world), exits)
        known = self._blocks.get(key)
        if known is None:
            known = self._blocks[key] = (self.runs(block, world, exits=exits), world)
        return known[0]

    def _bars(self, parent: cst.CSTNode, child: cst.CSTNode, world: World) -> bool:
        if isinstance(parent, (cst.If, cst.IfExp)):
            if child is parent.body:
                return self.truths.of(parent.test, world) is False
            if child is parent.orelse:
                return self.truths.of(parent.test, world) is True
        elif isinstance(parent, cst.While):
            return child is parent.body and self.truths.of(parent.test, world) is False
        elif isinstance(parent, cst.BooleanOperation):
            if child is parent.right:
                wanted = not isinstance(parent.operator, cst.And)
                return self.truths.of(parent.left, world) is wanted
        elif isinstance(parent, cst.MatchCase):
            return child is parent.body and self._case_bars(parent, world)
        return False

    def _left_before(
        self, block: cst.Module | cst.IndentedBlock, child: cst.CSTNode, world: World
    ) -> bool:
        """Does an earlier statement of the block leave it in ``world`` (``if …: return``)?"""
        key = (block, id(world))
        known = self._leaving.get(key)
        if known is None:
            known = self._leaving[key] = (self._first_leaving(block, world), world)
        return known[0] < self._positions(block).get(child, 0)

    def _positions(self, block: cst.Module | cst.IndentedBlock) -> dict[cst.CSTNode, int]:
        """Where in a block its statements stand."""
        known = self._places.get(block)
        if known is None:
            known = self._places[block] = {child: i for i, child in enumerate(block.body)}
        return known

    def _first_leaving(self, block: cst.Module | cst.IndentedBlock, world: World) -> int:
        """The place of the first ``if`` or ``assert`` in a block that leaves it in ``world``."""
        for place, statement in enumerate(block.body):
            if any(self.truths.of(test, world) is False for test in _asserted(statement)):
                return place
            branch: cst.CSTNode | None = statement
            while isinstance(branch, cst.If):
                truth = self.truths.of(branch.test, world)
                if truth is True:
                    if self._leaves(branch.body):
                        return place
                    break
                if truth is None:
                    break
                branch = branch.orelse
            else:
                if isinstance(branch, cst.Else) and self._leaves(branch.body):
                    return place
        return len(block.body)

    def _guarding(
        self, block: cst.Module | cst.IndentedBlock
    ) -> list[tuple[int, cst.BaseExpression, bool]]:
        """The tests of a block by which it is left early: their places, and how they go on."""
        known = self._early.get(block)
        if known is None:
            known = self._early[block] = []
            for place, statement in enumerate(block.body):
                if isinstance(statement, cst.If) and self._leaves(statement.body):
                    known.append((place, statement.test, False))
                known += [(place, test, True) for test in _asserted(statement)]
        return known

    def holding(self, node: cst.CSTNode) -> Iterator[tuple[cst.BaseExpression, bool]]:
        """The tests of its function that have come out so where ``node`` is reached.

        Those around it, and those whose block leaves earlier: after ``if not n: return`` the test
        was false, after ``assert n`` it was true. Of very many around it only the nearest count.
        """
        around = 0
        child = node
        for parent in self._tree.ancestors(node):
            if type(parent) not in _SAYING:
                child = parent
                continue
            if isinstance(parent, (cst.If, cst.IfExp, cst.While)):
                around += 1
                if around > MOST_AROUND:
                    return
                if child is parent.body:
                    yield parent.test, True
                elif child is parent.orelse and not isinstance(parent, cst.While):
                    yield parent.test, False
            elif isinstance(parent, cst.BooleanOperation) and child is parent.right:
                yield parent.left, isinstance(parent.operator, cst.And)
            elif isinstance(parent, (cst.Module, cst.IndentedBlock)):
                place = self._positions(parent).get(child, 0)
                tests = self._guarding(parent)
                before = bisect.bisect_left(tests, place, key=lambda entry: entry[0])
                for _, test, truth in tests[max(0, before - MOST_EARLIER) : before]:
                    yield test, truth
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)) and child is parent.body:
                return
            child = parent

    def leaves(self, suite: cst.BaseSuite) -> bool:
        """True if a block always ends by leaving: ``return``, ``raise``, ``sys.exit()`` …"""
        return self._leaves(suite)

    def is_to_fail(self, node: cst.CSTNode) -> bool:
        """True in the block of a test that wants an error: the program goes as it should."""
        blocks = self._blocks_that_want_errors
        return bool(blocks) and any(parent in blocks for parent in self._tree.ancestors(node))

    @cached_property
    def _blocks_that_want_errors(self) -> set[cst.CSTNode]:
        return {block for block in self._tree.nodes(cst.With) if self._enters(block, _WANTING)}

    def never_runs(self, node: cst.CSTNode) -> bool:
        """True for what nothing leads to: the block of an ``if False:``, a line after a return."""
        current: cst.CSTNode | None = node
        while current is not None:
            function = self._tree.function_of(current)
            if not self._evaluator.names.data_flow(function).is_reachable(current):
                return True
            current = function.node if function.parent is not None else None
        return False

    def expects(self, node: cst.CSTNode, error: str) -> bool:
        """True if the code around ``node`` catches just this error: it is asked for, or tested."""
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.Try, cst.TryStar)) and child is parent.body:
                for handler in parent.handlers:
                    if error in self._caught(handler.type):
                        return True
            elif isinstance(parent, cst.With):
                if self._enters(parent, _WANTING | {"suppress"}):
                    return True
            elif isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
            child = parent
        return False

    def _enters(self, block: cst.With, names: frozenset[str]) -> bool:
        """Does a ``with`` statement call something of one of these names?"""
        calls = map(self._tree.entered, block.items)
        return any(
            isinstance(call, cst.Call) and dotted_name(call.func).rpartition(".")[2] in names
            for call in calls
        )

    @staticmethod
    def _caught(types: cst.BaseExpression | None) -> set[str]:
        if isinstance(types, cst.Tuple):
            return {dotted_name(element.value) for element in types.elements}
        return {dotted_name(types)}

    def _leaves(self, suite: cst.BaseSuite) -> bool:
        """Does a block always end by leaving: ``return``, ``raise``, ``sys.exit()`` …?"""
        if not suite.body:
            return False
        last: cst.CSTNode = suite.body[-1]
        if isinstance(last, cst.SimpleStatementLine):
            last = last.body[-1]
        if isinstance(last, (cst.Return, cst.Raise, cst.Break, cst.Continue)):
            return True
        if isinstance(last, cst.If):
            return (
                isinstance(last.orelse, cst.Else)
                and self._leaves(last.body)
                and self._leaves(last.orelse.body)
            )
        return (
            isinstance(last, cst.Expr)
            and isinstance(last.value, cst.Call)
            and self._tree.qualified(last.value.func) in _LEAVING
        )

    def _case_bars(self, case: cst.MatchCase, world: World) -> bool:
        match = self._tree.parent(case)
        if not isinstance(match, cst.Match):
            return False
        subject = self.truths.constant(match.subject, world)
        if subject is UNDECIDED:
            return False
        for other in match.cases:
            matches = _pattern_matches(other.pattern, subject)
            if other is case:
                return matches is False
            if matches is True and other.guard is None:
                return True
        return False


_BARRING: frozenset[type] = frozenset(
    {cst.If, cst.IfExp, cst.While, cst.BooleanOperation, cst.MatchCase}
)
_SAYING = _BARRING | {cst.Module, cst.IndentedBlock, cst.FunctionDef, cst.Lambda}
"""What has tests that hold, or do not hold, for what is inside."""


def _asserted(statement: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """The tests of the ``assert`` statements on one line of a block."""
    if type(statement) is cst.SimpleStatementLine:
        for small in statement.body:
            if type(small) is cst.Assert:
                yield small.test


def _pattern_matches(pattern: cst.MatchPattern, subject: object) -> bool | None:
    if isinstance(pattern, cst.MatchValue):
        value = pattern.value
        if isinstance(value, (cst.SimpleString, cst.ConcatenatedString, cst.Integer)):
            return value.evaluated_value == subject
        return None
    if isinstance(pattern, cst.MatchOr):
        answers = {_pattern_matches(part.pattern, subject) for part in pattern.patterns}
        if True in answers:
            return True
        return None if None in answers else False
    if isinstance(pattern, cst.MatchAs) and pattern.pattern is None:
        return True
    return None
