"""EOF loops: loops that read from a pipe until an ``EOFError``, and end by nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.model.execution.caught import takers_of
from flake8_mppitfalls.syntax.flow import constant_truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program

    Loop: TypeAlias = cst.For | cst.While
    Handler: TypeAlias = cst.ExceptHandler | cst.ExceptStarHandler

READING = frozenset({"recv", "recv_bytes", "recv_bytes_into"})
_REMOVING = frozenset({"remove", "discard", "pop", "clear", "unregister"})
_TAKING_UP = frozenset("list tuple set sorted sum max min collections.Counter".split())
_LEAVING = frozenset({"sys.exit", "exit", "quit", "os._exit"})


class EofLoops:
    """Answers for one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree

    def around(self, read: cst.Call) -> cst.While | None:
        """The loop that ``read`` goes on in until there is an ``EOFError``."""
        loops = list(self._loops_around(read))
        if not loops:
            return None
        taker = next(takers_of(self._tree, read, "EOFError"), None)
        if taker is None:
            return None
        loop = loops[0]
        if isinstance(loop, cst.For):
            # for conn in wait(readers): … within the loop that goes on while there are readers
            loop = next((outer for outer in loops if isinstance(outer, cst.While)), loop)
        if not isinstance(loop, cst.While) or self._leaves_in_callers(read):
            return None
        inside = self._tree.is_within(taker, loop)
        handler = taker if not isinstance(taker, cst.WithItem) else None
        if inside and not self._ends_loop(handler, loop, loops[0]):
            return None
        if not inside and constant_truth(loop.test) is not True:
            return None
        if self._has_other_end(loop, handler if inside else None):
            return None
        return loop

    def _loops_around(self, node: cst.CSTNode) -> Iterator[Loop]:
        for loop in self._program.loops.around(node):
            if isinstance(loop, (cst.For, cst.While)) and self._tree.is_within(node, loop.body):
                yield loop

    # -- the handler ---------------------------------------------------------------------------

    def _ends_loop(self, handler: Handler | None, loop: cst.While, inner: Loop) -> bool:
        """Does the handler end the loop: by leaving it, or by what its test asks?"""
        if handler is None:
            return False
        if any(isinstance(n, cst.Raise) for n in self._tree.walk(handler.body)):
            return False
        if constant_truth(loop.test) is True:
            return any(
                self._leaves(node, handler, inner is loop) for node in self._tree.walk(handler)
            )
        return self._changes_test(handler, loop)

    def _leaves(self, node: cst.CSTNode, block: cst.CSTNode, breaks: bool) -> bool:
        if isinstance(node, cst.Break):
            return breaks and not self._is_in_inner_loop(node, block)
        return isinstance(node, cst.Return) or (
            isinstance(node, cst.Call) and self._tree.qualified(node.func) in _LEAVING
        )

    def _is_in_inner_loop(self, node: cst.CSTNode, block: cst.CSTNode) -> bool:
        for parent in self._tree.ancestors(node):
            if parent is block:
                return False
            if isinstance(parent, (cst.For, cst.While)):
                return True
        return False

    def _changes_test(self, block: cst.CSTNode, loop: cst.While) -> bool:
        """``running = False`` or ``readers.remove(conn)``, where the loop asks for that name."""
        names = [n for n in self._tree.walk(loop.test) if isinstance(n, (cst.Name, cst.Attribute))]
        for node in self._tree.walk(block):
            changed: list[cst.BaseExpression] = []
            if isinstance(node, cst.Assign):
                changed = [target.target for target in node.targets]
            elif isinstance(node, cst.AugAssign):
                changed = [node.target]
            elif isinstance(node, cst.Del) and isinstance(node.target, cst.Subscript):
                changed = [node.target.value]
            elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
                if node.func.attr.value in _REMOVING:
                    changed = [node.func.value]
            if any(c.deep_equals(name) for c in changed for name in names):
                return True
        return False

    # -- other ends ----------------------------------------------------------------------------

    def _has_other_end(self, loop: cst.While, handler: Handler | None) -> bool:
        """Is there another way out of the loop: a sentinel, a count, a test of a process?"""
        if constant_truth(loop.test) is not True and not self._is_plain(loop.test):
            return True
        for node in self._tree.walk(loop.body):
            if handler is not None and self._tree.is_within(node, handler):
                continue
            if isinstance(node, cst.Raise):
                return True
            if isinstance(node, cst.Break):
                if self._loop_of(node) is loop:
                    return True
            elif isinstance(node, cst.Return) or self._leaves(node, loop, False):
                return True
        if constant_truth(loop.test) is True:
            return False
        return any(
            self._changes_test(statement, loop)
            for statement in self._statements(loop.body)
            if handler is None or not self._tree.is_within(statement, handler)
        )

    def _is_plain(self, test: cst.BaseExpression) -> bool:
        """A name, or its length: nothing that others decide."""
        if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
            test = test.expression
        if isinstance(test, cst.Call) and self._tree.qualified(test.func) == "len" and test.args:
            test = test.args[0].value
        return isinstance(test, (cst.Name, cst.Attribute))

    def _loop_of(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return next(self._loops_around(node), None)

    def _statements(self, body: cst.CSTNode) -> Iterator[cst.CSTNode]:
        for node in self._tree.walk(body):
            if isinstance(node, cst.BaseSmallStatement):
                yield node

    def _leaves_in_callers(self, read: cst.Call) -> bool:
        """May the caller of a generator stop before its end: ``for m in messages(): … break``?"""
        owner = self._program.paths.owner(read)
        if not isinstance(owner, cst.FunctionDef) or not self._tree.scopes[owner].is_generator:
            return False
        for site in self._program.references.calls(owner):
            loop = self._tree.parent(site.call)
            if self._is_taken_up(loop):
                continue
            if not isinstance(loop, (cst.For, cst.CompFor)):
                return True
            if isinstance(loop, cst.For):
                if any(
                    isinstance(n, (cst.Break, cst.Return, cst.Raise))
                    for n in self._tree.walk(loop.body)
                ):
                    return True
        return False

    def _is_taken_up(self, parent: cst.CSTNode | None) -> bool:
        """``list(messages())``"""
        call = self._tree.parent(parent) if isinstance(parent, cst.Arg) else None
        return isinstance(call, cst.Call) and self._tree.qualified(call.func) in _TAKING_UP
