"""MPP409."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.lives.machine import Fault
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_KINDS = (api.Kind.POOL, api.Kind.THREAD_POOL, api.Kind.EXECUTOR)


class UseAfterClose(Rule):
    """A pool or executor that was ended gets a task.

    What it does:
        Finds a task method (``map()``, ``apply_async()``, ``submit()`` …) of a pool, of processes
        or threads, or of a ``ProcessPoolExecutor``, which a path reaches after ``close()``,
        ``terminate()`` or ``shutdown()``, or after the ``with`` block. ``run_in_executor()`` with
        such an executor counts.

    Why it is bad:
        The call raises ``ValueError: Pool not running``, or ``RuntimeError: cannot schedule new
        futures after shutdown``. Where only one branch closes the pool it does so only then.

    Example:
        ::

            with multiprocessing.Pool(4) as pool:
                lengths = pool.map(measure, names)
            widths = pool.map(weigh, names)

    Use instead:
        ::

            with multiprocessing.Pool(4) as pool:
                lengths = pool.map(measure, names)
                widths = pool.map(weigh, names)

    Known limits:
        What the methods of one of many objects do to that object's own pool is not followed.

    References:
        CPython's ``Lib/multiprocessing/pool.py``, ``Pool._check_running``, and
        ``Lib/concurrent/futures/process.py``, ``ProcessPoolExecutor.submit``.
    """

    code = "MPP409"
    name = "use-after-close"
    message = "{call}() comes after {earlier}: it raises {error}; {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each task for a pool or executor that takes no more."""
        for kind in _KINDS:
            for life in program.lifetimes.all(kind):
                for trouble in life.troubles:
                    if trouble.fault is not Fault.USED_AFTER_END:
                        continue
                    executor = kind is api.Kind.EXECUTOR
                    error = "RuntimeError" if executor else "ValueError"
                    if program.conditions.expects(trouble.node, error):
                        continue
                    if _is_of_last_turn(program, trouble.earlier, trouble.node):
                        continue
                    yield self.finding(
                        trouble.node,
                        call=program.source(trouble.node.func, "this task"),
                        earlier=_described(program, trouble.earlier),
                        error=(
                            "RuntimeError: cannot schedule new futures after shutdown"
                            if executor
                            else "ValueError: Pool not running"
                        ),
                        cure="give it its tasks before, or make a new one",
                    )


def _described(program: Program, event: cst.CSTNode | None) -> str:
    """The event that ended it, in words."""
    if isinstance(event, cst.WithItem):
        return "the end of the with block"
    if isinstance(event, cst.Call):
        return f"{program.source(event.func, 'it was ended')}(){program.at_line(event)}"
    return "it was ended"


def _is_of_last_turn(program: Program, end: cst.CSTNode | None, task: cst.CSTNode) -> bool:
    """Does only another turn of a loop lead from one to the other, and a test choose the turn?"""
    if end is None or not program.tree.before(task, end):
        return False
    is_chosen = False
    for parent in program.tree.ancestors(end):
        if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
            return False
        if isinstance(parent, (cst.For, cst.While)) and program.tree.is_within(task, parent):
            return is_chosen
        is_chosen = is_chosen or isinstance(parent, cst.If)
    return False
