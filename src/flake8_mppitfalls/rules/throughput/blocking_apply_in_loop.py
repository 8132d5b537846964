"""MPP505."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model import api
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class BlockingApplyInLoop(Rule):
    """``pool.apply()`` in a loop runs one task after the other.

    What it does:
        Finds ``apply()`` of a process pool in a loop or comprehension, or in a function that
        this module calls in one.

    Why it is bad:
        ``apply()`` waits for its task. So one worker works at a time, the others are idle, and
        the program is slower than without a pool: each argument and each result is pickled and
        sent through a pipe.

    Example:
        ::

            with Pool(4) as pool:
                for name in names:
                    sizes.append(pool.apply(measure, (name,)))

    Use instead:
        ::

            with Pool(4) as pool:
                sizes = pool.map(measure, names)

        or hand out all tasks with ``apply_async()`` and fetch the results afterwards.

    Known limits:
        Silent where the loop has to wait: it tries one task again until it is done, the arguments
        come from the result of an earlier turn, or the result decides whether there is another
        turn; where several threads run the loop, or it asks the user for each task; and where the
        pool has one worker, or is made in the loop itself.

    References:
        Python documentation, ``multiprocessing.pool.Pool.apply``: "it blocks until the result is
        ready".
    """

    code = "MPP505"
    name = "blocking-apply-in-loop"
    message = (
        "apply() waits for {callable} at every turn, so that one task runs after the other; use"
        " map(), or apply_async() for all and get() afterwards"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``apply()`` in a loop that need not wait."""
        for task in program.tasks:
            if task.name != "apply" or not task.receivers or not task.in_processes:
                continue
            if any(made.kind is not api.Kind.POOL for made in task.receivers):
                continue
            turns = program.turns
            if turns.has_one_worker(task):
                continue
            given = list(turns.given_to(task))
            if any(
                not turns.must_be_serial(turn, given)
                for turn in turns.of(task.call, task.call, task.receivers)
            ):
                yield self.finding(task.call, callable=program.callable_name(task))
