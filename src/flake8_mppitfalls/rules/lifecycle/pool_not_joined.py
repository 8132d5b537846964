"""MPP401."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model.lives.results import ASYNCHRONOUS, LAZY
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Made


class PoolNotJoined(Rule):
    """A pool is closed and, on some path, not joined.

    What it does:
        Finds ``close()`` on a ``multiprocessing`` pool with a path after it, to the end of the
        function or the program, on which ``join()`` is not called.

    Why it is bad:
        ``close()`` only says that no more tasks will come. It does not wait: tasks that are
        still running, and those still in the queue, are cut off when the program ends or the
        pool is collected. There is no message: the work is just not done. Where all results were
        fetched before, the workers may still be leaving when the next step begins, with coverage
        data unwritten, temporary files in place, and zombies in the process table.

    Example:
        ::

            pool = multiprocessing.Pool(4)
            for name in names:
                pool.apply_async(convert, (name,), error_callback=print)
            pool.close()

    Use instead:
        ::

            pool = multiprocessing.Pool(4)
            for name in names:
                pool.apply_async(convert, (name,), error_callback=print)
            pool.close()
            pool.join()

    Known limits:
        A ``join()`` that only an exception can skip is no finding. A pool that is returned, passed
        to a function of another module or stored out of sight is not followed. Inside a
        ``with`` block of the pool MPP403 speaks, if a result is not waited for.

    References:
        Python documentation, ``multiprocessing.pool.Pool.close`` and ``Pool.join``; CPython's
        ``Lib/multiprocessing/pool.py``, ``Pool._terminate_pool``.
    """

    code = "MPP401"
    name = "pool-not-joined"
    message = "{pool} is closed here and not joined {where}: {damage}; call join() after close()"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``close()`` after which a path ends without ``join()``."""
        for life, call in program.lifetimes.unjoined("close"):
            yield self.finding(
                call,
                pool=program.receiver(call, "the pool"),
                where="on some path" if life.calls("join") else "afterwards",
                damage=_CUT_OFF if _has_lost_tasks(program, life.made) else _LEAVING,
            )


_CUT_OFF = "tasks that still run are cut off when the program ends"
_LEAVING = "its workers may still be leaving when the next step begins"


def _has_lost_tasks(program: Program, made: Made) -> bool:
    """Does nobody wait for the result of one of its tasks?"""
    return any(
        task.name in ASYNCHRONOUS | LAZY and not program.results.is_fetched(task)
        for task in program.tasks_given_to(made.site)
    )
