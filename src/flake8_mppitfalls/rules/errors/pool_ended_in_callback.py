"""MPP608."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class PoolEndedInCallback(Rule):
    """A callback ends the pool that calls it.

    What it does:
        Finds ``close()`` and ``join()``, or ``terminate()``, of a pool inside a ``callback`` or
        ``error_callback`` of one of its own tasks, or in a function of this module that the
        callback calls. For pools of threads, ``close()`` and ``join()``.

    Why it is bad:
        Callbacks run in the pool's result thread. ``join()`` waits there for workers that wait
        for this very thread: a deadlock. ``terminate()`` there deadlocks while big results are
        under way, and the tasks that it kills never get a result: their ``get()`` waits for ever.

    Example:
        ::

            def found(answer):
                answers.append(answer)
                pool.terminate()

            for part in parts:
                pool.apply_async(search, (part,), callback=found)

    Use instead:
        ::

            done = threading.Event()

            def found(answer):
                answers.append(answer)
                done.set()

            for part in parts:
                pool.apply_async(search, (part,), callback=found)
            done.wait()
            pool.terminate()
            pool.join()

    Known limits:
        What a thread does that the callback starts is not counted: it may wait.

    References:
        Python documentation, ``multiprocessing.pool.Pool.apply_async``: "Callbacks should complete
        immediately since otherwise the thread which handles the results will get blocked".
    """

    code = "MPP608"
    name = "pool-ended-in-callback"
    message = (
        "{pool}.{method}() in the pool's own {slot}{consequence}; set a threading.Event there, wait"
        " for it outside and end the pool after that"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each call by which a callback ends its own pool."""
        for ending in program.callbacks.endings:
            consequence = " waits for the thread that it runs in: a deadlock"
            if ending.method == "terminate":
                consequence = " kills tasks whose get() then never returns, and may deadlock"
            yield self.finding(
                ending.call,
                pool=program.receiver(ending.call, "pool"),
                method=ending.method,
                slot=ending.callback.slot,
                consequence=consequence,
            )
