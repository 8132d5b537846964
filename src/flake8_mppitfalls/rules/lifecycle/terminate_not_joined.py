"""MPP414."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class TerminateNotJoined(Rule):
    """A pool is terminated and, on some path, not joined.

    What it does:
        Finds ``terminate()`` on a ``multiprocessing`` pool with a path after it, to the end of
        the function or the program, on which ``join()`` is not called.

    Why it is bad:
        The documented protocol is ``terminate()`` (or ``close()``), then ``join()``: "One must
        call ``close()`` or ``terminate()`` before using ``join()``", which waits for the workers
        to exit. CPython's ``Pool.terminate()`` waits for its workers today, so little is seen
        there; the pool's helper threads may still run, and other implementations need the
        ``join()``. The rule has a code of its own, so that it can be ignored by itself.

    Example:
        ::

            try:
                pages = pool.map(fetch, urls)
            except KeyboardInterrupt:
                pool.terminate()

    Use instead:
        ::

            try:
                pages = pool.map(fetch, urls)
            except KeyboardInterrupt:
                pool.terminate()
                pool.join()

    Known limits:
        Inside a ``with`` block of the pool nothing is reported: leaving it terminates anyway.
        Neither is a program that exits at once (``sys.exit()``, ``os._exit()``).

    References:
        Python documentation, ``multiprocessing.pool.Pool.terminate`` and ``Pool.join``;
        CPython's ``Lib/multiprocessing/pool.py``, ``Pool._terminate_pool``.
    """

    code = "MPP414"
    name = "terminate-not-joined"
    message = (
        "{pool} is terminated here and not joined {where}: its workers may still be leaving when"
        " the next step begins; call join() after terminate()"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``terminate()`` after which a path ends without ``join()``."""
        for life, call in program.lifetimes.unjoined("terminate"):
            if not program.lifetimes.exits_at_once(call):
                yield self.finding(
                    call,
                    pool=program.receiver(call, "the pool"),
                    where="on some path" if life.calls("join") else "afterwards",
                )
