"""MPP502."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.numbers.amounts import Amount, Type
from flake8_mppitfalls.model.numbers.worker_counts import constructors
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program

_MAPPING = frozenset({"map", "map_async", "starmap", "starmap_async"})
_WHOLE = "make it a whole number (//, int())"


class _Count(NamedTuple):
    """A count that is given to a constructor or method."""

    value: cst.BaseExpression
    place: cst.BaseExpression
    parameter: str
    called: str
    kind: api.Kind
    method: str = ""


class NoWorkers(Rule):
    """A worker count, chunk size or number of tasks per worker that is below 1, or no integer.

    What it does:
        Finds a worker count of a process pool or executor that the file shows to be below 1 or not
        an integer (``cpu_count() / 2``); the same for ``maxtasksperchild``,
        ``max_tasks_per_child`` and ``chunksize``. Where MPP502 is named in ``--mpp-opt-in``, also
        ``cpu_count() - n`` without a lower bound: it is 0 on a machine with n processors.

    Why it is bad:
        ``Pool`` raises ``ValueError: Number of processes must be at least 1``, or ``TypeError:
        'float' object cannot be interpreted as an integer``; ``ProcessPoolExecutor`` raises
        ``ValueError: max_workers must be greater than 0``. A chunk size below 1 makes ``imap()``
        raise ``ValueError: Chunksize must be 1+, not 0``, but ``map()`` runs no task at all and
        returns a list of ``None``; with a chunk size that is a float ``map()`` never returns.

    Example:
        ::

            with Pool(cpu_count() / 2) as pool:
                totals = pool.map(total, rows, chunksize=len(rows) / 10)

    Use instead:
        ::

            with Pool(max(1, cpu_count() // 2)) as pool:
                totals = pool.map(total, rows, chunksize=max(1, len(rows) // 10))

    Known limits:
        A number that comes from outside (an argument, a file) is not known. Threads are left
        alone.

    References:
        Python documentation, ``multiprocessing.pool.Pool`` and
        ``concurrent.futures.ProcessPoolExecutor``; CPython's ``Lib/multiprocessing/pool.py``,
        ``Pool.__init__``, ``Pool._map_async`` and ``Pool.imap``.
    """

    code = "MPP502"
    name = "no-workers"
    message = "{count}: {trouble}; {remedy}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each count that is shown to be wrong."""
        for count in _counts(program):
            amounts = program.counts.of(count.value)
            for amount in amounts:
                wrong = _wrong(amount, count, opt_in=program.settings.wants(self.code))
                if wrong is None:
                    continue
                value, trouble, remedy = wrong
                if "Error" in trouble and program.conditions.expects(
                    count.place, trouble.partition("Error")[0].rpartition(" ")[2] + "Error"
                ):
                    break
                if program.counts.is_possible(count.place):
                    yield self.finding(
                        count.place,
                        count=_text(program, count, value),
                        trouble=trouble,
                        remedy=remedy,
                    )
                break


def _counts(program: Program) -> Iterator[_Count]:
    for constructor in constructors(program):
        maker = constructor.maker
        for parameter in (maker.count, "maxtasksperchild", "max_tasks_per_child"):
            if parameter in maker.parameters:
                given = constructor.given(program, parameter)
                if given is not None:
                    name = program.source(constructor.call.func, maker.name)
                    yield _Count(*given, parameter, name, constructor.made.kind)
    for task in program.tasks:
        node = _chunk_size(task)
        if node is not None and task.in_processes and task.receivers:
            yield _Count(node, node, "chunksize", task.name, task.receivers[0].kind, task.name)


def _text(program: Program, count: _Count, value: str) -> str:
    """``processes=jobs is 0``; what is written as a literal needs no second mention."""
    text = program.text(count.place)
    if text in (value, "None"):
        return f"{count.parameter}={text}"
    return f"{count.parameter}={text} is {value}" if text else f"{count.parameter} is {value}"


def _chunk_size(task: Task) -> cst.BaseExpression | None:
    if "chunksize" in task.parameters or task.name == "map":
        return argument(task.call, task.parameters, "chunksize")
    return None


def _wrong(amount: Amount, count: _Count, *, opt_in: bool) -> tuple[str, str, str] | None:
    """What is wrong with a number: its value, what happens, what to do."""
    if amount.type is Type.NONE:
        refused = count.parameter == "chunksize" and not _takes_none(count)
        return ("None", f"{count.called}() raises TypeError", "leave it out") if refused else None
    if amount.type is Type.TEXT:
        return ("a string", _refusal(count, "a string"), "convert it with int()")
    if amount.type is Type.FLOAT:
        if count.method.startswith("imap") and amount.exact == 1:
            return None
        return (_float(amount), _refusal(count, "a float"), _WHOLE)
    least = "make it at least 1"
    if count.parameter != "chunksize":
        least += ", or None for the default"
    if amount.shown.high < 1:
        exact = amount.exact
        value = str(exact) if exact is not None else "less than 1"
        return (value, _refusal(count, "too small"), least)
    if opt_in and amount.reduced and _LEAST <= amount.possible.low < 1:
        value = f"{int(amount.possible.low)} on a machine with one processor"
        return (value, _refusal(count, "too small"), "use max(1, …)")
    return None


_LEAST = -1000
"""What may be still less is not known at all."""


def _float(amount: Amount) -> str:
    exact = amount.exact
    return f"the float {exact}" if exact is not None else "a float"


def _takes_none(count: _Count) -> bool:
    return count.kind is api.Kind.POOL and count.method in _MAPPING


def _refusal(count: _Count, what: str) -> str:
    """What Python does with a number that is too small, a float or a string."""
    called = f"{count.called}()"
    if count.parameter == "chunksize":
        return _chunk_refusal(count, what, called)
    if count.parameter == "maxtasksperchild":
        return f"{called} raises ValueError: maxtasksperchild must be a positive int or None"
    if count.parameter == "max_tasks_per_child":
        if what == "too small":
            return f"{called} raises ValueError: max_tasks_per_child must be >= 1"
        return f"{called} raises TypeError: max_tasks_per_child must be an integer"
    if what == "a float":
        return f"{called} raises TypeError: 'float' object cannot be interpreted as an integer"
    if what == "a string":
        return f"{called} raises TypeError, as a string can't be compared with 0"
    if count.kind is api.Kind.EXECUTOR:
        return f"{called} raises ValueError: max_workers must be greater than 0"
    return f"{called} raises ValueError: Number of processes must be at least 1"


def _chunk_refusal(count: _Count, what: str, called: str) -> str:
    if what == "a string":
        return f"{called} raises TypeError, as a string can't be compared with a number"
    if count.kind is api.Kind.POOL and count.method in _MAPPING:
        if what == "a float":
            return f"the thread that hands out the tasks fails, and {called} never gives a result"
        return f"{called} runs no task and gives None for each item"
    if what == "a float":
        return f"{called} raises ValueError or TypeError in islice()"
    if count.kind is api.Kind.EXECUTOR:
        return f"{called} raises ValueError: chunksize must be >= 1."
    return f"{called} raises ValueError: Chunksize must be 1+"
