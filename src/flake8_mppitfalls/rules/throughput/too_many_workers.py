"""MPP501."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.numbers.amounts import Amount, Type
from flake8_mppitfalls.model.numbers.worker_counts import constructors, is_on_windows
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.settings import MAX_WORKERS

if TYPE_CHECKING:
    from flake8_mppitfalls.model.numbers.worker_counts import Constructor
    from flake8_mppitfalls.model.program import Program


class TooManyWorkers(Rule):
    """A pool gets more workers than Windows can wait for.

    What it does:
        Finds a worker count of a process pool or executor that the file shows to be over 61: a
        literal, a constant, arithmetic on them, the default of a parameter that is passed through,
        ``max(64, …)``. The option ``--mpp-max-workers`` sets another limit.

    Why it is bad:
        Windows waits for at most 63 things at once, and a pool needs two of them for itself.
        ``ProcessPoolExecutor`` checks it: ``ValueError: max_workers must be <= 61``. A ``Pool``
        does not: the thread that looks after its workers dies with ``ValueError: need at most 63
        handles, got a sequence of length 66``, and the pool hangs.

    Example:
        ::

            with ProcessPoolExecutor(max_workers=64) as executor:
                sizes = list(executor.map(measure, names))

    Use instead:
        ::

            with ProcessPoolExecutor(max_workers=min(61, 4 * len(names))) as executor:
                sizes = list(executor.map(measure, names))

    Known limits:
        Code that runs on other platforms only (``if sys.platform != "win32":``), or whose start
        method is pinned to one that Windows does not have, is left alone. A count that depends on
        the machine or the data is MPP503's.

    References:
        Python documentation, ``concurrent.futures.ProcessPoolExecutor``: "On Windows,
        *max_workers* must be less than or equal to 61"; CPython issue 71090 (bpo-26903).
    """

    code = "MPP501"
    name = "too-many-workers"
    message = "{constructor} gets {count} workers{from_}: {trouble}; {remedy}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each worker count that is shown to be over the limit."""
        limit = program.settings.max_workers
        for constructor in constructors(program):
            given = constructor.given(program, constructor.maker.count)
            if given is None:
                continue
            most = _over(program.counts_on_windows.of(given.value), limit)
            if most is None or not is_on_windows(program, constructor):
                continue
            yield self.finding(
                given.place,
                constructor=program.source(constructor.call.func, constructor.maker.name),
                count=_text(most),
                from_=_origin(program, given.place),
                trouble=_trouble(constructor, limit),
                remedy=f"make it {limit} at most",
            )


def _over(amounts: tuple[Amount, ...], limit: int) -> Amount | None:
    shown = [a for a in amounts if a.type in (Type.INTEGER, Type.ANY) and a.shown.low > limit]
    return max(shown, key=lambda a: a.shown.low, default=None)


def _text(amount: Amount) -> str:
    low = amount.shown.low
    number = str(int(low)) if low == int(low) else str(low)
    return number if amount.shown.is_exact else f"at least {number}"


def _origin(program: Program, node: cst.BaseExpression) -> str:
    """The expression, where it is no literal."""
    text = program.text(node)
    return "" if not text or isinstance(node, cst.Integer) else f" ({text})"


def _trouble(constructor: Constructor, limit: int) -> str:
    if limit != MAX_WORKERS:
        return f"the limit that is set for this project (mpp-max-workers) is {limit}"
    if constructor.made.kind is api.Kind.EXECUTOR:
        return "on Windows it raises ValueError: max_workers must be <= 61"
    return "on Windows the thread that waits for them dies (ValueError: need at most 63 handles)"
