"""MPP804."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.execution.caught import is_caught
from flake8_mppitfalls.model.values import Constant
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class ForkPinned(Rule):
    """The start method ``fork`` is chosen without a look at the platform.

    What it does:
        Finds ``set_start_method("fork")`` and ``get_context("fork")`` that no test of the platform
        and no ``except ValueError`` stands around. Off unless ``--mpp-opt-in`` names it.

    Why it is bad:
        Windows has no ``fork``::

            ValueError: cannot find context for 'fork'

        macOS has it, but its system libraries start threads, and a child that is forked then may
        crash or lock up. That is why ``spawn`` is the default there.

    Example:
        ::

            multiprocessing.set_start_method("fork")

    Use instead:
        ::

            if "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin":
                multiprocessing.set_start_method("fork")

        or write the workers so that they don't need it.

    Known limits:
        A test by a name of another module counts as one of the platform where its name says so.
        What the constructor of a class decides for Windows is not followed into its methods.

    References:
        Python documentation, ``multiprocessing``, "Contexts and start methods".
    """

    code = "MPP804"
    name = "fork-pinned"
    opt_in = True
    message = (
        '{call} fails on Windows (ValueError: cannot find context for "fork"), and its children'
        " crash on macOS: ask get_all_start_methods() or sys.platform first"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each call that chooses ``fork`` everywhere."""
        for name in ("set_start_method", "get_context"):
            for call in _calls(program, name):
                if not _chooses_fork(program, call) or program.platforms.is_tested(call):
                    continue
                if not is_caught(program, call, "ValueError"):
                    yield self.finding(call, call=program.source(call, f'{name}("fork")'))


def _calls(program: Program, name: str) -> Iterator[cst.Call]:
    """The calls of a function of the process modules, and of the same method of a context."""
    if name == "set_start_method":
        yield from (call for call, _ in program.start_methods.setters())
        return
    yield from program.api_calls(name)


def _chooses_fork(program: Program, call: cst.Call) -> bool:
    given = argument(call, api.MAKERS["get_context"].parameters, "method")
    if given is None:
        return False
    values = program.values(given)
    return bool(values) and all(
        isinstance(v, Constant) and v.value == "fork" and not _depends(program, v) for v in values
    )


def _depends(program: Program, value: Constant) -> bool:
    """``METHOD = "fork"`` under a test of the platform."""
    return program.platforms.is_tested(value.node)
