"""Words that the rules of this family share: what is sent where, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program


def called(program: Program, task: Task) -> str:
    """The call as it is written: ``pool.map()``, ``Process()``."""
    func = task.call.func
    text = program.source(func, task.name)
    return f"{text}()"


def fails(program: Program, task: Task, error: str = "") -> str:
    """What comes of a worker API call that can't pickle what it is given."""
    role = task.shape.role
    if role == "process":
        return "the process can't be started by spawn or forkserver"
    if role == "manager":
        return "the manager can't be started by spawn or forkserver"
    if role == "initializer":
        return "the workers can't be started by spawn or forkserver"
    method = called(program, task)
    if task.gives is api.Kind.RESULTS:
        return f"{method} raises {error or 'PicklingError'}"
    if task.gives is api.Kind.ASYNC_RESULT:
        return f"the task of {method} is never run, and only get() says so"
    if task.gives is api.Kind.FUTURE:
        return f"the task of {method} is never run, and only result() says so"
    return f"the tasks of {method} are never run"


def named(program: Program, node: cst.CSTNode, what: str) -> str:
    """``conn (a database connection)``; where the code has no short name for it, what it is."""
    if isinstance(node, (cst.Name, cst.Attribute)):
        text = program.source(node, "")
        if text:
            return f"{text} ({what})"
    return what
