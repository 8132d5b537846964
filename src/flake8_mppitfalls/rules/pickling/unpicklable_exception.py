"""MPP207."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import Instance
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program


class UnpicklableException(Rule):
    """A task lets out an exception that can't be made again in the parent.

    What it does:
        Finds, in the functions that a pool or process executor runs, a ``raise`` (and in the
        function handed over, a ``return``) of an exception of this module whose ``__init__`` can't
        be called with what is in its ``args``: it gives ``super().__init__`` fewer or more
        arguments than it takes itself, it has required keyword-only parameters, or it never calls
        ``super().__init__`` and is raised with keywords.

    Why it is bad:
        An exception is pickled as its class and ``args``. In the parent the class is called with
        them, and that call fails, in the thread that takes the results, which dies of it::

            TypeError: ParseError.__init__() missing 1 required positional argument: 'line'

        After that a ``Pool`` gives no result any more: ``get()``, ``map()`` and ``join()`` wait for
        ever. An executor is broken for good::

            concurrent.futures.process.BrokenProcessPool: A process in the process pool was
            terminated abruptly while the future was running or pending.

    Example:
        ::

            class ParseError(Exception):
                def __init__(self, path, line):
                    super().__init__(f"{path}:{line}")
                    self.path, self.line = path, line

            def parse(path):
                raise ParseError(path, 1)

            with multiprocessing.Pool() as pool:
                pool.map(parse, paths)

    Use instead:
        Give ``super().__init__`` what the constructor takes, and format in ``__str__``::

            class ParseError(Exception):
                def __init__(self, path, line):
                    super().__init__(path, line)
                    self.path, self.line = path, line

                def __str__(self):
                    return f"{self.path}:{self.line}"

        or say how it is made again::

                def __reduce__(self):
                    return type(self), (self.path, self.line)

    Known limits:
        Only exceptions whose bases are built in, or classes of this module, are looked at. What a
        handler inside the worker takes, and does not raise again, is no finding.

    References:
        CPython's ``Objects/exceptions.c``, ``BaseException_reduce``; CPython issue 76877.
    """

    code = "MPP207"
    name = "unpicklable-exception"
    message = (
        "{cls} can't be made again in the parent from its args, {reason}: {consequence}; pass all"
        " arguments to super().__init__(), or add __reduce__()"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the raises and returns of exceptions that don't survive the way back."""
        if not any(task.shape.always_pickled for task in program.tasks):
            return
        if not program.rebuilding.classes():
            return
        for entry in program.sides.entries():
            task = entry.task
            if task is None or not task.shape.always_pickled:
                continue
            for escape in program.escapes.of(entry.function):
                yield from self._found(program, task, escape.node, escape.value)
            if isinstance(entry.function, cst.FunctionDef):
                for statement in program.tree.scopes[entry.function].returns:
                    if statement.value is not None:
                        for value in program.crossing.opened(statement.value):
                            yield from self._found(program, task, statement, value)

    def _found(
        self, program: Program, task: Task, node: cst.CSTNode, value: object
    ) -> Iterator[Finding]:
        if not isinstance(value, Instance) or not isinstance(value.site, cst.Call):
            return
        reason = program.rebuilding.failure(value.cls, value.site)
        if reason is not None:
            broken = any(made.kind is api.Kind.EXECUTOR for made in task.receivers)
            yield self.finding(
                node,
                cls=value.cls.name.value,
                reason=reason,
                consequence="the executor breaks" if broken else "the pool waits for ever",
            )
