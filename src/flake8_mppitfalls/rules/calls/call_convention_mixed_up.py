"""MPP704."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class CallConventionMixedUp(Rule):
    """A worker API is called in the manner of another one.

    What it does:
        Finds arguments in the wrong slot: ``executor.submit(f, args=(x,))``, ``kwargs=`` or
        ``callback=`` where ``f`` has no such parameter; ``pool.apply_async(f, x, y)``;
        ``Process(f)``, whose first parameter is ``group``; ``pool.map(f, a, b)``, whose third is
        ``chunksize``; ``executor.map(f, xs, 8)``, which has no such slot; a keyword that another
        API has; and methods of the other class: ``Pool.submit``, ``executor.apply_async``,
        ``executor.starmap``.

    Why it is bad:
        Four APIs take a callable and its arguments in four ways::

            Process(target=f, args=(x, y), kwargs={"key": z})
            pool.apply_async(f, (x, y), {"key": z})
            executor.submit(f, x, y, key=z)
            loop.run_in_executor(executor, f, x, y)

        What is right for one fails with another, in the parent or, worse, in the worker::

            AssertionError: group argument must be None for now
            TypeError: '<=' not supported between instances of 'list' and 'int'
            AttributeError: 'Pool' object has no attribute 'submit'

    Example:
        ::

            futures = [executor.submit(resize, args=(name, 64)) for name in names]

    Use instead:
        ::

            futures = [executor.submit(resize, name, 64) for name in names]

    Known limits:
        A keyword of ``submit()`` is reported only where the function is defined in this file and
        has no such parameter. ``billiard``'s methods take more parameters and are left alone.

    References:
        Python documentation, ``multiprocessing.Process``, ``multiprocessing.pool.Pool``,
        ``concurrent.futures.Executor``, ``asyncio.loop.run_in_executor``.
    """

    code = "MPP704"
    name = "call-convention-mixed-up"
    message = "{problem}; {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each call that mixes up two APIs."""
        for mixup in program.conventions.all():
            yield self.finding(mixup.node, problem=mixup.problem, cure=mixup.cure)
