"""MPP601."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class ApplyAsyncWithoutErrorCallback(Rule):
    """The errors of ``apply_async()`` go nowhere.

    What it does:
        Finds ``apply_async()`` of a process pool without ``error_callback`` whose result nobody
        fetches: it is dropped, or kept in a name, list or dict on which ``get()`` is never called.
        ``wait()``, ``ready()`` and ``successful()`` do not raise the error.

    Why it is bad:
        An exception in the worker is stored in the result and raised by ``get()``. Without
        ``get()`` and without ``error_callback`` it leaves no trace, and neither does a task that
        never ran because its arguments could not be pickled (``PicklingError``). The program
        ends as if all had been done.

    Example:
        ::

            pool = multiprocessing.Pool(4)
            for name in names:
                pool.apply_async(convert, (name,))
            pool.close()
            pool.join()

    Use instead:
        ::

            pool = multiprocessing.Pool(4)
            results = [pool.apply_async(convert, (name,)) for name in names]
            pool.close()
            for result in results:
                result.get()  # raises what the worker raised
            pool.join()

        or give the call an ``error_callback``.

    Known limits:
        A result that is returned, passed on or stored where it can't be followed
        counts as fetched; in a script, what its own functions give and its
        attributes keep is followed. ``**kwargs`` may hold the callback. In a ``with`` block that
        kills the task MPP403 speaks.

    References:
        Python documentation, ``multiprocessing.pool.Pool.apply_async`` and
        ``multiprocessing.pool.AsyncResult.get``.
    """

    code = "MPP601"
    name = "apply-async-without-error-callback"
    message = (
        "an exception in {callable} is lost: nobody fetches the result of this apply_async() and"
        " it has no error_callback; call get() on the result or give an error_callback"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``apply_async()`` whose errors nobody can see."""
        for task in program.tasks:
            if task.name == "apply_async" and program.results.loses_errors(task):
                yield self.finding(task.call, callable=program.callable_name(task))
