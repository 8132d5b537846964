"""MPP301."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_VALUES = frozenset({Bound.ASSIGN, Bound.AUGMENTED, Bound.FOR, Bound.WITH, Bound.OTHER})


class GlobalForSharing(Rule):
    """A worker sets a global, and the parent reads its own.

    What it does:
        Finds a ``global`` statement in a function that runs in another process and binds the
        name, where code that runs in the parent reads it afterwards.

    Why it is bad:
        Every process has its own copy of the module. The worker's assignment changes the worker's
        copy; the parent goes on with the value that it had before. There is no error: the
        counter stays 0, the flag stays ``False``, the result stays ``None``.

    Example:
        ::

            errors = 0

            def check(row):
                global errors
                if not row.isdigit():
                    errors += 1

            def main():
                with multiprocessing.Pool(4) as pool:
                    pool.map(check, rows)
                print(errors)  # always 0

    Use instead:
        ::

            def check(row):
                return not row.isdigit()

            def main():
                with multiprocessing.Pool(4) as pool:
                    print(sum(pool.map(check, rows)))

        or a ``multiprocessing.Value`` that the initializer gives to each worker, changed under its
        lock.

    Known limits:
        Silent in initializers, where giving each worker its own state is the documented way, and
        where the worker only keeps a parameter, or a part of one, in the global. What the parent
        reads before any work is handed out, or has bound itself since, is not counted.

    References:
        Python documentation, ``multiprocessing``, "Programming guidelines", "Global variables".
    """

    code = "MPP301"
    name = "global-for-sharing"
    message = (
        "{names} set in {function}() {changes} in the worker process only: the parent reads its own"
        " copy, which stays as it was; return the value, or share it as a Value or by a Manager"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``global`` statement of a worker whose names the parent reads."""
        statements = program.tree.nodes(cst.Global)
        if not statements or not program.sides.entries():
            return
        for statement in statements:
            function = program.sides.worker_of(statement)
            if function is None or _is_initializer(program, statement):
                continue
            names = [
                item.name.value
                for item in statement.names
                if _is_set(program, statement, item.name.value)
                and program.module_state.parent_reads(item.name.value)
            ]
            if names:
                yield self.finding(
                    statement,
                    names=", ".join(names),
                    function=function.name.value
                    if isinstance(function, cst.FunctionDef)
                    else "the task",
                    changes="change" if len(names) > 1 else "changes",
                )


def _is_initializer(program: Program, node: cst.CSTNode) -> bool:
    sides = program.sides
    return any(function in sides.initializers for function in sides.functions_around(node))


def _is_set(program: Program, statement: cst.Global, name: str) -> bool:
    """Does the function give the name a value that is not just what it was given itself?"""
    state = program.module_state
    scope = program.tree.function_of(statement)
    return not state.is_one_constant(name) and any(
        binding.kind in _VALUES
        and not state.is_given(binding)
        and not state.is_made_alike_in_parent(binding)
        for binding in state.bound_in(scope, name)
    )
