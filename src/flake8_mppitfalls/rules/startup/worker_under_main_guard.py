"""MPP106."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.model.pickling.handed import handed, name_of
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.pickling.handed import Definition
    from flake8_mppitfalls.model.program import Program


class WorkerUnderMainGuard(Rule):
    """What a child has to find is defined in the block that only the main program runs.

    What it does:
        Finds a function, a class (by an instance, a bound method or the class itself) or a
        ``Process`` subclass that is defined inside the block of ``if __name__ == "__main__":`` and
        handed to another process: as task, target, initializer or argument.

    Why it is bad:
        A function or class is pickled as its name. A child started by ``spawn`` or ``forkserver``
        imports the script under the name ``__mp_main__``, does not enter the block, and does not
        find the name::

            AttributeError: Can't get attribute 'convert' on <module '__mp_main__' from 'report.py'>

        The workers of a ``Pool`` die of it one after the other and the pool hangs; an executor
        raises ``BrokenProcessPool``.

    Example:
        ::

            if __name__ == "__main__":
                def convert(row):
                    return row.split(";")

                with Pool() as pool:
                    pool.map(convert, rows)

    Use instead:
        ::

            def convert(row):
                return row.split(";")

            if __name__ == "__main__":
                with Pool() as pool:
                    pool.map(convert, rows)

    Known limits:
        Silent in ``__main__.py`` (MPP105 speaks there), for ``multiprocess``, which sends such
        functions by value, and where ``fork`` is all that is configured or pinned.

    References:
        Python documentation, ``multiprocessing``, "The spawn and forkserver start methods".
    """

    code = "MPP106"
    name = "worker-under-main-guard"
    message = (
        "{name} is defined under the main guard, so a child started by spawn or forkserver does"
        " not find it (Can't get attribute '{name}'): define it at module level, above the guard"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield what is handed to another process and defined under the guard."""
        if program.is_main_file or not program.start_methods.configured & SPAWNING:
            return
        if "__name__" not in program.tree.loads:
            return
        for each in handed(program):
            if _is_missing_in_child(program, each.definition):
                yield self.finding(each.place, name=name_of(each.definition))


def _is_missing_in_child(program: Program, definition: Definition) -> bool:
    """True if a child that imports the file does not get this definition, nor one of its name."""
    guarded = program.conditions.is_under_guard
    if not guarded(definition):
        return False
    if isinstance(definition, cst.Call):
        return True
    bindings = program.tree.module_scope.bindings.get(definition.name.value, ())
    return all(guarded(binding.node) for binding in bindings)
