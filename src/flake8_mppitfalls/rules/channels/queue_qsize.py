"""MPP807."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.caught import is_caught
from flake8_mppitfalls.model.values import Member
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class QueueQsize(Rule):
    """The size of a queue of processes is asked for, which macOS does not know.

    What it does:
        Finds ``qsize()`` of a ``multiprocessing`` ``Queue`` or ``JoinableQueue``.

    Why it is bad:
        The size is the value of a semaphore, and macOS can't tell that value::

            NotImplementedError

        On other platforms the number is one that was true a moment ago: what has been put but not
        yet been written to the pipe is counted, what another process takes now is not.

    Example:
        ::

            while tasks.qsize() > 100:
                time.sleep(0.1)
            tasks.put(task)

    Use instead:
        ::

            tasks = multiprocessing.Queue(maxsize=100)
            tasks.put(task)  # waits while the queue is full

        To show progress, count what has been put and what has come back, in a
        ``multiprocessing.Value`` where several processes do so. A manager's queue has a size on
        every platform.

    Known limits:
        Where the size decides that the work is done, MPP801 says so instead. A class that defines
        its own ``qsize()`` is left alone.

    References:
        Python documentation, ``multiprocessing.Queue.qsize``.
    """

    code = "MPP807"
    name = "queue-qsize"
    message = "{call} raises NotImplementedError on macOS, and is out of date elsewhere: {advice}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``qsize()`` that nobody catches the error of."""
        for call in program.tree.calls_to("qsize"):
            if not any(_is_queue_size(program, v) for v in program.values(call.func)):
                continue
            if program.platforms.is_tested(call) or call in program.queue_ends.premature:
                continue
            if is_caught(program, call, "NotImplementedError", "RuntimeError"):
                continue
            yield self.finding(
                call,
                call=program.source(call, "qsize()"),
                advice="bound the queue with maxsize=, or count what is put and taken",
            )


def _is_queue_size(program: Program, value: object) -> bool:
    """Is it the method of a queue of processes, whatever the platform?"""
    if not isinstance(value, Member) or value.name != "qsize":
        return False
    queue = value.receiver
    if queue.kind is not api.Kind.QUEUE or queue.name == "SimpleQueue":
        return False
    return not isinstance(queue.site, cst.Call) or not program.platforms.is_tested(queue.site)
