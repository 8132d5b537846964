"""MPP001."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class AnalysisIncomplete(Rule):
    """A file that uses processes could not be analysed.

    What it does:
        Says, at the top of the file, why no other rule of this plugin has looked at it: LibCST
        cannot parse something that the interpreter can, or not within any time (patterns of
        ``match`` with ten tuples in each other), the code is nested too deeply, or the file is
        larger than the plugin takes on.

    Why it is bad:
        Nothing is wrong with the program. But silence would look like "no traps here", and nobody
        has looked.

    Example:
        LibCST knows nearly all of Python's syntax. A name in parentheses with an annotation is
        one of the few things that it does not take::

            import multiprocessing

            (workers): int = 2

    Use instead:
        Write it as nearly everybody does, or split the expression or the file::

            import multiprocessing

            workers: int = 2

        Where the code is generated or can't be changed, switch the report off for this file with
        flake8's ``per-file-ignores``.

    Known limits:
        Files that use no processes are never reported, whatever is in them, nor are files that
        flake8 itself can't read or parse (E902, E999).

    References:
        flake8 documentation, ``--per-file-ignores``; LibCST documentation, "Parsing".
    """

    code = "MPP001"
    name = "analysis-incomplete"
    message = "this file uses processes but was not checked for traps: {reason}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield nothing: where there is a program to check, the analysis went well."""
        return iter(())
