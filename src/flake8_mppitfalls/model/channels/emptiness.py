"""Emptiness: where it decides about the way on that a queue is empty now.

``while not q.empty():``, ``if q.empty(): break``, ``range(q.qsize())`` and what amounts to these:
through ``not``, comparisons with 0, ``and`` and ``or``, names, and functions of the module that
return it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import Made
from flake8_mppitfalls.syntax.flow import constant_truth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

    from flake8_mppitfalls.model.program import Program

DEEPEST = 5
"""How many names and calls are followed from the question to its use."""

_LEAVING_NAMES = frozenset({"exit", "quit", "_exit", "abort", "fail"})


@dataclass(frozen=True, slots=True)
class Decision:
    """One use of ``q.empty()`` or ``q.qsize()`` that decides about the way on.

    Attributes:
        call: the question.
        node: the test, loop, ``assert`` or ``return`` that it decides.
        loop: the loop that ends where the queue is empty; ``None`` where a function is left, or
            an error is raised.
        others: what has to be so, too, for it to end.
    """

    call: cst.Call
    node: cst.CSTNode
    loop: cst.CSTNode | None
    others: tuple[cst.BaseExpression, ...] = ()


@dataclass(frozen=True, slots=True)
class _Said:
    """An expression that tells about emptiness.

    ``truth``: what it is where the queue is empty, if ``others`` are as false as it needs.
    """

    node: cst.CSTNode
    truth: bool
    others: tuple[cst.BaseExpression, ...] = ()


class Emptiness:
    """Answers for one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree

    def questions(self) -> Iterator[cst.Call]:
        """The calls of ``empty()`` and ``qsize()`` of a queue that processes share."""
        for name in ("empty", "qsize"):
            for call in self._tree.calls_of.get(name, ()):
                if self.queues(call):
                    yield call

    def queues(self, call: cst.Call) -> list[Made]:
        """The queues that a call is made on: of processes, or of a manager."""
        if not isinstance(call.func, cst.Attribute):
            return []
        return [v for v in self._program.values(call.func.value) if is_shared_queue(v)]

    def decisions(self, call: cst.Call) -> Iterator[Decision]:
        """What one such call decides about."""
        assert isinstance(call.func, cst.Attribute)
        if call.func.attr.value == "qsize":
            yield from self._counted(call, call, 0)
            said = self._compared(call)
        else:
            said = _Said(call, True)
        if said is not None:
            yield from self._followed(call, said, 0)

    # -- expressions ---------------------------------------------------------------------------

    def _compared(self, call: cst.CSTNode) -> _Said | None:
        """What a size tells: itself as a truth value, or compared with 0 or 1."""
        parent = self._tree.parent(call)
        while isinstance(parent, cst.NamedExpr):
            call, parent = parent, self._tree.parent(parent)
        if isinstance(parent, cst.ComparisonTarget):
            parent = self._tree.parent(parent)
        if not isinstance(parent, cst.Comparison):
            return _Said(call, False)
        if len(parent.comparisons) != 1:
            return None
        target = parent.comparisons[0]
        swapped = target.comparator is call
        other = parent.left if swapped else target.comparator
        if not isinstance(other, cst.Integer):
            return None
        operator: type[cst.BaseCompOp] = type(target.operator)
        if swapped:
            operator = _SWAPPED.get(operator, operator)
        truth = _SIZES.get((operator, other.evaluated_value))
        return None if truth is None else _Said(parent, truth)

    def _followed(self, call: cst.Call, said: _Said, depth: int) -> Iterator[Decision]:
        """Go on from an expression to what is decided by it."""
        if depth > DEEPEST:
            return
        node = said.node
        parent = self._tree.parent(node)
        if isinstance(parent, cst.UnaryOperation) and isinstance(parent.operator, cst.Not):
            yield from self._followed(call, _Said(parent, not said.truth, said.others), depth)
        elif isinstance(parent, cst.BooleanOperation):
            yield from self._followed(call, _joined(parent, said), depth)
        elif isinstance(parent, (cst.Comparison, cst.ComparisonTarget)):
            compared = self._truth_compared(node, parent, said)
            if compared is not None:
                yield from self._followed(call, compared, depth)
        elif isinstance(parent, cst.NamedExpr):
            yield from self._followed(call, _Said(parent, said.truth, said.others), depth)
            yield from self._named(call, parent.target, said, depth)
        elif isinstance(parent, (cst.Assign, cst.AnnAssign)):
            for target in _targets(parent):
                yield from self._named(call, target, said, depth)
        elif isinstance(parent, cst.Return):
            yield from self._returned(call, parent, said, depth)
        elif isinstance(parent, cst.Arg):
            yield from self._given(call, parent, said, depth)
        elif isinstance(parent, cst.While):
            if node is parent.test and said.truth is False:
                yield Decision(call, parent, parent, said.others)
        elif isinstance(parent, cst.If):
            if node is parent.test:
                yield from self._branched(call, parent, said)
        elif isinstance(parent, cst.IfExp):
            yield from self._chosen(call, parent, said)
        elif isinstance(parent, cst.Assert):
            if node is parent.test and said.truth:
                yield Decision(call, parent, None, said.others)

    def _truth_compared(self, node: cst.CSTNode, parent: cst.CSTNode, said: _Said) -> _Said | None:
        """``q.empty() is False``"""
        comparison = parent
        if isinstance(parent, cst.ComparisonTarget):
            above = self._tree.parent(parent)
            comparison = above if above is not None else parent
        if not isinstance(comparison, cst.Comparison) or len(comparison.comparisons) != 1:
            return None
        target = comparison.comparisons[0]
        other = comparison.left if target.comparator is node else target.comparator
        known = constant_truth(other)
        if known is None or not isinstance(other, cst.Name):
            return None
        if isinstance(target.operator, (cst.Is, cst.Equal)):
            return _Said(comparison, said.truth is known, said.others)
        if isinstance(target.operator, (cst.IsNot, cst.NotEqual)):
            return _Said(comparison, said.truth is not known, said.others)
        return None

    def _named(
        self, call: cst.Call, target: cst.BaseExpression, said: _Said, depth: int
    ) -> Iterator[Decision]:
        """``idle = q.empty()``: the places that read the name."""
        binding = self._tree.binding_at(target)
        if binding is None:
            return
        for load in self._program.names.reads_of(binding):
            yield from self._followed(call, _Said(load, said.truth, said.others), depth + 1)

    def _returned(
        self, call: cst.Call, statement: cst.Return, said: _Said, depth: int
    ) -> Iterator[Decision]:
        """``return q.empty()``: the calls of the function."""
        function = self._tree.function_of(statement).node
        for site in self._program.references.calls(function):
            yield from self._followed(call, _Said(site.call, said.truth, said.others), depth + 1)

    def _given(self, call: cst.Call, arg: cst.Arg, said: _Said, depth: int) -> Iterator[Decision]:
        outer = self._tree.parent(arg)
        if not isinstance(outer, cst.Call):
            return
        if self._tree.qualified(outer.func) == "bool":
            yield from self._followed(call, _Said(outer, said.truth, said.others), depth)
        elif isinstance(outer.func, cst.Attribute) and said.truth:
            if outer.func.attr.value == "assertTrue" and outer.args[0] is arg:
                yield Decision(call, outer, None, said.others)

    def _counted(self, call: cst.Call, node: cst.CSTNode, depth: int) -> Iterator[Decision]:
        """``for _ in range(q.qsize())``, through a name, too."""
        parent = self._tree.parent(node)
        if depth > DEEPEST:
            return
        if isinstance(parent, cst.Arg):
            outer = self._tree.parent(parent)
            if isinstance(outer, cst.Call) and self._tree.qualified(outer.func) == "range":
                loop = self._tree.parent(outer)
                if isinstance(loop, (cst.For, cst.CompFor)) and outer is loop.iter:
                    yield Decision(call, loop, loop)
        elif isinstance(parent, (cst.Assign, cst.AnnAssign, cst.NamedExpr)):
            if isinstance(parent, cst.NamedExpr):
                yield from self._counted(call, parent, depth + 1)
            for target in _targets(parent):
                binding = self._tree.binding_at(target)
                reads = self._program.names.reads_of(binding) if binding is not None else ()
                for load in reads:
                    yield from self._counted(call, load, depth + 1)
                    said = self._compared(load)
                    if said is not None:
                        yield from self._followed(call, said, depth + 1)

    # -- statements ----------------------------------------------------------------------------

    def _branched(self, call: cst.Call, statement: cst.If, said: _Said) -> Iterator[Decision]:
        """``if q.empty(): break``, ``if not q.empty(): … else: return``"""
        block: cst.BaseSuite | None = statement.body
        if not said.truth:
            orelse = statement.orelse
            block = orelse.body if isinstance(orelse, cst.Else) else None
            if orelse is None and _last(statement.body) in (cst.Continue, cst.Return):
                rest = self._rest(statement)
                if len(rest) == 1 and _kind(rest[0]) in (cst.Break, cst.Return, cst.Raise):
                    yield self._decided(call, statement, _kind(rest[0]), said)
                return
        if block is None:
            return
        last = _last(block)
        if last in (cst.Break, cst.Return, cst.Raise):
            yield self._decided(call, statement, last, said)
        else:
            loop = self._loop_around(statement)
            if isinstance(loop, cst.While) and self._ends_by_flag(block, loop):
                yield Decision(call, statement, loop, said.others)

    def _decided(
        self, call: cst.Call, statement: cst.CSTNode, last: type[cst.CSTNode] | None, said: _Said
    ) -> Decision:
        loop = self._loop_around(statement) if last in (cst.Break, cst.Return) else None
        return Decision(call, statement, loop, said.others)

    def _chosen(self, call: cst.Call, choice: cst.IfExp, said: _Said) -> Iterator[Decision]:
        """``return q.get() if not q.empty() else None``"""
        statement = self._tree.parent(choice)
        if isinstance(statement, cst.Return) and said.node is choice.test:
            yield Decision(call, statement, self._loop_around(statement), said.others)

    def _loop_around(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return next(self._program.loops.around(node), None)

    def _rest(self, statement: cst.CSTNode) -> list[cst.CSTNode]:
        """The statements behind one in its block."""
        block = self._tree.parent(statement)
        if not isinstance(block, (cst.IndentedBlock, cst.Module)):
            return []
        found = False
        rest: list[cst.CSTNode] = []
        for other in block.body:
            if found:
                rest.append(other)
            found = found or other is statement
        return rest

    def _ends_by_flag(self, block: cst.BaseSuite, loop: cst.While) -> bool:
        """``running = False`` where the loop is ``while running:``"""
        test, wanted = loop.test, False
        if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
            test, wanted = test.expression, True
        if not isinstance(test, (cst.Name, cst.Attribute)):
            return False
        for node in self._tree.walk(block):
            if isinstance(node, cst.Assign) and constant_truth(node.value) is wanted:
                if any(target.target.deep_equals(test) for target in node.targets):
                    return True
        return False


def is_shared_queue(value: object) -> TypeGuard[Made]:
    """True for a queue of processes, or of a manager."""
    if not isinstance(value, Made):
        return False
    if value.kind is api.Kind.QUEUE:
        return True
    return value.kind is api.Kind.PROXY and value.name in ("Queue", "JoinableQueue")


def _targets(
    assignment: cst.Assign | cst.AnnAssign | cst.NamedExpr,
) -> list[cst.BaseExpression]:
    if isinstance(assignment, cst.Assign):
        return [target.target for target in assignment.targets]
    return [assignment.target]


def _joined(parent: cst.BooleanOperation, said: _Said) -> _Said:
    """What ``and`` and ``or`` make of it: alone, or only together with the other operand."""
    other = parent.left if said.node is parent.right else parent.right
    if said.truth is isinstance(parent.operator, cst.Or):
        return _Said(parent, said.truth, said.others)
    return _Said(parent, said.truth, (*said.others, other))


def _last(block: cst.BaseSuite) -> type[cst.CSTNode] | None:
    """What a block ends with, if it is left there."""
    return _kind(block.body[-1]) if block.body else None


def _kind(statement: cst.CSTNode) -> type[cst.CSTNode] | None:
    if isinstance(statement, cst.SimpleStatementLine):
        statement = statement.body[-1]
    if isinstance(statement, (cst.Break, cst.Continue, cst.Return, cst.Raise)):
        return type(statement)
    if isinstance(statement, cst.Expr) and isinstance(statement.value, cst.Call):
        func = statement.value.func
        name = func.attr.value if isinstance(func, cst.Attribute) else getattr(func, "value", "")
        if name in _LEAVING_NAMES:
            return cst.Raise
    return None


_SIZES: dict[tuple[type[cst.BaseCompOp], int], bool] = {
    (cst.GreaterThan, 0): False,
    (cst.GreaterThanEqual, 1): False,
    (cst.NotEqual, 0): False,
    (cst.Equal, 0): True,
    (cst.LessThan, 1): True,
    (cst.LessThanEqual, 0): True,
}
"""How a comparison of the size comes out where the queue is empty."""
_SWAPPED: dict[type[cst.BaseCompOp], type[cst.BaseCompOp]] = {
    cst.LessThan: cst.GreaterThan,
    cst.LessThanEqual: cst.GreaterThanEqual,
    cst.GreaterThan: cst.LessThan,
    cst.GreaterThanEqual: cst.LessThanEqual,
}
