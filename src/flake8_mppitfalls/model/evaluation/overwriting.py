"""Attributes that a function sets more than once: which of its assignments does a read see?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.syntax.scopes import Binding, Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.classes import Store
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator


def overwritten(evaluator: Evaluator, node: cst.CSTNode | None) -> list[Store]:
    """The assignments to ``obj.x`` in the function around ``node``, its read, that are gone there.

    Where a way from the function's beginning comes by none of them, all may be there: the
    function may have run before.
    """
    if not (isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name)):
        return []
    function_of = evaluator.tree.function_of
    scope = function_of(node)
    stores = [
        store
        for store in evaluator.classes.stores(node.attr.value)
        if isinstance(store.node.value, cst.Name)
        and store.node.value.value == node.value.value
        and function_of(store.node) is scope
    ]
    if len(stores) < 2 or any(store.node is node for store in stores):
        return []
    entry = Binding("", Bound.PARAMETER, scope.node, scope)
    marks = {Binding("", Bound.OTHER, store.node, scope): store for store in stores}
    arriving = evaluator.flow(scope).reaching(node, [entry, *marks])
    if entry in arriving or not arriving:
        return []
    return [store for mark, store in marks.items() if mark not in arriving]
