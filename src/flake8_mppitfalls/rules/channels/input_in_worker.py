"""MPP802."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.prompts import IN_WORKER
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class InputInWorker(Rule):
    """A worker reads standard input, or starts a debugger on it.

    What it does:
        Finds ``input()``, ``getpass()``, reading or iterating ``sys.stdin``, ``breakpoint()`` and
        ``pdb.set_trace()`` in a function that runs in another process, however deep it is called
        there.

    Why it is bad:
        ``multiprocessing`` closes the standard input of every child and puts an empty one in its
        place, under every start method. ``input()`` and ``getpass()`` fail::

            EOFError: EOF when reading a line

        ``sys.stdin.readline()`` and a loop over ``sys.stdin`` give nothing, and no error. A
        debugger reads an end of file at its first prompt, and leaves::

            bdb.BdbQuit

    Example:
        ::

            def rename(path):
                path.rename(input(f"New name of {path}: "))

            with Pool() as pool:
                pool.map(rename, paths)

    Use instead:
        Ask in the parent, and hand the answers over::

            names = [input(f"New name of {path}: ") for path in paths]
            with Pool() as pool:
                pool.starmap(rename, zip(paths, names))

        To debug a worker, call its function in the parent.

    Known limits:
        Only what the file itself shows to read standard input; prompts of other libraries are not
        known. Silent where the worker binds ``sys.stdin`` anew, and where it reads a stream that
        is sometimes another one. A debugger is reported, too, if it runs only when a flag takes
        threads in the place of processes.

    References:
        CPython's ``Lib/multiprocessing/process.py``, ``BaseProcess._bootstrap``, and
        ``Lib/multiprocessing/util.py``, ``_close_stdin``.
    """

    code = "MPP802"
    name = "input-in-worker"
    message = (
        "{what} in {worker} runs in a child process, whose standard input is empty: {consequence}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each place in a worker where standard input is read."""
        if not (program.prompts.may_read() or program.prompts.may_debug()):
            return
        effect = Effect(program.runs, program.prompts.asked, lambda n: _happens(program, n))
        found: dict[cst.CSTNode, None] = {}
        sides = program.sides
        for entry in (*sides.entries(), *sides.initializer_entries()):
            if not _is_replaced(program, entry.function):
                for step in program.runs.steps_of_entry(entry):
                    found.update(dict.fromkeys(effect.at(step)))
        for place in found:
            if not found.keys().isdisjoint(program.tree.ancestors(place)):
                continue  # sum(int(line) for line in sys.stdin): the call says it all
            owner = program.paths.owner(place)
            what = "this loop" if not isinstance(place, cst.Call) else "this call"
            yield self.finding(
                place,
                what=program.source(place, what),
                worker=program.function_name(owner, "a lambda"),
                consequence=_consequence(program, place),
            )


def _is_replaced(program: Program, function: cst.CSTNode) -> bool:
    """Does the worker, or an initializer, take another standard input?"""
    reached = program.sides.reach([function]) | program.sides.initializers
    return any(program.prompts.replaced(f) for f in reached)


def _happens(program: Program, node: cst.CSTNode) -> bool:
    return program.runs.happens(node) and program.conditions.runs(node, IN_WORKER) is not False


def _consequence(program: Program, place: cst.CSTNode) -> str:
    if isinstance(place, cst.Call):
        name = program.tree.qualified(place.func).rpartition(".")[2]
        if name in ("input", "raw_input", "getpass"):
            return "it fails with EOFError; ask in the parent, and hand the answer over"
        if program.prompts.is_debugger(place):
            return "it leaves at once (bdb.BdbQuit); debug this function in the parent"
    return "it finds nothing there; read in the parent, and hand over what was read"
