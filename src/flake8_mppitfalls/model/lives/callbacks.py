"""Callbacks: what a pool's result thread calls when a task is done.

``callback=`` and ``error_callback=`` of the ``*_async`` methods run in the one thread of the parent
that takes the results. What they let out ends that thread; what they wait for must not need it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.runs import Unit
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    External,
    Instance,
    Made,
    Member,
    Partial,
    Result,
)
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

DEEPEST = 6
"""How many calls deep a callback is followed."""
MOST_UNITS = 60
"""So many functions of one callback are looked into."""

_POOLS = (api.Kind.POOL, api.Kind.THREAD_POOL)
_OF_MAIN_THREAD = frozenset({"KeyboardInterrupt", "GeneratorExit", "SystemExit"})
"""What comes to a callback only if its own code raises it."""
_EXITS = frozenset({"sys.exit", "exit", "quit"})


class Callback(NamedTuple):
    """A callable of this module that a pool calls back.

    Attributes:
        task: the call that hands it over.
        slot: ``callback`` or ``error_callback``.
        node: the expression.
        functions: what runs then.
    """

    task: Task
    slot: str
    node: cst.BaseExpression
    functions: tuple[cst.CSTNode, ...]


class Ending(NamedTuple):
    """A call by which a callback ends the pool that calls it.

    ``method`` is ``terminate`` or ``join``.
    """

    call: cst.Call
    method: str
    pool: Made
    callback: Callback


class Callbacks:
    """The callbacks of the pools of one file."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree

    @cached_property
    def all(self) -> list[Callback]:
        """The callbacks of tasks of pools, of processes and of threads."""
        found = []
        for task in self._program.tasks:
            if task.gives is not api.Kind.ASYNC_RESULT or not task.receivers:
                continue
            if any(m.kind not in _POOLS or m.flavour == "billiard" for m in task.receivers):
                continue  # billiard takes the errors of callbacks
            for slot in api.CALLBACKS:
                node = task.argument(slot)
                if node is not None:
                    functions = tuple(self._functions(self._program.values(node)))
                    if functions:
                        found.append(Callback(task, slot, node, functions))
        return found

    def _functions(self, values: Iterable[Value]) -> Iterator[cst.CSTNode]:
        """The functions that run at once when one of the values is called."""
        for value in values:
            if isinstance(value, Partial):
                yield from self._functions(value.targets)
                continue
            for function in self._program.sides.functions((value,)):
                if isinstance(function, cst.FunctionDef):
                    if self._program.evaluator.calls.is_opaque(function):
                        continue
                    lazy = self._tree.scopes[function].is_generator
                    if lazy or function.asynchronous is not None:
                        continue
                yield function

    # -- errors --------------------------------------------------------------------------------

    def escape(self, callback: Callback) -> tuple[cst.CSTNode, str] | None:
        """Where an exception leaves the callback, and what it is called."""
        for function in callback.functions:
            for escape in self._program.escapes.of(function):
                if self._is_of_main_thread(escape.node):
                    continue
                return escape.node, self._error(escape.value, escape.node)
            again = self._raises_its_own(callback, function)
            again = again or self._raised_again(function, 0, set())
            if again is not None:
                return again, "the exception"
            for call in self._calls(function, 0, set()):
                if self._tree.qualified(call.func) in _EXITS:
                    if not self._program.escapes.is_caught(call, External("SystemExit")):
                        return call, "SystemExit"
        return None

    def _raises_its_own(self, callback: Callback, function: cst.CSTNode) -> cst.CSTNode | None:
        """``raise error`` in an error callback, where no handler takes what the task raises."""
        if callback.slot != "error_callback":
            return None
        escapes = self._program.escapes
        errors = [
            escape.value
            for worker in self._functions(self._program.values(callback.task.callable))
            for escape in escapes.of(worker)
        ]
        for node in self._tree.walk(function):
            if isinstance(node, cst.Raise) and isinstance(node.exc, cst.Name):
                bindings = self._program.names.bindings(node.exc)
                if bindings and all(b.kind is Bound.PARAMETER for b in bindings):
                    if any(not escapes.is_caught(node, error) for error in errors):
                        return node
        return None

    def _raised_again(
        self, function: cst.CSTNode, depth: int, seen: set[cst.CSTNode]
    ) -> cst.CSTNode | None:
        """A bare ``raise`` that leaves the function; outside of a handler it is an error itself."""
        if function in seen or depth > DEEPEST:
            return None
        seen.add(function)
        caught = self._program.escapes.is_caught
        for node in self._tree.walk(function):
            if isinstance(node, cst.Raise) and node.exc is None and not caught(node, UNKNOWN):
                if not self._is_of_main_thread(node):
                    return node
            if isinstance(node, cst.Call) and not caught(node, UNKNOWN):
                for called in self._functions(self._program.values(node.func)):
                    found = self._raised_again(called, depth + 1, seen)
                    if found is not None:
                        return found
        return None

    def _is_of_main_thread(self, node: cst.Raise) -> bool:
        """Is it in ``except KeyboardInterrupt:``? No other thread than the main one gets that."""
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.ExceptHandler, cst.ExceptStarHandler)):
                types = parent.type
                parts = (
                    [element.value for element in types.elements]
                    if isinstance(types, (cst.Tuple, cst.List))
                    else [types]
                )
                return _OF_MAIN_THREAD.issuperset(map(self._tree.qualified, parts))
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
        return False

    def _error(self, value: Value, node: cst.Raise) -> str:
        if isinstance(value, Instance):
            return value.cls.name.value
        if isinstance(value, (Result, External)):
            return value.name
        named = node.exc.func if isinstance(node.exc, cst.Call) else node.exc
        return self._program.source(named, "an exception") if named is not None else "an exception"

    def _calls(
        self, function: cst.CSTNode, depth: int, seen: set[cst.CSTNode]
    ) -> Iterator[cst.Call]:
        """The calls that a function makes, itself and through functions of this module."""
        if function in seen or depth > DEEPEST:
            return
        seen.add(function)
        for node in self._tree.walk(function):
            if isinstance(node, cst.Call):
                yield node
                for called in self._functions(self._program.values(node.func)):
                    yield from self._calls(called, depth + 1, seen)

    # -- the end of the pool -------------------------------------------------------------------

    @cached_property
    def endings(self) -> list[Ending]:
        """The calls by which callbacks end their own pool, one for each callback."""
        found = []
        for callback in self.all:
            ending = self._ending(callback)
            if ending is not None:
                found.append(ending)
        return found

    def end(self, made: Made) -> frozenset[cst.CSTNode]:
        """The ``close()``, ``join()`` and ``terminate()`` of a pool inside its own callbacks."""
        if not self.endings:
            return frozenset()
        return frozenset(
            call
            for ending in self.endings
            for function in ending.callback.functions
            for call in self._calls(function, 0, set())
            if any(pool.site is made.site for pool in self._pools(call, ending.callback))
        )

    def _ending(self, callback: Callback) -> Ending | None:
        calls: dict[str, tuple[cst.Call, Made]] = {}
        for function in callback.functions:
            for call in self._decided_calls(Unit(function), set()):
                for pool in self._pools(call, callback):
                    assert isinstance(call.func, cst.Attribute)
                    calls.setdefault(call.func.attr.value, (call, pool))
        terminated = calls.get("terminate")
        if terminated is not None and terminated[1].kind is api.Kind.POOL:
            return Ending(terminated[0], "terminate", terminated[1], callback)
        joined = calls.get("join")
        if joined is not None and ("close" in calls or self._is_closed(joined[1])):
            return Ending(joined[0], "join", joined[1], callback)
        return None

    def _decided_calls(self, unit: Unit, seen: set[Unit]) -> Iterator[cst.Call]:
        """As :meth:`_calls`, without those that the arguments rule out: ``stop(force=False)``."""
        if unit in seen or len(seen) > MOST_UNITS:
            return
        seen.add(unit)
        for step in self._program.runs.steps_of_unit(unit):
            if step.entered or not isinstance(step.node, cst.Call):
                continue
            yield step.node
            if any(True for _ in self._functions(step.values)):
                for called in self._program.runs.units(step):
                    yield from self._decided_calls(called, seen)

    def _pools(self, call: cst.Call, callback: Callback) -> list[Made]:
        """The pools of a callback that ``call`` closes, joins or terminates."""
        func = call.func
        if not isinstance(func, cst.Attribute):
            return []
        if func.attr.value not in ("close", "join", "terminate"):
            return []
        own = {made.site for made in callback.task.receivers}
        return [
            value.receiver
            for value in self._program.values(func)
            if isinstance(value, Member) and value.receiver.site in own
        ]

    def _is_closed(self, made: Made) -> bool:
        """Does anybody in this file close the pool?"""
        return any(use.name in ("close", "terminate") for use in self._program.uses.of(made.site))
