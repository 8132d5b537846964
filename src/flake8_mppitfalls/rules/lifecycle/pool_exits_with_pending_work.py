"""MPP403."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class PoolExitsWithPendingWork(Rule):
    """The ``with`` block of a pool ends before its tasks are done.

    What it does:
        Finds ``apply_async()``, ``map_async()``, ``starmap_async()``, ``imap()`` and
        ``imap_unordered()`` in a ``with`` block of their pool (of processes or threads) from
        which a path leads to the end of the block without waiting: no ``get()`` or ``wait()``
        on the result, no iteration over it, and no ``close()`` and ``join()`` of the pool. Also
        in a function of the module to which the block hands the pool.

    Why it is bad:
        Leaving the block calls ``terminate()``, not ``close()`` and ``join()``: what is not yet
        done is killed without a word. No exception, no callback, no result. A lazy iterator that
        is returned out of the block never gives anything: the loop over it hangs.

    Example:
        ::

            with multiprocessing.Pool(4) as pool:
                for name in names:
                    pool.apply_async(convert, (name,), error_callback=print)

    Use instead:
        ::

            with multiprocessing.Pool(4) as pool:
                for name in names:
                    pool.apply_async(convert, (name,), error_callback=print)
                pool.close()
                pool.join()

    Known limits:
        A result that is handed to other code inside the block counts as waited for. So does a
        ``while`` loop, or a blocking read of a queue, behind the task: it may wait for what a
        callback or the task itself brings.

    References:
        Python documentation, ``multiprocessing.pool.Pool``: "``__exit__()`` calls
        ``terminate()``"; CPython's ``Lib/multiprocessing/pool.py``, ``Pool.__exit__``.
    """

    code = "MPP403"
    name = "pool-exits-with-pending-work"
    message = (
        "tasks from {method}() are killed when this with block ends: {cure} inside it, or call"
        " {pool}.close() and {pool}.join() there"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each task call that may outlive the ``with`` block of its pool."""
        for task in program.tasks:
            if program.results.dies_with_block(task):
                lazy = task.name.startswith("imap")
                yield self.finding(
                    task.call,
                    method=task.name,
                    pool=program.receiver(task.call, "the pool"),
                    cure="iterate over the results" if lazy else "fetch the results",
                )
