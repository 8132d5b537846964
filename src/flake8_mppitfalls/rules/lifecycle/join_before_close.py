"""MPP404."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model import api
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class JoinBeforeClose(Rule):
    """A pool that still takes tasks is joined.

    What it does:
        Finds ``join()`` on a pool (of processes or threads) that is reached on a path where
        neither ``close()`` nor ``terminate()`` was called before.

    Why it is bad:
        ``join()`` refuses to wait for a pool that may still get tasks: ``ValueError: Pool is
        still running``.

    Example:
        ::

            pool = multiprocessing.Pool(4)
            results = pool.map(work, items)
            pool.join()
            pool.close()

    Use instead:
        ::

            pool = multiprocessing.Pool(4)
            results = pool.map(work, items)
            pool.close()
            pool.join()

    Known limits:
        An exception that skips a ``close()`` does not count. A pool that another function may
        have closed (it is kept on an object, or global) is reported only if nobody does.

    References:
        Python documentation, ``multiprocessing.pool.Pool.join``; CPython's
        ``Lib/multiprocessing/pool.py``, ``Pool.join``.
    """

    code = "MPP404"
    name = "join-before-close"
    message = (
        "{pool} is joined here while it still takes tasks: join() raises ValueError: Pool is"
        " still running; call close() or terminate() first"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``join()`` that a running pool reaches."""
        for kind in (api.Kind.POOL, api.Kind.THREAD_POOL):
            for made in program.made.get(kind, ()):
                for call in program.lifetimes.of(made).early_joins:
                    yield self.finding(call, pool=program.receiver(call, "the pool"))
