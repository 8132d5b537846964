"""MPP703."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program


class WorkerArity(Rule):
    """The arguments of a task do not fit its function.

    What it does:
        Binds the arguments that a worker API will pass on to the signature of the local function:
        too few, too many, an unknown keyword. ``map()`` and ``imap()`` give one argument,
        ``starmap()`` as many as the literal tuples (or ``zip()``, ``enumerate()``) have,
        ``executor.map(f, a, b)`` one of each iterable; a ``callback``, ``error_callback`` and
        ``add_done_callback`` give exactly one. Methods, static and class methods, and what a
        ``functools.partial`` fills in, are counted as Python does.

    Why it is bad:
        The call happens in the child, and so does the error::

            TypeError: simulate() takes 1 positional argument but 2 were given
            TypeError: simulate() missing 1 required positional argument: 'seed'

        A ``Process`` ends with exit code 1, a task of a pool is lost unless its result is fetched.
        A callback that fails ends the pool's result thread: ``get()`` and ``join()`` hang.

    Example:
        ::

            def simulate(model, seed):
                ...

            pool.map(simulate, seeds)

    Use instead:
        ::

            pool.map(functools.partial(simulate, model), seeds)

    Known limits:
        Decorated functions, functions from elsewhere, and arguments that are starred or of unknown
        length are not checked.

    References:
        Python documentation, ``multiprocessing.pool.Pool`` and ``concurrent.futures.Executor``;
        "Calls" in the language reference.
    """

    code = "MPP703"
    name = "worker-arity"
    message = "{what}: TypeError: {error}; {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each task, and each callback, whose arguments don't fit."""
        for task in program.tasks:
            if not task.in_processes:
                continue
            if program.conventions.of(task.call) is None:
                error = program.fit.misfit(task)
                if error is not None:
                    text = program.source(task.call.func, task.name)
                    yield self.finding(
                        task.call,
                        what=f"{text}() {_consequence(task)}",
                        error=error,
                        cure=_cure(task, error),
                    )
            for name in api.CALLBACKS:
                callback = task.argument(name)
                if callback is not None and task.gives is api.Kind.ASYNC_RESULT:
                    yield from self._called_back(program, callback, f"{name}=", _IN_POOL)
        for added in program.results.done_callbacks():
            yield from self._called_back(program, added.callback, "add_done_callback()", _OF_FUTURE)

    def _called_back(
        self, program: Program, callback: cst.BaseExpression, what: str, consequence: str
    ) -> Iterator[Finding]:
        error = program.fit.misfit_of(callback, 1)
        if error is not None:
            yield self.finding(
                callback,
                what=f"{what} {consequence}",
                error=error,
                cure="give it one parameter",
            )


_IN_POOL = "gets one argument, and its error ends the pool's result thread, so that join() hangs"
_OF_FUTURE = "gives one argument, the future, and the error is only logged"


def _consequence(task: Task) -> str:
    if task.shape.role == "process":
        return "starts a process that fails at once"
    if task.shape.role == "initializer":
        return "makes workers that fail at once"
    if task.shape.role == "manager":
        return "starts a manager that fails at once"
    if task.gives is api.Kind.RESULTS:
        return "fails in the worker"
    return "fails in the worker, and only the result says so"


def _cure(task: Task, error: str) -> str:
    if "missing" in error:
        if task.name in ("map", "map_async") and task.shape.arguments[0][1] is api.Spread.ITEMS:
            return "give tuples to starmap(), or the other arguments to functools.partial()"
        if task.name == "submit" and any(isinstance(a.value, cst.Tuple) for a in task.call.args):
            return "give the arguments one by one, not as a tuple"
    return "make arguments and parameters agree"
