"""MPP602."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class MapAsyncWithoutErrorCallback(Rule):
    """The errors of ``map_async()`` and ``starmap_async()`` go nowhere.

    What it does:
        Finds ``map_async()`` and ``starmap_async()`` of a process pool without
        ``error_callback`` whose result nobody fetches with ``get()``.

    Why it is bad:
        One exception in a worker makes the whole result an error, which ``get()`` would raise.
        Without ``get()`` and without ``error_callback`` it leaves no trace: ``callback`` is just
        never called. The same goes for items that can't be pickled (``PicklingError``).

    Example:
        ::

            pool = multiprocessing.Pool(4)
            pool.map_async(convert, names, callback=store)
            pool.close()
            pool.join()

    Use instead:
        ::

            pool = multiprocessing.Pool(4)
            pool.map_async(convert, names, callback=store, error_callback=report)
            pool.close()
            pool.join()

        or keep the result and call ``get()`` on it.

    Known limits:
        A result that is returned, passed on or stored where it can't be followed
        counts as fetched; in a script, what its own functions give and its
        attributes keep is followed. ``**kwargs`` may hold the callback. In a ``with`` block that
        kills the tasks MPP403 speaks.

    References:
        Python documentation, ``multiprocessing.pool.Pool.map_async`` and
        ``multiprocessing.pool.AsyncResult.get``.
    """

    code = "MPP602"
    name = "map-async-without-error-callback"
    message = (
        "an exception in {callable} is lost: nobody fetches the result of this {method}() and it"
        " has no error_callback; call get() on the result or give an error_callback"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``map_async()`` or ``starmap_async()`` whose errors nobody can see."""
        for task in program.tasks:
            if task.name in ("map_async", "starmap_async") and program.results.loses_errors(task):
                yield self.finding(
                    task.call, callable=program.callable_name(task), method=task.name
                )
