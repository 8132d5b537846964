"""MPP417."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.values import Made, is_made_at
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program

_GETTING = ("get", "get_nowait")
_QUEUES = {api.Kind.QUEUE: {"JoinableQueue"}, api.Kind.PROXY: {"JoinableQueue", "Queue"}}


class TaskDoneMissing(Rule):
    """Items are taken from a queue that is joined, and are never reported done.

    What it does:
        Finds ``get()`` and ``get_nowait()`` on a ``JoinableQueue`` (or a queue of a manager) for
        which nobody calls ``task_done()``, where ``join()`` is called on the queue.

    Why it is bad:
        ``join()`` waits until each item that was put has been reported by ``task_done()``. Taking
        the item out is not enough: ``join()`` never returns.

    Example:
        ::

            def work(tasks):
                while True:
                    task = tasks.get()
                    handle(task)

    Use instead:
        ::

            def work(tasks):
                while True:
                    task = tasks.get()
                    try:
                        handle(task)
                    finally:
                        tasks.task_done()

    Known limits:
        A call in a function that gets the queue, in a caller, or in another method of the class
        will do. So will code that is not seen here and gets the queue.

    References:
        Python documentation, ``multiprocessing.JoinableQueue.task_done``; CPython's
        ``Lib/multiprocessing/queues.py``, ``JoinableQueue``.
    """

    code = "MPP417"
    name = "task-done-missing"
    message = (
        "nobody calls {queue}.task_done() for what is taken here, so that {queue}.join() never"
        " returns: call it when the item is done"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``get()`` without a ``task_done()``."""
        if not any(program.tree.attributes.get(name) for name in _GETTING):
            return
        found: set[cst.CSTNode] = set()
        for kind, names in _QUEUES.items():
            for queue in program.made.get(kind, ()):
                if queue.name not in names:
                    continue
                for node, receiver in _Queue(program, queue).forgotten():
                    if node not in found:
                        found.add(node)
                        yield self.finding(node, queue=program.source(receiver, "the queue"))


class _Queue:
    """One queue: who takes from it, and who reports."""

    def __init__(self, program: Program, made: Made) -> None:
        self._program = program
        self._tree = program.tree
        self._made = made

    def forgotten(self) -> Iterator[tuple[cst.CSTNode, cst.BaseExpression]]:
        """The places that take from it without a report; and what the queue is called there."""
        joins = [node for node in self._attributes("join") if self._is_called(node)]
        if not joins:
            return
        reports = {
            function
            for node in self._attributes("task_done")
            for function in self._program.sides.functions_around(node)
        }
        at_module_level = any(
            next(self._program.sides.functions_around(node), None) is None
            for node in self._attributes("task_done")
        )
        for name in _GETTING:
            for node in self._attributes(name):
                place = self._place(node)
                if place is None or self._is_reported(node, reports, at_module_level):
                    continue
                if self._is_joined_later(place, joins):
                    yield place, node.value

    def _attributes(self, name: str) -> list[cst.Attribute]:
        """Where a method of the queue is read."""
        return self._program.evaluator.members.of_made(self._made.site, name)

    def _is_it(self, node: cst.CSTNode) -> bool:
        return is_made_at(self._program.values(node), self._made.site)

    def _is_called(self, node: cst.Attribute) -> bool:
        parent = self._tree.parent(node)
        return isinstance(parent, cst.Call) and parent.func is node

    def _place(self, node: cst.Attribute) -> cst.Call | None:
        """The call, or ``iter(queue.get, …)``; ``None`` for what else is done with the method."""
        parent = self._tree.parent(node)
        if isinstance(parent, cst.Call):
            return parent
        call = self._tree.parent(parent) if isinstance(parent, cst.Arg) else None
        if isinstance(call, cst.Call) and self._tree.qualified(call.func) == "iter":
            return call
        return None

    # -- reports -------------------------------------------------------------------------------

    def _is_reported(
        self, node: cst.Attribute, reports: set[cst.CSTNode], at_module_level: bool
    ) -> bool:
        """May somebody report what is taken at ``node``?"""
        sides, classes = self._program.sides, self._program.evaluator.classes
        around = list(sides.functions_around(node))
        if not around:
            return at_module_level or bool(reports & sides.reach([self._tree.module]))
        callers = self._with_callers(around)
        if at_module_level and self._tree.module in callers:
            return True
        functions = {f for f in callers if f is not self._tree.module}
        for function in around:
            cls = classes.of_method(function)
            if cls is not None:
                functions.update(classes.methods(cls))
        if reports & functions or reports & sides.reach(around):
            return True
        return any(self._is_given_on_in(function) for function in sides.reach(around))

    def _with_callers(self, functions: list[cst.CSTNode]) -> set[cst.CSTNode]:
        """The functions and those that call them, however far."""
        found: set[cst.CSTNode] = set()
        work = list(functions)
        while work:
            function = work.pop()
            if function not in found:
                found.add(function)
                if function is not self._tree.module:
                    work += [caller.owner for caller in self._program.runs.callers(function)]
        return found

    def _is_given_on_in(self, function: cst.CSTNode) -> bool:
        """Does a function hand the queue to code that is not seen here?"""
        calls = self._program.traffic.given_away(function, self._is_it)
        return any(self._program.task_of(call) is None for call in calls)

    # -- joins ---------------------------------------------------------------------------------

    def _is_joined_later(self, place: cst.CSTNode, joins: list[cst.Attribute]) -> bool:
        """Taken by another process or thread at any time, or by the parent before a ``join()``."""
        program = self._program
        if not program.sides.is_parent_code(place) or self._runs_in_thread(place):
            return True

        def direct(step: Step) -> Iterator[bool]:
            if step.node is place:
                yield True

        taken = Effect(program.runs, direct, program.runs.in_program)
        return any(
            taken.at(step) for join in joins for step in program.paths.before(self._call(join))
        )

    def _call(self, node: cst.Attribute) -> cst.CSTNode:
        return self._tree.parent(node) or node

    def _runs_in_thread(self, place: cst.CSTNode) -> bool:
        """Is it run by a thread of the parent?"""
        program = self._program
        around = set(program.sides.functions_around(place))
        for task in program.tasks:
            if not task.in_processes and task.callable is not None:
                functions = program.sides.functions(program.values(task.callable))
                if around & program.sides.reach(functions):
                    return True
        return False
