"""MPP109."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class PromptAtImport(Rule):
    """A script that starts processes reads standard input while it is imported.

    What it does:
        Finds ``input()``, ``getpass()``, and reading or iterating ``sys.stdin`` at module level
        outside of the main guard, or in a function of the module that is called there, in a script
        that starts processes under its guard.

    Why it is bad:
        Under ``spawn`` and ``forkserver`` each child imports the script again. So each child asks
        again, and waits at the terminal for an answer that nobody knows to give. Where standard
        input is a pipe, the parent has read it all::

            EOFError: EOF when reading a line

    Example:
        ::

            region = input("Region: ")

            if __name__ == "__main__":
                with Pool() as pool:
                    print(pool.map(total, shops_of(region)))

    Use instead:
        ::

            if __name__ == "__main__":
                region = input("Region: ")
                with Pool() as pool:
                    print(pool.map(total, shops_of(region)))

    Known limits:
        Only what the file itself shows to read standard input; prompts of other libraries are not
        known. Silent in ``__main__.py``, which no child imports.

    References:
        Python documentation, ``multiprocessing``, "Safe importing of main module".
    """

    code = "MPP109"
    name = "prompt-at-import"
    message = (
        "{what} reads standard input while the module is imported, and each child started by spawn"
        " or forkserver imports it again: it waits for input of its own, or fails with EOFError;"
        " move this under the main guard"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each place at module level where standard input is read."""
        if program.is_main_file or not program.prompts.may_read() or not program.starts.spawned:
            return
        if not program.guards:
            return
        asked = Effect(program.runs, program.prompts.read, program.runs.at_import)
        for step in program.runs.steps(program.tree.module):
            for place in asked.at(step):
                if step.functions and not program.tree.is_within(place, step.node):
                    place = step.node  # it is read in the function that is called here
                what = "this loop" if isinstance(place, cst.For) else "this call"
                yield self.finding(place, what=program.source(place, what))
                break
