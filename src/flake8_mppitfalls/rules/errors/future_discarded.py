"""MPP603."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class FutureDiscarded(Rule):
    """Nobody looks at the future of a task.

    What it does:
        Finds ``submit()`` of a process executor, and ``loop.run_in_executor()`` with one, whose
        future is dropped, or kept and only asked whether it is ``done()``, waited for by
        ``wait()`` or gone through by ``as_completed()``, without ``result()``, ``exception()`` or
        ``await``.

    Why it is bad:
        The future keeps the exception of the worker, and ``result()`` would raise it. Without it
        the error leaves no trace, and neither does a task that never ran because its arguments
        could not be pickled (``PicklingError``) or the pool broke (``BrokenProcessPool``).
        ``wait()`` and ``done()`` do not tell success from failure. ``asyncio`` at least logs
        ``Future exception was never retrieved``, if the loop still runs then.

    Example:
        ::

            with ProcessPoolExecutor() as executor:
                for name in names:
                    executor.submit(convert, name)

    Use instead:
        ::

            with ProcessPoolExecutor() as executor:
                futures = [executor.submit(convert, name) for name in names]
            for future in futures:
                future.result()  # raises what the worker raised

    Known limits:
        A future that is returned, passed on or stored where it can't be followed
        counts as looked at; in a script, what its own functions give and its
        attributes keep is followed. One with ``add_done_callback()`` is MPP605's matter.

    References:
        Python documentation, ``concurrent.futures.Future.result`` and
        ``concurrent.futures.wait``.
    """

    code = "MPP603"
    name = "future-discarded"
    message = (
        "an exception in {callable} is lost: nobody asks the future of this {method}() for its"
        " result; call result() on it"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each task of an executor whose errors nobody can see."""
        results = program.results
        for task in results.futures():
            if not results.is_looked_at(task) and not results.callbacks_of(task):
                yield self.finding(
                    task.call, callable=program.callable_name(task), method=task.name
                )
