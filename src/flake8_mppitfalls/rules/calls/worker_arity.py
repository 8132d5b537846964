"""MPP703."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import Made, Member
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    import libcst as cst

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.tasks import Task


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
    message = "{call} {consequence}: TypeError: {error}"

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
                        task.call, call=f"{text}()", consequence=_consequence(task), error=error
                    )
            for name in api.CALLBACKS:
                callback = task.argument(name)
                if callback is not None and task.gives is api.Kind.ASYNC_RESULT:
                    yield from self._called_back(program, callback, f"{name}=", _IN_POOL)
        for added in program.tree.calls_of.get("add_done_callback", ()):
            if len(added.args) == 1 and not added.args[0].star and _is_of_process(program, added):
                yield from self._called_back(
                    program, added.args[0].value, "add_done_callback()", _OF_FUTURE
                )

    def _called_back(
        self, program: Program, callback: cst.BaseExpression, what: str, consequence: str
    ) -> Iterator[Finding]:
        error = program.fit.misfit_of(callback, 1)
        if error is not None:
            yield self.finding(callback, call=what, consequence=consequence, error=error)


_IN_POOL = "is called with one argument, and its error ends the pool's result thread"
_OF_FUTURE = "calls this with the future, and the error is only logged"


def _consequence(task: Task) -> str:
    if task.shape.role == "process":
        return "starts a process that fails at once"
    if task.shape.role == "initializer":
        return "makes workers that fail at once, again and again"
    if task.shape.role == "manager":
        return "starts a manager that fails at once"
    if task.gives is api.Kind.RESULTS:
        return "raises what each worker raises"
    return "hands over work that fails in the worker, where nobody sees it"


def _is_of_process(program: Program, call: cst.Call) -> bool:
    """Is it a future of a process executor?"""
    found = False
    for value in program.values(call.func):
        if not isinstance(value, Member) or value.receiver.kind is not api.Kind.FUTURE:
            return False
        owner: Made | None = value.receiver.owner
        if owner is None or owner.kind is not api.Kind.EXECUTOR:
            return False
        found = True
    return found
