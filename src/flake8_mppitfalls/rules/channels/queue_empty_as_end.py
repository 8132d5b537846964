"""MPP801."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class QueueEmptyAsEnd(Rule):
    """A queue that is empty now is taken for one that nothing more comes from.

    What it does:
        Finds ``empty()`` and ``qsize()`` of a queue of processes where they decide that the work
        is done: ``while not q.empty():``, ``if q.empty(): break``, ``while q.qsize() > 0:``,
        ``for _ in range(q.qsize()):``, ``assert q.empty()``, also through a name or a function of
        the module. A manager's queue and a ``SimpleQueue`` too, where several processes take from
        it, or one takes while another may still put.

    Why it is bad:
        ``put()`` hands the item to a thread, which writes it to a pipe a little later. Until then
        the queue is empty, even for the process that has filled it. So the loop ends before all
        has been read, and the rest is lost without an error, now and then. Where several processes
        read, the last item may be taken between the question and ``get()``, which then waits for
        ever.

    Example:
        ::

            def work(tasks, results):
                while not tasks.empty():
                    results.put(solve(tasks.get()))

    Use instead:
        An end marker for each reader::

            def work(tasks, results):
                for task in iter(tasks.get, None):
                    results.put(solve(task))

        and read as many results as there are tasks.

    Known limits:
        Silent where one process alone reads after the writers were joined, where a round of a
        polling loop is ended and not the loop, and where something else must be so, too (``while
        worker.is_alive() or not q.empty():``). A function that nothing in this file calls is only
        judged by what it shows itself.

    References:
        Python documentation, ``multiprocessing.Queue.empty``: "Because of
        multithreading/multiprocessing semantics, this is not reliable".
    """

    code = "MPP801"
    name = "queue-empty-as-end"
    message = (
        "{call} tells what is in the queue now, not that the work is done: {reason}; put an end"
        " marker (None) for each reader, or count what has to come"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each question for emptiness that ends the work too early."""
        for call, reason in program.queue_ends.premature.items():
            yield self.finding(call, call=program.source(call, "this"), reason=reason)
