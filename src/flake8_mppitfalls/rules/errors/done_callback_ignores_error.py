"""MPP605."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class DoneCallbackIgnoresError(Rule):
    """A done callback does not ask how the task went.

    What it does:
        Finds the callable given to ``add_done_callback()`` of a process executor's future that
        never calls ``result()`` or ``exception()`` on the future nor passes it on, where nobody
        else looks at that future's result either.

    Why it is bad:
        The callback is called for a failed task, too: a task that raised is ``done()``. A task
        that failed looks just like one that worked, and its exception is lost.

    Example:
        ::

            def show(future):
                print("done:", future.done())

            executor.submit(convert, name).add_done_callback(show)

    Use instead:
        ::

            def show(future):
                error = future.exception()
                print("failed:" if error else "done", error or "")

            executor.submit(convert, name).add_done_callback(show)

    Known limits:
        Silent where the callback can't be resolved in this file, or hands the future to code that
        can't be followed.

    References:
        Python documentation, ``concurrent.futures.Future.add_done_callback``.
    """

    code = "MPP605"
    name = "done-callback-ignores-error"
    message = (
        "{callback} is called for a failed task, too, and does not look: an exception in"
        " {callable} is lost; ask the future for its exception() or result() there"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each callback that takes a failed task for one that worked."""
        results = program.results
        for task in results.futures():
            calls = results.callbacks_of(task)
            if not calls or results.is_looked_at(task):
                continue
            callbacks = [_callback(call) for call in calls]
            known = [callback for callback in callbacks if callback is not None]
            if len(known) == len(callbacks) and all(map(results.ignores_error, known)):
                for callback in known:
                    name = program.source(callback, "this callback")
                    named = isinstance(callback, (cst.Name, cst.Attribute))
                    yield self.finding(
                        callback,
                        callback=f"{name}()" if named else "this callback",
                        callable=program.callable_name(task),
                    )


def _callback(call: cst.Call) -> cst.BaseExpression | None:
    """The first argument, or the one named ``fn`` (``callback`` for futures of asyncio)."""
    if any(arg.star for arg in call.args):
        return None
    for arg in call.args:
        if arg.keyword is None or arg.keyword.value in ("fn", "callback"):
            return arg.value
    return None
