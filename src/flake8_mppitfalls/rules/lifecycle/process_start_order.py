"""MPP415."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.lives.machine import Fault
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.lives.life import Life, Trouble
    from flake8_mppitfalls.model.program import Program

_STARTED_OR_NOT = frozenset({"pid", "ident", "_popen", "_started"})
"""Attributes that tell whether a process was started."""


class ProcessStartOrder(Rule):
    """A process is joined before it is started, or started twice.

    What it does:
        Finds ``join()`` on a ``Process`` that no path has started by then, and ``start()`` on one
        that a path has started already, also by an earlier turn of a loop around it.

    Why it is bad:
        A ``Process`` object is good for one start, and only a started one can be joined::

            AssertionError: can only join a started process
            AssertionError: cannot start a process twice

        The second one comes as well when the process has ended long ago: a watchdog that calls
        ``start()`` on a dead process fails just when it is needed.

    Example:
        ::

            worker = multiprocessing.Process(target=serve)
            while True:
                if not worker.is_alive():
                    worker.start()

    Use instead:
        ::

            worker = None
            while True:
                if worker is None or not worker.is_alive():
                    worker = multiprocessing.Process(target=serve)
                    worker.start()

    Known limits:
        A process that is started on some paths only may be joined. One that is handed on may be
        started where the file does not show it.

    References:
        CPython's ``Lib/multiprocessing/process.py``, ``BaseProcess.start`` and ``join``.
    """

    code = "MPP415"
    name = "process-start-order"
    message = "{process} is {what}: it raises AssertionError: {error}; {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``start()`` and ``join()`` that comes at the wrong time."""
        for life in program.lifetimes.all(api.Kind.PROCESS):
            for trouble in life.troubles:
                if self._is_meant(program, trouble):
                    continue
                if trouble.fault is Fault.STARTED_TWICE:
                    yield self._started_twice(program, trouble)
                elif trouble.fault is Fault.JOINED_UNSTARTED and not life.calls("run"):
                    yield self._joined(program, life, trouble)

    def _started_twice(self, program: Program, trouble: Trouble) -> Finding:
        again = "in each turn of the loop" if trouble.earlier is trouble.node else "a second time"
        return self.finding(
            trouble.node,
            process=program.receiver(trouble.node, "the process"),
            what=f"started {again}",
            error="cannot start a process twice",
            cure="make a new Process for each start",
        )

    def _joined(self, program: Program, life: Life, trouble: Trouble) -> Finding:
        started = bool(life.calls("start"))
        return self.finding(
            trouble.node,
            process=program.receiver(trouble.node, "the process"),
            what="joined before it is started" if started else "joined and never started",
            error="can only join a started process",
            cure="call start() first",
        )

    def _is_meant(self, program: Program, trouble: Trouble) -> bool:
        """The code asks whether it was started, or expects the error."""
        if program.conditions.expects(trouble.node, "AssertionError"):
            return True
        for parent in program.tree.ancestors(trouble.node):
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
            if isinstance(parent, (cst.If, cst.IfExp, cst.While)):
                if any(
                    isinstance(part, cst.Attribute) and part.attr.value in _STARTED_OR_NOT
                    for part in program.tree.walk(parent.test)
                ):
                    return True
        return False
