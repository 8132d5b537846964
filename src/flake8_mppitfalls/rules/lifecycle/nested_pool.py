"""MPP411."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.caught import is_caught
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.runs import Step
from flake8_mppitfalls.model.lives.daemons import IN_DAEMON
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Made

_WHAT = {
    api.Kind.POOL: "a pool",
    api.Kind.EXECUTOR: "a process executor",
    api.Kind.MANAGER: "a manager",
    api.Kind.MEMORY_MANAGER: "a shared memory manager",
    api.Kind.PROCESS: "a process",
}


class NestedPool(Rule):
    """A worker of a pool starts processes of its own.

    What it does:
        Finds a ``Process``, ``Pool``, ``Manager`` or ``ProcessPoolExecutor`` that a worker function
        of a ``multiprocessing`` pool starts, or the target of a daemonic process, itself or through
        the functions of this module that it calls.

    Why it is bad:
        The workers of a pool are daemonic, and a daemonic process may have no children, since
        nobody would end them: ``AssertionError: daemonic processes are not allowed to have
        children``. An executor fails at its first task.

    Example:
        ::

            def analyse(folder):
                with multiprocessing.Pool(2) as pool:
                    return pool.map(measure, folder.iterdir())

            with multiprocessing.Pool(4) as pool:
                results = pool.map(analyse, folders)

    Use instead:
        One pool for the small tasks, from the parent; or a ``ProcessPoolExecutor`` outside, whose
        workers are not daemonic::

            with concurrent.futures.ProcessPoolExecutor(4) as executor:
                results = list(executor.map(analyse, folders))

    Known limits:
        A worker that looks at ``current_process().daemon`` first, or changes it, and a pool with
        processes or a context of its own are no findings.

    References:
        Python documentation, ``multiprocessing.Process.daemon``; CPython's
        ``Lib/multiprocessing/process.py``, ``BaseProcess.start``.
    """

    code = "MPP411"
    name = "nested-pool"
    message = (
        "{what} is started here by {worker}, which runs in {outer}: AssertionError: daemonic"
        " processes are not allowed to have children; {cure}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield what daemonic processes start."""
        if not program.starts.made:
            return
        effect = Effect(
            program.runs,
            lambda step: _started(program, step),
            lambda node: _happens(program, node),
        )
        found: set[cst.CSTNode] = set()
        for entry, made in (*program.daemons.pool_entries(), *program.daemons.process_entries()):
            if self._changes_daemon(program, entry):
                continue
            steps = program.runs.steps_of_entry(entry)
            for kind, place in (started for step in steps for started in effect.at(step)):
                if place in found or _is_serial_inside(program, made, place):
                    continue
                found.add(place)
                yield self._found(program, entry, made, kind, place)

    def _found(
        self, program: Program, entry: Entry, made: Made, kind: api.Kind, place: cst.CSTNode
    ) -> Finding:
        pool = made.kind is api.Kind.POOL
        return self.finding(
            place,
            what=_WHAT[kind],
            worker=program.function_name(entry.function, "a lambda"),
            outer="a worker of a Pool" if pool else "a daemonic process",
            cure=(
                "use a ProcessPoolExecutor outside, or start them all from the parent"
                if pool
                else "start it from the parent, or do without daemon=True"
            ),
        )

    def _changes_daemon(self, program: Program, entry: Entry) -> bool:
        """Does the worker make itself an ordinary process: ``current_process().daemon = False``?"""
        tree = program.tree
        marks = [*tree.attributes.get("_config", ())]
        marks += [store.node for store in program.evaluator.classes.stores("daemon")]
        if not marks:
            return False
        reached = program.sides.reach([entry.function]) | program.sides.initializers
        return any(
            isinstance(mark.value, cst.Call)
            and any(function in reached for function in program.sides.functions_around(mark))
            for mark in marks
        )


def _started(program: Program, step: Step) -> Iterator[tuple[api.Kind, cst.CSTNode]]:
    """What a step starts, and where to report it."""
    for start in program.starts.direct(step):
        if start.kind is api.Kind.PROCESS:
            yield start.kind, step.node
        elif not program.sides.is_parent_code(start.site):
            yield start.kind, start.site


def _is_serial_inside(program: Program, made: Made, place: cst.CSTNode) -> bool:
    """Does a task come back to the place of its pool, where a test of the worker count decides?"""
    return place is made.site and any(
        part.deep_equals(arg.value)
        for test, _ in program.conditions.holding(place)
        for part in program.tree.walk(test)
        for arg in getattr(place, "args", ())
    )


def _happens(program: Program, node: cst.CSTNode) -> bool:
    return (
        program.runs.happens(node)
        and program.conditions.runs(node, IN_DAEMON) is not False
        and not is_caught(program, node, "AssertionError")
    )
