"""MPP412."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.lives.daemons import IN_DAEMON
from flake8_mppitfalls.model.values import Class, External, Instance, Result, Value
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.worlds import World
    from flake8_mppitfalls.model.program import Program

DEEPEST = 8
"""How many calls deep an exit is looked for."""

_EXITS = frozenset({"sys.exit", "exit", "quit"})
_AT_ONCE = "os._exit"


class ExitInPoolWorker(Rule):
    """A worker of a pool leaves.

    What it does:
        Finds ``sys.exit()``, ``exit()``, ``quit()`` and ``os._exit()`` in a worker function of a
        ``multiprocessing`` pool, and a ``raise`` of ``SystemExit``, ``KeyboardInterrupt`` or
        another exception that is no ``Exception``.

    Why it is bad:
        The pool catches ``Exception`` around a task. Anything else ends the worker. The pool starts
        another one, but the task is lost: ``get()`` and ``map()`` wait for its result for ever.

    Example:
        ::

            def check(path):
                if not path.exists():
                    sys.exit(f"{path} is missing")

    Use instead:
        ::

            def check(path):
                if not path.exists():
                    raise FileNotFoundError(path)

    Known limits:
        What a handler for ``KeyboardInterrupt`` does is no finding: the parent was interrupted,
        too. Exits in functions of other modules are not seen.

    References:
        CPython's ``Lib/multiprocessing/pool.py``, ``worker`` and ``Pool._maintain_pool``.
    """

    code = "MPP412"
    name = "exit-in-pool-worker"
    message = (
        "{what} ends the worker of the pool that runs {worker}, its task is lost and the parent"
        " waits for the result for ever: raise an Exception, or return a value that says it"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each exit that a worker of a pool may take."""
        if not (self._may_exit(program) or program.tree.nodes(cst.Raise)):
            return
        found: set[cst.CSTNode] = set()
        for entry, _ in program.daemons.pool_entries():
            finder = _Finder(program)
            given: World = {}
            if entry.task is not None:
                given = program.runs.decided_by_task(entry.task, entry.function)
            for node, what in finder.exits(entry.function, {**IN_DAEMON, **given}):
                if node not in found:
                    found.add(node)
                    worker = program.function_name(entry.function, "it")
                    yield self.finding(node, what=what, worker=worker)

    def _may_exit(self, program: Program) -> bool:
        return any(program.tree.calls_of.get(name) for name in ("exit", "quit", "_exit"))


class _Finder:
    """Looks for the exits of one worker function."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._seen: set[cst.CSTNode] = set()

    def exits(
        self, function: cst.CSTNode, world: World, depth: int = 0
    ) -> Iterator[tuple[cst.CSTNode, str]]:
        """The calls and ``raise`` statements that leave a function by no ``Exception``."""
        if function in self._seen or depth > DEEPEST:
            return
        self._seen.add(function)
        for node in self._tree.walk(function):
            if isinstance(node, cst.Call):
                found = list(self._called(node, depth))
            elif isinstance(node, cst.Raise) and node.exc is not None:
                found = list(self._raised(node, node.exc))
            else:
                continue
            if found and self._program.conditions.runs(node, world) is not False:
                if not self._is_interrupted(node) and not self._is_after_kill(node):
                    yield from found

    def _called(self, call: cst.Call, depth: int) -> Iterator[tuple[cst.CSTNode, str]]:
        name = self._tree.qualified(call.func)
        if name == _AT_ONCE:
            yield call, f"{name}()"
        elif name in _EXITS:
            if not self._is_caught(call, Result("SystemExit", call)):
                yield call, f"{name}()"
        else:
            for callee in self._program.sides.functions(self._program.values(call.func)):
                for node, what in self.exits(callee, IN_DAEMON, depth + 1):
                    raised = Result("SystemExit", node)
                    values = self._program.values(node.exc) if isinstance(node, cst.Raise) else ()
                    if what == f"{_AT_ONCE}()" or not any(
                        self._is_caught(call, value) for value in values or (raised,)
                    ):
                        yield node, what

    def _raised(
        self, node: cst.Raise, exc: cst.BaseExpression
    ) -> Iterator[tuple[cst.CSTNode, str]]:
        for value in self._program.values(exc):
            name = self._name_of_no_exception(value)
            if name and not self._is_caught(node, value):
                yield node, f"raise {name}"
                return

    def _is_caught(self, node: cst.CSTNode, value: Value) -> bool:
        return self._program.escapes.is_caught(node, value)

    def _is_interrupted(self, node: cst.CSTNode) -> bool:
        """In a handler for Ctrl-C, which the parent gets, too."""
        for parent in self._tree.ancestors(node):
            if isinstance(parent, cst.ExceptHandler) and parent.type is not None:
                for part in self._tree.walk(parent.type):
                    if isinstance(part, cst.Name) and part.value == "KeyboardInterrupt":
                        return True
            elif isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
        return False

    def _is_after_kill(self, node: cst.CSTNode) -> bool:
        """Has it sent a signal first, which ends the parent, or stops it?"""
        scope = self._tree.function_of(node)
        return any(
            self._tree.qualified(call.func) in ("os.kill", "os.killpg")
            and self._tree.function_of(call) is scope
            and self._tree.before(call, node)
            for name in ("kill", "killpg")
            for call in self._tree.calls_of.get(name, ())
        )

    def _name_of_no_exception(self, value: Value) -> str:
        """The name of an exception that derives from ``BaseException`` alone, else empty."""
        if isinstance(value, (External, Result)):
            known = getattr(builtins, value.name, None)
            if isinstance(known, type) and issubclass(known, BaseException):
                return "" if issubclass(known, Exception) else value.name
            return ""
        cls = value.cls if isinstance(value, Instance) else None
        if isinstance(value, Class):
            cls = value.node
        if cls is None:
            return ""
        bases = [
            getattr(builtins, base, None)
            for base in self._program.evaluator.classes.external_bases(cls)
        ]
        if bases and all(
            isinstance(base, type)
            and issubclass(base, BaseException)
            and not issubclass(base, Exception)
            for base in bases
        ):
            return cls.name.value
        return ""
