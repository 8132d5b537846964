"""MPP101."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.loops import LOOPS
from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import ScopeKind

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.starts import Start
    from flake8_mppitfalls.model.program import Program

_STARTED = {
    api.Kind.POOL: "the workers of a pool",
    api.Kind.EXECUTOR: "a worker of the executor",
    api.Kind.PROCESS: "a process",
    api.Kind.MANAGER: "the process of a manager",
    api.Kind.MEMORY_MANAGER: "the process of a manager",
}


class MissingMainGuard(Rule):
    """A process is started while the module is being imported.

    What it does:
        Finds a process, pool or manager that is started, and an executor that gets its first task,
        at module level outside of ``if __name__ == "__main__":``, or in a function of the module
        that is called there, however deep.

    Why it is bad:
        Under ``spawn`` (the default on Windows and macOS) and ``forkserver`` (the default on Linux
        since Python 3.14) a child imports the script before it does its work. So it comes to the
        same line and starts a process itself, which Python refuses::

            RuntimeError:
                    An attempt has been made to start a new process before the
                    current process has finished its bootstrapping phase.

        A ``Pool`` replaces the dead worker for ever, and the program hangs. An executor ends with
        ``BrokenProcessPool``. Where the refusal does not come, the script runs once more for each
        worker.

    Example:
        ::

            from multiprocessing import Pool

            with Pool(4) as pool:
                print(pool.map(abs, [-1, 2]))

    Use instead:
        ::

            from multiprocessing import Pool

            def main():
                with Pool(4) as pool:
                    print(pool.map(abs, [-1, 2]))

            if __name__ == "__main__":
                main()

    Known limits:
        Silent in ``__main__.py``, which no child imports, where ``fork`` is all that is configured
        or the code itself pins it, and for a process that code of another module starts.

    References:
        Python documentation, ``multiprocessing``, "Safe importing of main module".
    """

    code = "MPP101"
    name = "missing-main-guard"
    message = (
        "{what} starts {started} while the module is imported, and a child started by spawn or"
        " forkserver imports it again: it fails in its bootstrapping phase or runs the script once"
        ' more; move the call under if __name__ == "__main__":'
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each call at module level that starts something; each executor's first use."""
        if program.is_main_file or not program.start_methods.configured & SPAWNING:
            return
        starts = program.starts
        if not starts.spawned:
            return
        seen: set[cst.CSTNode] = set()
        for step in program.runs.steps(program.tree.module):
            started = [s for s in starts.at_import.at(step) if s.site not in seen]
            if not started:
                continue
            seen.update(s.site for s in started if _is_made_once(program, s))
            first = started[0]
            place = first.site if _is_entered(program, first) else step.node
            yield self.finding(
                place,
                what=program.source(place, "this call"),
                started=_STARTED[first.kind],
            )


def _is_at_module_level(program: Program, node: cst.CSTNode) -> bool:
    return program.tree.function_of(node).kind in (ScopeKind.MODULE, ScopeKind.CLASS)


def _is_made_once(program: Program, start: Start) -> bool:
    """True if what is started at ``start`` is one thing, however often its site is met."""
    if not isinstance(start.site, cst.Call) or not _is_at_module_level(program, start.site):
        return False
    if start.kind is api.Kind.EXECUTOR:
        return True
    return not any(isinstance(node, LOOPS) for node in program.tree.ancestors(start.site))


def _is_entered(program: Program, start: Start) -> bool:
    """True for an executor that is made where it is entered: ``with ProcessPoolExecutor():``."""
    if start.kind is not api.Kind.EXECUTOR or not _is_at_module_level(program, start.site):
        return False
    parent = program.tree.parent(start.site)
    if isinstance(parent, cst.Arg):
        call = program.tree.parent(parent)
        return (
            isinstance(call, cst.Call)
            and isinstance(call.func, cst.Attribute)
            and call.func.attr.value in ("enter_context", "enter_async_context")
        )
    return isinstance(parent, cst.WithItem)
