"""MPP108."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class ExitWhenImported(Rule):
    """A script that starts processes leaves when it is not the main program.

    What it does:
        Finds ``sys.exit()``, ``exit()``, ``quit()``, ``os._exit()`` and ``raise`` at module level
        in a branch that is taken when ``__name__`` is not ``"__main__"``, in a file that starts
        processes.

    Why it is bad:
        A child that ``spawn`` or ``forkserver`` starts imports the script under the name
        ``__mp_main__`` before it looks for its task. So it leaves there. A ``Process`` ends with
        exit code 0 (or 1, after a ``raise``) and no work done; a ``Pool`` starts worker after
        worker, and its results never come.

    Example:
        ::

            if __name__ != "__main__":
                sys.exit("not meant to be imported")

    Use instead:
        ::

            if __name__ not in ("__main__", "__mp_main__"):
                sys.exit("not meant to be imported")

        Or leave the test out, and put the program under ``if __name__ == "__main__":``.

    Known limits:
        ``assert __name__ == "__main__"`` is not looked for. Silent in ``__main__.py``, which no
        child imports.

    References:
        CPython, ``Lib/multiprocessing/spawn.py``, ``_fixup_main_from_path``.
    """

    code = "MPP108"
    name = "exit-when-imported"
    message = (
        "{what} ends every child that spawn or forkserver starts: it imports this file as"
        ' "__mp_main__", and its work is not done; let that name pass too:'
        ' if __name__ not in ("__main__", "__mp_main__")'
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each exit at module level that a spawned child does not get past."""
        if program.is_main_file or "__name__" not in program.tree.loads:
            return
        for node in _exits(program):
            if program.conditions.is_certain_in_child(node) and program.starts.spawned:
                what = "this raise" if isinstance(node, cst.Raise) else program.source(node)
                yield self.finding(node, what=what)


def _exits(program: Program) -> Iterator[cst.CSTNode]:
    """Every call or ``raise`` at module level that leaves."""
    tree, conditions = program.tree, program.conditions
    nodes: list[cst.CSTNode] = [*tree.nodes(cst.Raise)]
    for name in ("exit", "quit", "_exit", "abort"):
        nodes += [call for call in tree.calls_to(name) if conditions.is_exit(call)]
    for node in nodes:
        scope = tree.function_of(node)
        if not scope.is_function:
            yield node
