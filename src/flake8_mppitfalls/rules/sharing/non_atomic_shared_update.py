"""MPP303."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.loops import COMPREHENSIONS
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.execution.concurrency import SEVERAL
from flake8_mppitfalls.model.sharing.shared_updates import SharedUpdates
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.sharing.shared_updates import Update
    from flake8_mppitfalls.model.values import Made

_KEEPS_APART = (cst.Add, cst.Subtract, cst.Multiply)
_OWN_NAMES = frozenset({"getpid", "current_process", "get_rank", "get_ident"})
_DEEPEST = 3


class NonAtomicSharedUpdate(Rule):
    """Several processes read, change and write back one shared value without a lock.

    What it does:
        Finds ``v.value += …``, ``v.value = … v.value …``, ``arr[i] += …`` and
        ``d[k] = d.get(k, 0) + …`` on a ``Value``, an ``Array``, or a manager's value, list or
        dict, in a function that several processes run, outside of a lock.

    Why it is bad:
        The update is a reading and a writing. Another process may write between the two, and what
        it wrote is lost. The lock that a ``Value`` or ``Array`` has by itself, and the one in the
        manager's process, guard the single reading or writing, not the update. There is no
        error: the total is just too small, now and then.

    Example:
        ::

            def work(total, numbers):
                for number in numbers:
                    total.value += number

    Use instead:
        ::

            def work(total, numbers):
                for number in numbers:
                    with total.get_lock():
                        total.value += number

        For a manager's value or dict, and for a ``RawValue``, a ``Lock`` that is handed to all
        processes.

    Known limits:
        Silent where one process alone writes, for an index that is the worker's own parameter, and
        where a lock is or may be held. An update that the code spreads over several functions is
        not seen.

    References:
        Python documentation, ``multiprocessing.Value``: "Operations like ``+=`` which involve a
        read and write are not atomic".
    """

    code = "MPP303"
    name = "non-atomic-shared-update"
    message = (
        "this update of {target} reads it and then writes it, and several processes do so at a"
        " time: updates are lost; do it {lock}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each update in a worker that another process may come between."""
        if not program.sides.entries():
            return
        updates = list(SharedUpdates(program).all())
        by_made: dict[Made, list[Update]] = {}
        for update in updates:
            for made in dict.fromkeys(update.made):
                by_made.setdefault(made, []).append(update)
        shared = {made for made in by_made if _has_several_writers(program, made, by_made[made])}
        for update in updates:
            if program.sides.worker_of(update.target) is None or _is_own(program, update):
                continue
            if program.locking.is_held(update.target):
                continue
            if not shared.isdisjoint(update.made):
                yield self.finding(
                    update.target,
                    target=program.source(update.target, "a shared value"),
                    lock=_lock(program, update),
                )


def _lock(program: Program, update: Update) -> str:
    shared = program.source(update.shared, "")
    if shared and not update.by_property and all(_has_lock(made) for made in update.made):
        return f"inside with {shared}.get_lock():"
    return "under a lock that all of them share"


def _has_lock(made: Made) -> bool:
    if made.kind not in (api.Kind.VALUE, api.Kind.ARRAY) or not isinstance(made.site, cst.Call):
        return False
    lock = argument(made.site, (), "lock")
    return lock is None or not (isinstance(lock, cst.Name) and lock.value == "False")


# -- who writes ----------------------------------------------------------------------------------


def _has_several_writers(program: Program, made: Made, updates: list[Update]) -> bool:
    """May two processes do updates of what is made at one place at the same time?"""
    if _is_one_of_many(program, made):
        return False
    entries: dict[Entry, None] = {}
    in_parent = False
    for update in updates:
        found = program.concurrency.entries_at(update.target)
        entries.update(dict.fromkeys(_given(program, found, made)))
        in_parent = in_parent or (not found and _is_beside_workers(program, update))
    writers = program.concurrency.total(entries, made.site)
    return writers + (in_parent and writers > 0) >= SEVERAL


def _given(program: Program, entries: list[Entry], made: Made) -> list[Entry]:
    """Those of the entries that get the object as an argument, if any do."""
    given = [
        entry
        for entry in entries
        if entry.task is None or program.concurrency.is_given(entry.task.call.args, made.site)
    ]
    return given if any(entry.task is not None for entry in given) else entries


def _is_one_of_many(program: Program, made: Made) -> bool:
    """Is it made in a comprehension: one for each process, for all we know?"""
    return any(isinstance(loop, COMPREHENSIONS) for loop in program.loops.around(made.site))


def _is_beside_workers(program: Program, update: Update) -> bool:
    """Is it an update of the parent while a process that it started still runs?"""
    if not program.sides.is_parent_code(update.target):
        return False
    steps = program.paths.before(update.target, _joins)
    return any(
        start.kind is api.Kind.PROCESS for step in steps for start in program.starts.direct(step)
    )


def _joins(step: Step) -> bool:
    node = step.node
    return (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value in ("join", "terminate", "kill")
    )


# -- whose part it is ----------------------------------------------------------------------------


def _is_own(program: Program, update: Update) -> bool:
    """Is the index one that the worker alone has, to go by where it comes from?"""
    if update.key is None:
        return False
    if _names_process(program, update.key):
        return True
    if not _is_of_parameter(program, update.key, update):
        return False
    if update.defaults:
        # Counting under a key: workers may be given the same one, unless each counts on its own.
        return program.loops.repeat(update.target)
    return True


def _is_of_parameter(program: Program, node: cst.BaseExpression, update: Update) -> bool:
    """A parameter, a part of one, that plus a constant, or a number of ``range(parameter, …)``."""
    if isinstance(node, cst.BinaryOperation):
        if not isinstance(node.operator, _KEEPS_APART):
            return False
        return _is_of_parameter(program, node.left, update) or _is_of_parameter(
            program, node.right, update
        )
    if _names_process(program, node):
        return True
    state = program.module_state
    if state.is_part_of_parameter(node):
        return not _mentions(program, node, update)
    if isinstance(node, cst.Name):
        bindings = program.names.bindings(node)
        return bool(bindings) and all(
            binding.value is not None
            and (
                _is_own_range(program, binding.value, binding.path, update)
                if binding.kind is Bound.FOR
                else binding.kind is Bound.ASSIGN
                and not binding.path
                and binding.value is not node
                and _is_of_parameter(program, binding.value, update)
            )
            for binding in bindings
        )
    return False


def _names_process(program: Program, node: cst.CSTNode, depth: int = 0) -> bool:
    """``os.getpid()``, ``current_process().name.lower()``: no other process has it."""
    if isinstance(node, cst.FormattedString):
        return any(
            _names_process(program, part.expression)
            for part in node.parts
            if isinstance(part, cst.FormattedStringExpression)
        )
    while isinstance(node, (cst.Attribute, cst.Subscript, cst.Call)):
        if not isinstance(node, cst.Call):
            node = node.value
            continue
        name = program.tree.qualified(node.func)
        if name.rpartition(".")[2] in _OWN_NAMES:
            return True
        if isinstance(node.func, cst.Attribute):
            node = node.func.value
        elif name in ("str", "repr") and node.args:
            node = node.args[0].value
        else:
            return False
    if not isinstance(node, cst.Name) or depth == _DEEPEST:
        return False
    bindings = program.names.bindings(node)
    return bool(bindings) and all(
        b.kind is Bound.ASSIGN
        and b.value is not None
        and not b.path
        and _names_process(program, b.value, depth + 1)
        for b in bindings
    )


def _is_own_range(
    program: Program, iterable: cst.BaseExpression, path: tuple[int, ...], update: Update
) -> bool:
    """``range(start, stop)`` with parameters: the worker's own part of an array.

    Also counted by ``enumerate(range(start, stop))``, or by ``enumerate(rows, start)`` itself.
    """
    if not isinstance(iterable, cst.Call) or not iterable.args:
        return False
    name = program.tree.qualified(iterable.func)
    first = iterable.args[0].value
    if name == "enumerate" and path[:1] == (0,):
        start = argument(iterable, ("iterable", "start"), "start")
        return start is not None and _is_of_parameter(program, start, update)
    if name == "enumerate" and path:
        return _is_own_range(program, first, path[1:], update)
    if name == "reversed":
        return _is_own_range(program, first, path, update)
    return name == "range" and any(
        _is_of_parameter(program, arg.value, update) for arg in iterable.args
    )


def _mentions(program: Program, node: cst.BaseExpression, update: Update) -> bool:
    """Is the expression part of the shared object itself?"""
    return any(
        isinstance(part, (cst.Name, cst.Attribute)) and part.deep_equals(update.shared)
        for part in program.tree.walk(node)
    )
