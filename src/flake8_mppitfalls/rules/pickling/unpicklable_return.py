"""MPP208."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.values import Class
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.pickling.telling import called

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.pickling.crossing import Culprit
    from flake8_mppitfalls.model.pickling.refusals import Transport
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_LEAVING_RESULTS = frozenset(
    {"staticmethod", "classmethod", "functools.lru_cache", "functools.cache"}
)


class UnpicklableReturn(Rule):
    """What a task returns can't be pickled.

    What it does:
        Finds, for the function that is handed to a pool or process executor, a ``return`` of a
        lambda, nested function, open file, lock, generator, ``defaultdict`` with a lambda and the
        like, also in a literal tuple, list or dict, or through a name; and a generator or
        ``async`` function handed over itself, whose result is a generator or coroutine.

    Why it is bad:
        The result comes back pickled. The work is done, and then::

            multiprocessing.pool.MaybeEncodingError: Error sending result: '<function ...>'.
            Reason: 'AttributeError("Can't pickle local object 'fit.<locals>.predict'")'

        from a ``Pool``; from an executor the error of pickle itself::

            TypeError: cannot pickle 'generator' object

        Where nobody asks for the result, nobody hears of it.

    Example:
        ::

            def read(path):
                return open(path)

            with multiprocessing.Pool() as pool:
                files = pool.map(read, paths)

    Use instead:
        ::

            def read(path):
                with open(path) as file:
                    return file.read()

            with multiprocessing.Pool() as pool:
                texts = pool.map(read, paths)

        For a generator: ``return list(...)``.

    Known limits:
        Only the function that is handed over is looked at, not what it calls; decorated functions
        are left alone, and so is what has come to the worker as an argument. A generator as the
        target of a ``Process`` is MPP706.

    References:
        Python documentation, "What can be pickled and unpickled?"; CPython's
        ``Lib/multiprocessing/pool.py``, ``MaybeEncodingError``.
    """

    code = "MPP208"
    name = "unpicklable-return"
    message = "{what} can't be pickled: {consequence}; {instead}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the returns, and the callables, whose results can't come back."""
        looked_at: set[tuple[cst.FunctionDef, Transport]] = set()
        for task in program.tasks:
            transport = program.crossing.transport(task)
            if transport is None or transport.starting or task.callable is None:
                continue
            if any(c.part.is_callable for c in program.crossing.culprits(task)):
                continue  # it will never run
            values = program.values(task.callable)
            made = {v for v in values if isinstance(v, Class)}
            for function in program.sides.functions(v for v in values if v not in made):
                if not isinstance(function, cst.FunctionDef):
                    continue
                if not _LEAVING_RESULTS.issuperset(decorator_names(program.tree, function)):
                    continue
                yield from self._of_what_it_is(program, task, function)
                if (function, transport) not in looked_at:
                    looked_at.add((function, transport))
                    yield from self._of_returns(program, task, transport, function)

    def _of_what_it_is(
        self, program: Program, task: Task, function: cst.FunctionDef
    ) -> Iterator[Finding]:
        """A finding where the callable is handed over, if all that it gives can't come back."""
        scope = program.tree.scopes[function]
        if scope.is_generator or function.asynchronous is not None:
            assert task.callable is not None
            kind = "generator" if scope.is_generator else "coroutine"
            yield self.finding(
                task.callable,
                what=f"{function.name.value}() returns a {kind}, which",
                consequence=_fails(program, task),
                instead="return a list" if kind == "generator" else "await it in the worker",
            )

    def _of_returns(
        self, program: Program, task: Task, transport: Transport, function: cst.FunctionDef
    ) -> Iterator[Finding]:
        """The returns whose value can't come back."""
        scope = program.tree.scopes[function]
        if scope.is_generator or function.asynchronous is not None:
            return
        arrived: set[Value] | None = None
        for statement in scope.returns:
            culprit = self._culprit(program, transport, statement)
            if culprit is not None and arrived is None:
                arrived = set(program.crossing.arriving(function))
            if culprit is not None and arrived and culprit.part.value in arrived:
                if culprit.store is None or not program.tree.is_within(culprit.store, function):
                    continue  # it came to the worker, so it can go back; else the call is told of
            if culprit is not None:
                yield self.finding(
                    statement,
                    what=f"what {function.name.value}() returns here, {culprit.what},",
                    consequence=_fails(program, task),
                    instead="return plain data",
                )

    def _culprit(
        self, program: Program, transport: Transport, statement: cst.Return
    ) -> Culprit | None:
        if statement.value is None:
            return None
        for culprit in program.crossing.of_expression(statement.value, transport, statement):
            if not culprit.in_object:
                return culprit
        return None


def _fails(program: Program, task: Task) -> str:
    """What comes of a task whose result can't be sent back."""
    method = called(program, task)
    if any(made.kind is api.Kind.EXECUTOR for made in task.receivers):
        return f"the work is done, and {method} ends in a TypeError"
    return f"the work is done, and {method} ends in a MaybeEncodingError"
