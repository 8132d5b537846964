"""Caught: who takes an error that is raised at a place, and how far it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.tree import Tree

    Taker: TypeAlias = "cst.ExceptHandler | cst.ExceptStarHandler | cst.WithItem"
    Names: TypeAlias = "Callable[[cst.BaseExpression], bool]"

DEEPEST = 4
"""How many calls are followed back."""


def takers(tree: Tree, node: cst.CSTNode, names: Names) -> Iterator[Taker]:
    """What in its function may take an error that is raised at ``node``, from the inside out.

    Of each ``try`` the first handler with a type that ``names`` the error, and each
    ``with suppress(…)`` that does.
    """
    child = node
    for parent in tree.ancestors(node):
        if isinstance(parent, (cst.Try, cst.TryStar)) and child is parent.body:
            for handler in parent.handlers:
                if handler.type is None or _any(handler.type, names):
                    yield handler
                    break
        elif isinstance(parent, cst.With) and child is parent.body:
            for item in parent.items:
                call = tree.entered(item)
                if isinstance(call, cst.Call):
                    if tree.qualified(call.func) == "contextlib.suppress":
                        if any(_any(arg.value, names) for arg in call.args):
                            yield item
        elif isinstance(parent, (cst.FunctionDef, cst.Lambda)) and child is parent.body:
            return
        child = parent


def _any(types: cst.BaseExpression, names: Names) -> bool:
    if isinstance(types, (cst.Tuple, cst.List)):
        return any(_any(element.value, names) for element in types.elements)
    return names(types)


def takers_of(tree: Tree, node: cst.CSTNode, error: str) -> Iterator[Taker]:
    """The same for an error of the builtins."""
    known = (error, "Exception", "BaseException")
    return takers(tree, node, lambda type_: tree.qualified(type_) in known)


def is_taken(tree: Tree, node: cst.CSTNode, error: str) -> bool:
    """True if an error that is raised at ``node`` goes no further than its function.

    A handler in the function takes it and does not raise again, or a ``with suppress(…)`` does.
    """
    taker = next(takers_of(tree, node, error), None)
    if taker is None or isinstance(taker, cst.WithItem):
        return taker is not None
    return not any(isinstance(below, cst.Raise) for below in tree.walk(taker.body))


def is_caught(program: Program, node: cst.CSTNode, *errors: str, depth: int = 0) -> bool:
    """True if the code around ``node``, or around every call that leads there, catches an error."""
    expects = program.conditions.expects
    if any(is_taken(program.tree, node, e) or expects(node, e) for e in errors):
        return True
    owner = program.paths.owner(node)
    if owner is program.tree.module or depth > DEEPEST:
        return False
    callers = program.runs.callers(owner)
    return bool(callers) and all(
        is_caught(program, caller.step.node, *errors, depth=depth + 1) for caller in callers
    )
