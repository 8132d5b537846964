"""Entering: what a ``with`` statement does with a value that comes to it, wrapped or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.values import Class, Function, Instance
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

DEEPEST = 8

_WRAPPERS = {"contextlib.closing": UseKind.CLOSED, "contextlib.nullcontext": None}


class Entering:
    """Answers for what is entered in one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree

    def of(self, node: cst.BaseExpression, sites: Iterable[cst.CSTNode]) -> UseKind | None:
        """What is done with a thing that is made at one of ``sites`` where ``node`` is entered.

        ``None`` where nothing is: ``with nullcontext(pool):``.
        """
        wanted = set(sites)
        kinds = {
            kind
            for kind, inner in self._ways(node, 0)
            if not wanted
            or any(getattr(v, "site", None) in wanted for v in self._evaluator.values(inner))
        }
        if not kinds:
            return UseKind.ENTERED
        return kinds.pop() if len(kinds) == 1 else UseKind.PASSED

    def _ways(
        self, node: cst.BaseExpression, depth: int
    ) -> Iterator[tuple[UseKind | None, cst.BaseExpression]]:
        """The expressions that ``node`` may stand for, and what is done with the value of each."""
        inner = list(self._behind(node)) if depth < DEEPEST else []
        for expression in inner:
            yield from self._ways(expression, depth + 1)
        if inner:
            return
        name = self._tree.qualified(node.func) if isinstance(node, cst.Call) else ""
        if isinstance(node, cst.Call) and name in _WRAPPERS and node.args:
            yield _WRAPPERS[name], node.args[0].value
        else:
            yield UseKind.ENTERED, node

    def _behind(self, node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
        if isinstance(node, cst.Name):
            for binding in self._evaluator.names.bindings(node):
                if binding.kind is Bound.ASSIGN and binding.value is not None and not binding.path:
                    yield binding.value
        elif isinstance(node, cst.Attribute):
            classes = [
                value.cls if isinstance(value, Instance) else value.node
                for value in self._evaluator.values(node.value)
                if isinstance(value, (Instance, Class))
            ]
            for store in self._evaluator.classes.stores_near(node.attr.value, classes):
                if store.kind is Bound.ASSIGN and store.value is not None and not store.path:
                    yield store.value
        elif isinstance(node, cst.IfExp):
            yield from (node.body, node.orelse)
        elif isinstance(node, cst.BooleanOperation):
            yield from (node.left, node.right)
        elif isinstance(node, cst.Call):
            for value in self._evaluator.values(node.func):
                if isinstance(value, Function):
                    for end in self._tree.scopes[value.node].returns:
                        if end.value is not None:
                            yield end.value
