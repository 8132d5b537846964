"""MPP107."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.parent_state import ParentState
from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.model.execution.worlds import CHILD
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class ParentStateInWorker(Rule):
    """A worker reads a global of the module that only the parent gives its value.

    What it does:
        Finds a function that runs in a worker, however many calls deep, and reads a name of the
        module that is bound under the main guard only, or that holds a placeholder (``None``,
        ``0``, an empty container) until a function of the parent binds it through ``global`` or
        fills it.

    Why it is bad:
        A child that ``spawn`` or ``forkserver`` starts does not get the memory of its parent. It
        imports the module, and has what the import gives: nothing of what the guard's block or
        ``main()`` set. So it fails, or goes on with the placeholder::

            NameError: name 'options' is not defined

        Under ``fork`` the same program works, and breaks on Windows, on macOS, and on Linux with
        Python 3.14.

    Example:
        ::

            def price(hours):
                return hours * rate

            if __name__ == "__main__":
                rate = float(sys.argv[1])
                with Pool() as pool:
                    print(pool.map(price, [1, 2]))

    Use instead:
        ::

            def set_up(value):
                global rate
                rate = value

            if __name__ == "__main__":
                with Pool(initializer=set_up, initargs=(float(sys.argv[1]),)) as pool:
                    print(pool.map(price, [1, 2]))

        Or hand the value to the worker as an argument.

    Known limits:
        Attributes of module-level objects are not followed. A name that the worker compares with
        ``None`` and gets along without is not reported.

    References:
        Python documentation, ``multiprocessing``, "The spawn and forkserver start methods",
        "Explicitly pass resources to child processes".
    """

    code = "MPP107"
    name = "parent-state-in-worker"
    message = (
        "{name} gets its value in the parent only ({where}): a worker started by spawn or"
        " forkserver {sees} here; pass it as an argument, or set it in the pool's initializer"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the first read of each such name in each worker function."""
        if program.is_main_file or not program.start_methods.configured & SPAWNING:
            return
        if not program.sides.entries():
            return
        body = program.tree.module.body
        if body and program.conditions.is_guarded(body[-1]):
            return  # MPP108: a child does not get through the import
        state = ParentState(program)
        if not state.workers:
            return
        for name in program.tree.module_scope.bindings:
            if name not in program.tree.loads or state.is_settled(name):
                continue
            for load in _first_reads(program, state, name):
                given = state.given_by_parent(name)
                if given is None:
                    break
                if state.gets_along_without(load):
                    continue
                yield self.finding(load, name=name, where=given.where, sees=given.sees)


def _first_reads(program: Program, state: ParentState, name: str) -> list[cst.Name]:
    """The first read of a name of the module in each worker function, nested ones counted to it."""
    found: dict[cst.CSTNode, cst.Name] = {}
    for load in program.module_state.reads(name):
        worker = None
        for function in program.sides.functions_around(load):
            if function in state.workers:
                worker = function
        if worker is None or worker in found:
            continue
        if program.conditions.is_under_guard(worker):
            continue  # MPP106: the child does not find the function itself
        if program.conditions.runs(load, CHILD) is not False:
            found[worker] = load
    return list(found.values())
