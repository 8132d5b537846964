"""MPP604."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class LazyResultsDiscarded(Rule):
    """Nobody takes the results of ``executor.map()`` or ``imap()``.

    What it does:
        Finds ``map()`` of a process executor, and ``imap()`` and ``imap_unordered()`` of a pool,
        whose iterator is dropped, or bound to a name that is never iterated over nor passed on.

    Why it is bad:
        The tasks run, but an exception in a worker is raised only where its result is taken. A
        ``ValueError`` in every task, or a ``PicklingError`` before, leaves no trace: the program
        ends as if all had been done. (``Pool.map()`` is different: it waits and raises.)

    Example:
        ::

            with ProcessPoolExecutor() as executor:
                executor.map(convert, names)

    Use instead:
        ::

            with ProcessPoolExecutor() as executor:
                for _ in executor.map(convert, names):
                    pass  # raises what the worker raised

    Known limits:
        An iterator that is returned, passed on or stored where it can't be followed
        counts as taken; in a script, what its own functions give and its
        attributes keep is followed. In a ``with`` block of a pool that kills the tasks MPP403
        speaks.

    References:
        Python documentation, ``concurrent.futures.Executor.map``: "If a fn call raises an
        exception, then that exception will be raised when its value is retrieved from the
        iterator"; ``multiprocessing.pool.Pool.imap``.
    """

    code = "MPP604"
    name = "lazy-results-discarded"
    message = (
        "an exception in {callable} is lost: nobody takes the results of {call}(); iterate over"
        " them"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each lazy map whose results nobody takes."""
        for task in program.tasks:
            if program.results.loses_lazily(task):
                yield self.finding(
                    task.call,
                    callable=program.callable_name(task),
                    call=program.source(task.call.func, task.name),
                )
