"""MPP407."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import UNKNOWN, Made, is_none
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class RunInsteadOfStart(Rule):
    """A process is run, not started.

    What it does:
        Finds ``run()`` called on a ``Process`` from outside of its class.

    Why it is bad:
        ``run()`` is what the child does. Called in the parent it does the work there, now: there
        is no second process, nothing runs at the same time, and a crash is the parent's own. The
        ``join()`` behind it raises ``AssertionError: can only join a started process``.

    Example:
        ::

            worker = multiprocessing.Process(target=convert, args=(name,))
            worker.run()

    Use instead:
        ::

            worker = multiprocessing.Process(target=convert, args=(name,))
            worker.start()

    Known limits:
        A call in the methods of the class is the class's own business, and so is a switch between
        ``run()`` and ``start()``: ``if debug: worker.run() else: worker.start()``. Any other
        ``run()`` that is meant to do the work right here is not told apart.

    References:
        Python documentation, ``multiprocessing.Process.run`` and ``Process.start``.
    """

    code = "MPP407"
    name = "run-instead-of-start"
    message = (
        "{process}.run() does the work of the process here, in the parent, and starts none:"
        " call {process}.start()"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``run()`` of a process that is called from outside of its class."""
        for call in program.tree.calls_of.get("run", ()):
            func = call.func
            if not isinstance(func, cst.Attribute) or not self._is_process(program, func.value):
                continue
            if not self._is_choice(program, call):
                name = program.source(func.value, "the process")
                yield self.finding(call, process=name)

    def _is_process(self, program: Program, receiver: cst.BaseExpression) -> bool:
        """Is it a process, and not the object of the class in whose method this stands?"""
        values = [v for v in program.values(receiver) if v is not UNKNOWN and not is_none(v)]
        return bool(values) and all(
            isinstance(v, Made)
            and v.kind is api.Kind.PROCESS
            and not self._is_own(program, v, receiver)
            for v in values
        )

    def _is_own(self, program: Program, made: Made, receiver: cst.CSTNode) -> bool:
        if made.cls is None:
            return False
        family = program.evaluator.classes.mro(made.cls)
        return made.site is made.cls or any(
            parent in family for parent in program.tree.ancestors(receiver)
        )

    def _is_choice(self, program: Program, call: cst.Call) -> bool:
        """Does the other branch of an ``if`` start the process?"""
        assert isinstance(call.func, cst.Attribute)
        receiver = call.func.value
        child: cst.CSTNode = call
        for parent in program.tree.ancestors(call):
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
            if isinstance(parent, (cst.If, cst.IfExp)) and child is not parent.test:
                other = parent.orelse if child is parent.body else parent.body
                if other is not None and any(
                    isinstance(part, cst.Attribute)
                    and part.attr.value == "start"
                    and part.value.deep_equals(receiver)
                    for part in program.tree.walk(other)
                ):
                    return True
            child = parent
        return False
