"""MPP508."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model.execution.event_loop import EventLoop
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class PoolBlocksEventLoop(Rule):
    """A coroutine waits for processes without ``await``.

    What it does:
        Finds, in an ``async def``, calls that wait for processes: ``pool.map()``,
        ``pool.apply()``, ``get()`` of an asynchronous result, ``result()`` of a process executor's
        future, going through ``executor.map()``, ``join()`` of a process; and the end of a ``with``
        block of a process executor, its ``shutdown()`` or the ``join()`` of a pool, where it waits
        for a task that the coroutine has not awaited.

    Why it is bad:
        The call does not come back to the event loop before the processes are done. Until then no
        other coroutine runs: no request is answered, no timeout fires, no cancellation arrives.

    Example:
        ::

            async def thumbnails(executor, pictures):
                return list(executor.map(shrink, pictures))

    Use instead:
        ::

            async def thumbnails(executor, pictures):
                loop = asyncio.get_running_loop()
                tasks = [loop.run_in_executor(executor, shrink, p) for p in pictures]
                return await asyncio.gather(*tasks)

        or ``await asyncio.to_thread(pool.map, shrink, pictures)``.

    Known limits:
        Functions that are not ``async`` themselves are left alone, and results that are known to be
        there: asked with ``done()``, or awaited before.

    References:
        Python documentation, ``asyncio``, "Developing with asyncio": "Running Blocking Code";
        ``loop.run_in_executor``.
    """

    code = "MPP508"
    name = "pool-blocks-event-loop"
    message = (
        "{what}, and the event loop stands still until they are done; await them with"
        " loop.run_in_executor(), asyncio.wrap_future() or asyncio.to_thread()"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each place in a coroutine that blocks the event loop."""
        for stop in EventLoop(program).stops():
            yield self.finding(stop.node, what=stop.what)
