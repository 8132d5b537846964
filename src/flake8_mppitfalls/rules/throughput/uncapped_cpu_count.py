"""MPP503."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.numbers.amounts import Amount, Amounts, Type
from flake8_mppitfalls.model.numbers.worker_counts import constructors, is_on_windows
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.settings import MAX_WORKERS

if TYPE_CHECKING:
    from flake8_mppitfalls.model.numbers.worker_counts import Constructor
    from flake8_mppitfalls.model.program import Program


class UncappedCpuCount(Rule):
    """A pool gets as many workers as the machine has processors, or the data has items.

    What it does:
        Finds a worker count of a process pool or executor that grows with the machine or the data
        and has no upper bound of 61: ``os.cpu_count()`` and its relatives (``psutil``'s,
        ``len(os.sched_getaffinity(0))``), ``len(x)``, a multiple of these, ``cpu_count() - n``, the
        smallest or largest of them; also a ``Pool`` without a count, which takes the number of
        processors. The count is followed through names, attributes, parameters and returns. The
        rule is off unless ``--mpp-opt-in`` names it.

    Why it is bad:
        Windows waits for at most 61 workers. On a machine with more logical processors
        ``ProcessPoolExecutor`` raises ``ValueError: max_workers must be <= 61``; in a ``Pool`` the
        thread that looks after the workers dies with ``ValueError: need at most 63 handles``.

    Example:
        ::

            with ProcessPoolExecutor(max_workers=os.cpu_count()) as executor:
                pages = list(executor.map(render, documents))

    Use instead:
        ::

            with ProcessPoolExecutor(max_workers=min(61, os.cpu_count() or 1)) as executor:
                pages = list(executor.map(render, documents))

        or no ``max_workers`` at all: an executor bounds its own default.

    Known limits:
        A count that also depends on what the file does not show (``min(jobs, os.cpu_count())``
        with ``jobs`` from outside) is left alone.

    References:
        Python documentation, ``concurrent.futures.ProcessPoolExecutor``: "On Windows,
        *max_workers* must be less than or equal to 61"; CPython issue 71090 (bpo-26903).
    """

    code = "MPP503"
    name = "uncapped-cpu-count"
    message = "{constructor} gets {count} without an upper bound: {trouble}; use {remedy}"
    opt_in = True

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each count that grows with the machine or the data, and each ``Pool()``."""
        limit = program.settings.max_workers
        for constructor in constructors(program):
            given = constructor.given(program, constructor.maker.count)
            place: cst.BaseExpression
            if given is None:
                if not constructor.is_complete or constructor.made.kind is not api.Kind.POOL:
                    continue
                place, source, processors = constructor.call, "", True
            else:
                amounts = program.counts_on_windows.of(given.value)
                found = _uncapped(amounts, constructor, limit)
                if found is None:
                    continue
                place, source, processors = given.place, found.source, found.processors
            if not is_on_windows(program, constructor):
                continue
            yield self.finding(
                place,
                constructor=program.source(constructor.call.func, constructor.maker.name),
                count=_text(source, processors),
                trouble=_trouble(constructor, limit, processors=processors),
                remedy=f"min({limit}, {_remedied(program, place, source)})",
            )


def _uncapped(amounts: Amounts, constructor: Constructor, limit: int) -> Amount | None:
    """The amount that has no bound, if there is one that is not MPP501's."""
    if any(a.type in (Type.INTEGER, Type.ANY) and a.shown.low > limit for a in amounts):
        return None
    for amount in amounts:
        if amount.source and amount.possible.high > limit:
            return amount
    if constructor.made.kind is api.Kind.POOL:
        if any(amount.type is Type.NONE for amount in amounts):
            return Amount(Type.NONE, processors=True)
    return None


def _remedied(program: Program, place: cst.BaseExpression, source: str) -> str:
    """What is to be bounded: the expression as it stands, if it is a short one."""
    if not source:
        return "os.cpu_count() or 1"
    return program.text(place) or source


def _text(source: str, processors: bool) -> str:
    if not source:
        return "a worker for each processor"
    kind = "processors" if processors else "items"
    return f"a number of workers that grows with the {kind} ({source})"


def _trouble(constructor: Constructor, limit: int, *, processors: bool) -> str:
    what = "processors" if processors else "of them"
    if limit != MAX_WORKERS:
        return f"with over {limit} {what} it is over the limit of this project (mpp-max-workers)"
    if constructor.made.kind is api.Kind.EXECUTOR:
        return f"on Windows, with over 61 {what}, it raises ValueError: max_workers must be <= 61"
    return (
        f"on Windows, with over 61 {what}, the thread that waits for them dies (ValueError: need"
        " at most 63 handles)"
    )
