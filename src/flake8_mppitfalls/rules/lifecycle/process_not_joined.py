"""MPP405."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.lives.handovers import SHARED
from flake8_mppitfalls.model.values import UNKNOWN, Constant, External, Made, Member, Result
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.lives.life import Life
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_WAITING = frozenset("get join recv recv_bytes wait wait_for result".split())
"""Methods of queues, pipe ends, events and so on that wait for somebody else."""
_WAITING_FUNCTIONS = frozenset(
    (
        "multiprocessing.connection.wait select.select select.poll os.wait os.waitpid os.waitid "
        "signal.pause signal.sigwait signal.sigwaitinfo input multiprocessing.active_children "
        "multiprocessing.process.active_children asyncio.run trio.run anyio.run"
    ).split()
)
_SERVING = frozenset(
    (
        "serve_forever run_forever run_until_complete mainloop exec_ exec serve run run_app "
        "start_consuming pause wait join loop_forever spin communicate"
    ).split()
)
"""What servers and the like are left running by."""


_OTHERS = frozenset({"os.path", "posixpath", "ntpath", "subprocess", "shlex", ""})
"""Modules whose ``join()`` and ``run()`` have nothing to do with it; ``""`` for builtins."""


class ProcessNotJoined(Rule):
    """The program ends and does not wait for a daemonic process.

    What it does:
        Finds the ``start()`` of a daemonic ``Process`` after which the program comes to its end
        without joining it or waiting for it in another way.

        With ``--mpp-opt-in=MPP405`` it finds each started process that its owner never joins.

    Why it is bad:
        Daemonic processes are terminated when the program ends. Work that is under way is cut
        off, whatever it is: a file is half written, a message is not sent, nothing is said.
        Processes that are not daemonic go on, and the program waits for them at its end; until
        somebody joins them they stay in the process table as zombies.

    Example:
        ::

            def main():
                writer = multiprocessing.Process(target=write_report, daemon=True)
                writer.start()

    Use instead:
        ::

            def main():
                writer = multiprocessing.Process(target=write_report)
                writer.start()
                ...
                writer.join()

    Known limits:
        A process that is kept on an object, returned or passed on is not followed. One whose target
        loops for ever, or is not known, may be meant to die with the program.

    References:
        Python documentation, ``multiprocessing.Process.daemon``: "When a process exits, it
        attempts to terminate all of its daemonic child processes"; CPython's
        ``Lib/multiprocessing/util.py``, ``_exit_function``.
    """

    code = "MPP405"
    name = "process-not-joined"
    message = "{process} {what}; {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``start()`` after which nobody waits."""
        every = program.settings.wants(self.code)
        for made in program.made.get(api.Kind.PROCESS, ()):
            daemonic = program.daemons.is_daemonic(made)
            if not (daemonic or every):
                continue
            life = program.lifetimes.of(made)
            starts = life.calls("start")
            if not starts or not self._is_left_alone(life, every=every):
                continue
            judge = _Judge(program, made)
            for call in starts:
                if program.conditions.expects(call, "AssertionError"):
                    continue  # it is meant to fail
                if daemonic and judge.is_cut_off(call):
                    yield self._found(
                        program,
                        call,
                        "is daemonic and ended with the program, whatever it is doing:"
                        " nobody waits for it",
                        "call join() before the program ends",
                    )
                elif every and not judge.is_awaited(call):
                    yield self._found(
                        program, call, "is started and never joined", "call join() on it"
                    )

    def _found(self, program: Program, call: cst.Call, what: str, cure: str) -> Finding:
        return self.finding(
            call, process=program.receiver(call, "the process"), what=what, cure=cure
        )

    def _is_left_alone(self, life: Life, *, every: bool) -> bool:
        """Nobody joins or ends it, and nobody else has it."""
        if life.is_handed_on or life.calls("join", "terminate"):
            return False
        return not any(self._is_seen_to(use, every=every) for use in life.uses)

    def _is_seen_to(self, use: Use, *, every: bool) -> bool:
        if use.kind in (UseKind.METHOD, UseKind.MEMBER):
            return use.name in {"sentinel", "is_alive", "exitcode"}
        if use.kind is UseKind.KEPT:
            return not every
        return use.kind in HANDED_ON and use.kind is not UseKind.RETURNED


class _Judge:
    """Asks whether anybody waits for one process."""

    def __init__(self, program: Program, made: Made) -> None:
        self._program = program
        self._tree = program.tree
        self._made = made
        self._waits = Effect(program.runs, self._waiting, program.runs.in_program)

    def is_cut_off(self, start: cst.Call) -> bool:
        """Does the program end after ``start`` while the process has something to do?"""
        after = self._program.aftermath.of(start)
        if after.is_open or not after.ends or self.is_awaited(start):
            return False
        return self._has_an_end and self._is_in_parent(start)

    def is_awaited(self, start: cst.Call) -> bool:
        """May something after ``start`` wait for it?"""
        after = self._program.aftermath.of(start)
        if any(self._waits.at(step) for step in after.steps):
            return True
        return any(self._asks_others(loop.test) for loop in after.loops)

    def _is_in_parent(self, node: cst.CSTNode) -> bool:
        return self._program.sides.is_parent_code(node)

    def _waiting(self, step: Step) -> Iterator[bool]:
        call = step.node
        if step.entered or not isinstance(call, cst.Call):
            return
        for value in step.values:
            if isinstance(value, External):
                name = api.canonical(value.name)
                module, _, last = name.rpartition(".")
                if name in _WAITING_FUNCTIONS or (last in _SERVING and module not in _OTHERS):
                    yield True
            elif isinstance(value, Member):
                if value.name in _WAITING and value.receiver.kind in SHARED:
                    yield True
        if isinstance(call.func, cst.Attribute) and self._may_serve(call.func, step):
            yield True
        if self._is_given_on(call):
            yield True

    def _may_serve(self, func: cst.Attribute, step: Step) -> bool:
        """A method of what the file does not show: a server's, or of what the process talks to."""
        if not self._partners.isdisjoint(self._keys(func.value)):
            return True
        if func.attr.value not in _SERVING or step.functions:
            return False
        values = self._program.values(func.value)
        return not any(isinstance(v, Made) for v in values) and not self._is_text(func.value)

    @cached_property
    def _partners(self) -> frozenset[object]:
        """Objects that the file does not show, which the process got or got something from."""
        site = self._made.site
        task = self._program.task_of(site) if isinstance(site, cst.Call) else None
        found: set[object] = set()
        for given in task.given() if task is not None else ():
            for node in (given.expression, *self._givers(given.expression)):
                if any(_is_foreign(value) for value in self._program.values(node)):
                    found.update(self._keys(node))
        return frozenset(found)

    def _givers(self, node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
        """``hub`` for ``hub.connect()`` and for a name that stands for it."""
        expressions: list[cst.BaseExpression | None] = [node]
        if isinstance(node, cst.Name):
            expressions = [b.value for b in self._program.names.bindings(node)]
        for expression in expressions:
            if isinstance(expression, cst.Call) and isinstance(expression.func, cst.Attribute):
                yield expression.func.value

    def _keys(self, node: cst.BaseExpression) -> Sequence[object]:
        if isinstance(node, cst.Name):
            return self._program.names.bindings(node)
        return [dotted_name(node)] if isinstance(node, cst.Attribute) else []

    def _is_text(self, node: cst.BaseExpression) -> bool:
        """``", ".join(words)``, ``os.path.join(…)``."""
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)):
            return True
        if any(isinstance(value, Constant) for value in self._program.values(node)):
            return True
        return self._tree.qualified(node) in _OTHERS

    def _is_given_on(self, call: cst.Call) -> bool:
        """Is what the process was given handed to code that is not seen here?"""
        given = {thing.site for thing in self._program.handovers.of(self._made)}
        if not given or self._program.task_of(call) is not None:
            return False
        for arg in call.args:
            for value in self._program.values(arg.value):
                if isinstance(value, Made) and value.site in given:
                    called = self._program.values(call.func)
                    if not self._program.sides.functions(called):
                        if self._tree.qualified(call.func) not in {"print", "len", "repr", "str"}:
                            return True
        return False

    def _asks_others(self, test: cst.CSTNode) -> bool:
        """``while count.value < 3``, ``while not done.is_set()``: somebody else changes it."""
        for node in self._tree.walk(test):
            if isinstance(node, cst.Attribute):
                for value in self._program.values(node.value):
                    if isinstance(value, Made) and value.kind in SHARED:
                        return True
        return False

    # -- the target ----------------------------------------------------------------------------

    @cached_property
    def _has_an_end(self) -> bool:
        """Is the target known, and does it come to an end by itself?"""
        functions = self._program.sides.targets(self._made)
        return bool(functions) and all(self._ends(function) for function in functions)

    def _ends(self, function: cst.CSTNode, depth: int = 0) -> bool:
        """False for what loops for ever, or serves, or until somebody says stop."""
        if depth > 4 or not isinstance(function, cst.FunctionDef):
            return depth > 4
        flow = self._program.names.flow(self._tree.scopes[function])
        seen = set()
        work = [flow.entry]
        while work:
            point = work.pop()
            if point not in seen:
                seen.add(point)
                work.extend(point.successors)
        if flow.exit not in seen:
            return False
        for node in self._tree.walk(function):
            if isinstance(node, cst.While) and self._asks_others(node.test):
                return False
            if isinstance(node, cst.For) and self._is_endless(node.iter):
                return False
            if isinstance(node, cst.Call) and not self._call_ends(node, depth):
                return False
        return True

    def _is_endless(self, iterable: cst.BaseExpression) -> bool:
        name = self._tree.qualified(getattr(iterable, "func", None))
        return name in {"itertools.count", "itertools.cycle", "itertools.repeat"}

    def _call_ends(self, call: cst.Call, depth: int) -> bool:
        func = call.func
        called = self._program.sides.functions(self._program.values(func))
        if called:
            return all(self._ends(callee, depth + 1) for callee in called)
        if isinstance(func, cst.Attribute) and func.attr.value in _SERVING - {"join", "wait"}:
            return self._is_text(func.value)
        return True


def _is_foreign(value: Value) -> bool:
    """May it be of a module that is neither this one nor one of the standard library?"""
    if isinstance(value, Result):
        module, dot, _ = value.name.partition(".")
        return bool(dot) and module not in sys.stdlib_module_names
    return value is UNKNOWN
