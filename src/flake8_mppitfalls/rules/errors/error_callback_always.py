"""MPP606."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model.lives.results import ASYNCHRONOUS
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class ErrorCallbackAlways(Rule):
    """An asynchronous task has no ``error_callback``. Opt-in.

    What it does:
        Finds every ``apply_async()``, ``map_async()`` and ``starmap_async()`` of a process pool
        without ``error_callback``, whether its result is fetched or not. Switched on by
        ``--mpp-opt-in=MPP606``.

    Why it is bad:
        For those who want to hear of each error at once: ``get()`` raises the error only when its
        turn comes, and the first one (a ``ValueError``, say) ends the loop over the results, so
        that the others are never seen.

    Example:
        ::

            results = [pool.apply_async(convert, (name,)) for name in names]
            for result in results:
                result.get()

    Use instead:
        ::

            results = [
                pool.apply_async(convert, (name,), error_callback=report) for name in names
            ]

    Known limits:
        ``**kwargs`` may hold the callback. Where the result is never fetched, MPP601 or MPP602
        speaks.

    References:
        Python documentation, ``multiprocessing.pool.Pool.apply_async``.
    """

    code = "MPP606"
    name = "error-callback-always"
    message = (
        "this {method}() has no error_callback, so an exception in {callable} is heard of only"
        " where its result is fetched; give an error_callback"
    )
    opt_in = True

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each asynchronous task without ``error_callback``."""
        results = program.results
        for task in program.tasks:
            if task.name not in ASYNCHRONOUS or not task.receivers or not task.in_processes:
                continue
            if results.may_have_error_callback(task) or results.loses_errors(task):
                continue
            yield self.finding(task.call, callable=program.callable_name(task), method=task.name)
