"""MPP307."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.sharing.files import Files
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.sharing.files import Opening

_FILE_LOCKS = frozenset({"flock", "lockf", "locking", "lock", "lock_file"})
_ROLES = ("rank", "main", "master", "leader", "first", "chief", "primary", "writer")


class SharedFileWrite(Rule):
    """Several processes write one file.

    What it does:
        Finds a call in a function that several processes run which opens one fixed path for
        writing or appending, outside of a lock: ``open("out.txt", "a")``, ``Path.write_text``, a
        ``logging.FileHandler``.

    Why it is bad:
        With mode ``w`` every process empties the file that the others have written. With mode ``a``
        the lines of one process land in the middle of another's, wherever a write is larger than
        the buffer or the file stays open. A rotating handler moves the file away under the
        others. There is no error: lines are just missing, or mixed.

    Example:
        ::

            def work(item):
                with open("results.txt", "a") as results:
                    results.write(f"{item}: {compute(item)}\\n")

    Use instead:
        ::

            def main():
                with multiprocessing.Pool() as pool, open("results.txt", "w") as results:
                    for line in pool.imap(compute_line, items):
                        results.write(line)

        or a queue to one process that does all the writing, or a file for each process. For
        ``logging``: a ``QueueHandler`` in the workers.

    Known limits:
        Silent where the path depends on a parameter, the process, a temporary name or anything
        that the file does not show, where one process alone writes, and where a lock is or may be
        held.

    References:
        Python documentation, "Logging Cookbook", "Logging to a single file from multiple
        processes".
    """

    code = "MPP307"
    name = "shared-file-write"
    message = "several processes {do} {path}: {damage}; {remedy}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each call that opens one path for writing in several processes."""
        if not program.sides.entries():
            return
        files = Files(program)
        for opening in files.openings():
            if program.sides.worker_of(opening.call) is None or not files.is_fixed(opening.path):
                continue
            if not program.concurrency.is_several(opening.call):
                continue
            if program.locking.is_held(opening.call) or _is_file_locked(program, opening):
                continue
            if _is_for_one(program, opening.call) or _changes_directory(program):
                continue
            yield self._found(program, opening)

    def _found(self, program: Program, opening: Opening) -> Finding:
        if not opening.mode:
            do, damage = "log to", "their lines mix, and a rotated file is lost"
            remedy = "send the records to one process by a QueueHandler"
        else:
            do = "write" if "a" not in opening.mode else "append to"
            damage = "what one writes, the next one's opening empties"
            if "w" not in opening.mode:
                damage = "their lines come out mixed"
            remedy = "let one process do all the writing, or give each a file of its own"
        text = program.evaluator.text(opening.path) or program.source(opening.path, "one file")
        return self.finding(opening.call, do=do, path=text, damage=damage, remedy=remedy)


def _is_file_locked(program: Program, opening: Opening) -> bool:
    """Is a lock on the file taken, in the same function?"""
    scope = program.tree.function_of(opening.call)
    return any(
        program.tree.function_of(call) is scope
        for name in _FILE_LOCKS
        for call in program.tree.calls_of.get(name, ())
    )


def _changes_directory(program: Program) -> bool:
    """Does a worker go to a directory of its own?"""
    return any(
        program.sides.worker_of(call) is not None for call in program.tree.calls_of.get("chdir", ())
    )


def _is_for_one(program: Program, node: cst.CSTNode, depth: int = 0) -> bool:
    """Is the place only for one of the workers: ``if rank == 0:``?"""
    child = node
    for parent in program.tree.ancestors(node):
        if isinstance(parent, (cst.If, cst.IfExp)) and child is not parent.test:
            if _picks_one(program, parent.test):
                return True
        if isinstance(parent, cst.FunctionDef):
            calls = program.references.calls(parent)
            return (
                bool(calls)
                and depth < 3
                and all(_is_for_one(program, site.call, depth + 1) for site in calls)
            )
        child = parent
    return False


def _picks_one(program: Program, test: cst.BaseExpression) -> bool:
    for part in program.tree.walk(test):
        if isinstance(part, cst.Comparison):
            sides = (part.left, part.comparisons[0].comparator)
            if isinstance(part.comparisons[0].operator, (cst.Equal, cst.NotEqual, cst.Is)):
                if any(program.module_state.is_part_of_parameter(side) for side in sides):
                    return True
        elif isinstance(part, (cst.Name, cst.Attribute)):
            name = part.value if isinstance(part, cst.Name) else part.attr.value
            if any(role in name.lower() for role in _ROLES):
                return True
    return False
