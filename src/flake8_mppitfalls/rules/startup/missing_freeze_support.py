"""MPP102."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls import project
from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.model.values import BoundMethod, Function
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


_FROZEN_WORDS = ("frozen", "_MEIPASS", "__compiled__")
"""A text without any of these does not ask whether it is frozen."""


class MissingFreezeSupport(Rule):
    """A program that is frozen into an executable does not call ``freeze_support()``.

    What it does:
        Finds a script with a main guard that starts processes, itself or through modules of its
        own project that it imports, that is frozen into an executable, and that never calls
        ``multiprocessing.freeze_support()``.

        A program counts as frozen if ``--mpp-frozen=yes`` says so or, by default, where its code
        asks (``sys.frozen``, ``sys._MEIPASS``, ``__compiled__``), or a ``.spec`` file, command or
        configuration of the project freezes this very script with PyInstaller, Nuitka, cx_Freeze,
        py2exe, py2app or briefcase.

    Why it is bad:
        A frozen program has no ``python`` to start. So each child is the executable again, with
        ``--multiprocessing-fork`` on its command line, and only ``freeze_support()`` turns it into
        a child. Without the call the program starts itself again without end, until the machine
        stands still; or the child takes the command line for its own and dies::

            error: unrecognized arguments: --multiprocessing-fork tracker_fd=5 pipe_handle=7

    Example:
        ::

            if __name__ == "__main__":
                main()

    Use instead:
        ::

            if __name__ == "__main__":
                multiprocessing.freeze_support()
                main()

    Known limits:
        Evidence and imported modules are looked for in the nearest folder above that has a
        ``pyproject.toml``, ``setup.py``, ``setup.cfg`` or ``.git``. Where such a module calls
        ``freeze_support()``, the script counts as served. A script without a guard is MPP101's.

    References:
        Python documentation, ``multiprocessing.freeze_support``; PyInstaller manual, "Common
        Issues and Pitfalls", "Multi-processing".
    """

    code = "MPP102"
    name = "missing-freeze-support"
    message = (
        "frozen into an executable, this program starts itself again for each process and never"
        " gets to the work: call multiprocessing.freeze_support() first thing {where}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the guard of a frozen program that starts processes without the call."""
        option = program.settings.frozen
        if option == "no" or not program.start_methods.configured & SPAWNING:
            return
        entry = _frozen_branch(program)
        where = "in this branch"
        if entry is None:
            entry = _guard(program)
            where = "under this guard"
        if entry is None or _is_called(program):
            return
        if not (_starts(program) and (option == "yes" or _is_frozen(program))):
            return
        tree = program.source_tree
        if tree is None or not project.first_party_calls_freeze_support(program.filename, tree):
            yield self.finding(entry, where=where)


def _starts(program: Program) -> bool:
    """True if this file starts processes, or a module of its project that it imports does."""
    if program.starts.spawned:
        return True
    tree = program.source_tree
    return tree is not None and project.first_party_starts_processes(program.filename, tree)


def _frozen_branch(program: Program) -> cst.CSTNode | None:
    """``if getattr(sys, "frozen", False): main()`` at module level: the entry of the program."""
    conditions, tree = program.conditions, program.tree
    if not program.starts.spawned or not _may_ask_if_frozen(program):
        return None
    for node in tree.nodes(cst.If):
        if not tree.function_of(node).is_function and conditions.is_frozen_only(node.body):
            if _starts_within(program, node.body):
                return node
    return None


def _guard(program: Program) -> cst.CSTNode | None:
    """The first guard under which something is started, or else the first guard."""
    guards = program.guards
    if len(guards) > 1:
        for guard in guards:
            if _starts_within(program, guard):
                return guard
    return guards[0] if guards else None


def _starts_within(program: Program, block: cst.CSTNode) -> bool:
    return any(
        program.tree.is_within(step.node, block) and program.starts.in_program.at(step)
        for step in program.runs.steps(program.tree.module)
    )


def _is_called(program: Program) -> bool:
    """True if anything that may be the real ``freeze_support`` is called, however it got here."""
    for call in program.tree.calls_to("freeze_support"):
        if not all(isinstance(v, (Function, BoundMethod)) for v in program.values(call.func)):
            return True
    return False


def _is_frozen(program: Program) -> bool:
    tree = program.source_tree
    if tree is not None and _may_ask_if_frozen(program) and project.frozen_in_file(tree):
        return True
    return project.frozen_by_project(program.filename)


def _may_ask_if_frozen(program: Program) -> bool:
    text = "".join(program.lines)
    return not text or any(word in text for word in _FROZEN_WORDS)
