"""MPP609."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class ExitCodeIgnored(Rule):
    """A process is joined and nobody asks how it ended. Opt-in.

    What it does:
        Finds ``join()`` on a ``Process`` whose ``exitcode`` is not read and from which no result
        is expected: no queue, pipe, shared value, manager's proxy or file among its arguments. A
        lock is no result. Switched on by ``--mpp-opt-in=MPP609``.

    Why it is bad:
        ``join()`` returns for a process that died just as for one that worked. A traceback of the
        child may go to its standard error (``Process Process-1: Traceback ...``); a child that was
        killed, for want of memory, says nothing at all. The program goes on as if the work were
        done.

    Example:
        ::

            for process in processes:
                process.join()

    Use instead:
        ::

            for process in processes:
                process.join()
                if process.exitcode != 0:
                    raise RuntimeError(f"{process.name} ended with {process.exitcode}")

    Known limits:
        Silent where the process is terminated, where its arguments can't be resolved, and where
        the process goes to code that this file does not show. An ``Event`` or a queue that only
        brings input counts as a result, too.

    References:
        Python documentation, ``multiprocessing.Process.exitcode``.
    """

    code = "MPP609"
    name = "exit-code-ignored"
    message = (
        "after this join() nobody reads {process}.exitcode, and no result comes from it: a child"
        " that died looks like one that worked; check that exitcode is 0"
    )
    opt_in = True

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``join()`` after which nobody asks how the process ended."""
        for join, _ in program.outcomes.ignored():
            yield self.finding(join, process=program.receiver(join, "the process"))
