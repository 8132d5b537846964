"""Caught: does an error that is raised at a place go no further than its callers?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import libcst as cst

    from flake8_mppitfalls.model.program import Program

DEEPEST = 4
"""How many calls are followed back."""


def is_caught(program: Program, node: cst.CSTNode, *errors: str, depth: int = 0) -> bool:
    """True if the code around ``node``, or around every call that leads there, catches an error."""
    conditions = program.conditions
    if any(conditions.takes_error(node, e) or conditions.expects(node, e) for e in errors):
        return True
    owner = program.paths.owner(node)
    if owner is program.tree.module or depth > DEEPEST:
        return False
    callers = program.runs.callers(owner)
    return bool(callers) and all(
        is_caught(program, caller.step.node, *errors, depth=depth + 1) for caller in callers
    )
