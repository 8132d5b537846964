"""Locking: is a place reached only while a lock is held?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    Generator,
    Instance,
    Made,
    Member,
    Result,
    ResultMember,
)
from flake8_mppitfalls.syntax.dataflow import always_passes

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value
    from flake8_mppitfalls.syntax.flow import Point
    from flake8_mppitfalls.syntax.scopes import Scope

LOCK_KINDS = frozenset({api.Kind.LOCK, api.Kind.SEMAPHORE, api.Kind.CONDITION})
_WITH_LOCK = frozenset({api.Kind.VALUE, api.Kind.ARRAY})
"""A ``Value`` or ``Array`` is a context manager for its own lock."""
PROXIED_LOCKS = frozenset({"Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"})
_DEEPEST = 5


class Locking:
    """Answers which places of one module are reached under a lock."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._known: dict[Scope, tuple[set[Point], set[Point]]] = {}

    def is_held(self, node: cst.CSTNode, depth: int = 0) -> bool:
        """True if a lock is held at ``node``, here or by all callers; or may be."""
        if self._in_with(node) or self._is_acquired(node):
            return True
        function = next(self._program.sides.functions_around(node), None)
        if not isinstance(function, cst.FunctionDef) or depth > _DEEPEST:
            return False
        if self._is_synchronized(function):
            return True
        if any(entry.function is function for entry in self._program.sides.entries()):
            return False
        calls = self._program.references.calls(function)
        return bool(calls) and all(self.is_held(site.call, depth + 1) for site in calls)

    def _in_with(self, node: cst.CSTNode) -> bool:
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
            if isinstance(parent, cst.With):
                before = [
                    i for i in parent.items if i is not child and not self._is_after(i, child)
                ]
                if any(self.may_be_lock(item.item) for item in before):
                    return True
            child = parent
        return False

    def _is_after(self, item: cst.WithItem, child: cst.CSTNode) -> bool:
        """Is an item entered only after ``child``, an item of the same ``with``?"""
        return isinstance(child, cst.WithItem) and self._tree.before(child, item)

    def may_be_lock(self, node: cst.CSTNode) -> bool:
        """True for what is a lock, and for what the file does not say."""
        values = self._program.values(node)
        return not values or any(self._is_lock(value) for value in values)

    def _is_lock(self, value: Value) -> bool:
        if value is UNKNOWN or isinstance(value, (Generator, Instance, Member, ResultMember)):
            return True
        if isinstance(value, Made):
            if value.kind is api.Kind.PROXY:
                return value.name in PROXIED_LOCKS
            return value.kind in LOCK_KINDS | _WITH_LOCK
        if isinstance(value, Result):
            name = value.name.lower()
            return any(word in name for word in ("lock", "semaphore", "condition", "mutex"))
        return False

    def _is_synchronized(self, function: cst.FunctionDef) -> bool:
        """Is the function under a decorator that takes a lock, to go by its name?"""
        names = decorator_names(self._tree, function)
        return any("lock" in name.lower() or "synchron" in name.lower() for name in names)

    def _is_acquired(self, node: cst.CSTNode) -> bool:
        """Does every path to ``node`` pass an ``acquire()`` with no ``release()`` after it?"""
        scope = self._tree.function_of(node)
        acquired, released = self._points(scope)
        if not acquired:
            return False
        flow = self._program.names.flow(scope)
        return always_passes(flow, flow.points_of(node), acquired, undone_by=released)

    def _points(self, scope: Scope) -> tuple[set[Point], set[Point]]:
        """Where locks are acquired, and where they are released, in one function."""
        known = self._known.get(scope)
        if known is None:
            flow = self._program.names.flow(scope)
            known = self._known[scope] = (set(), set())
            for number, method in enumerate(("acquire", "release", "enter_context")):
                for call in self._tree.calls_in(scope, method):
                    lock: cst.CSTNode | None = None
                    if method == "enter_context":
                        lock = call.args[0].value if call.args else None
                    elif isinstance(call.func, cst.Attribute):
                        lock = call.func.value
                    if lock is None or not self.may_be_lock(lock):
                        continue
                    known[number % 2].update(flow.points_of(call))
                    if method == "acquire":
                        known[0].update(flow.points_of(self._asked(lock, call)))
        return known

    def _asked(self, lock: cst.CSTNode, call: cst.Call) -> cst.CSTNode:
        """``if lock is not None:`` before ``lock.acquire()``: where there is none, none is held."""
        for parent in self._tree.ancestors(call):
            if isinstance(parent, cst.If) and parent.orelse is None:
                if any(node.deep_equals(lock) for node in self._tree.walk(parent.test)):
                    return parent.test
            if isinstance(parent, cst.BaseCompoundStatement):
                break
        return call
