"""Attributes that a function sets itself: which assignments does a read there see?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.syntax.scopes import Binding, Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.classes import Store
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.syntax.scopes import Scope


MOST_SETTERS = 100
"""Where more functions may set an attribute, nobody looks whether a method uses one of them."""


class Overwriting:
    """Answers for the attributes of one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._setters: dict[str, dict[cst.CSTNode, None]] = {}
        self._others: dict[tuple[Scope, str], bool] = {}

    def gone(self, node: cst.CSTNode | None) -> list[Store]:
        """The assignments to ``obj.x`` in the function around ``node``, its read, that are gone.

        Where a way from the function's beginning comes by none of them, all may be there: the
        function may have run before.
        """
        here = self._here(node)
        arriving = self._arriving(node, here) if len(here) > 1 else []
        return [store for store in here if store not in arriving] if arriving else []

    def alone(self, node: cst.CSTNode | None) -> list[Store]:
        """The assignments in the method around ``node``, its read, if no others count.

        They are on every way to ``node``, and the method uses nothing that sets ``self.x``, too.
        """
        here = self._here(node)
        if not here or not isinstance(node, cst.Attribute):
            return []
        scope = self._tree.function_of(node)
        key = (scope, node.attr.value)
        if key not in self._others:
            self._others[key] = self._is_set_by_others(scope.node, node)
        if self._others[key]:
            return []
        arriving = self._arriving(node, here)
        return [] if any(store.kind is Bound.AUGMENTED for store in arriving) else arriving

    def _here(self, node: cst.CSTNode | None) -> list[Store]:
        """The assignments to the same attribute in the same function."""
        if not (isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name)):
            return []
        name = node.attr.value
        if len(self._evaluator.classes.stores(name)) < 2:
            return []
        here = [
            store
            for store in self._evaluator.classes.stores_in(self._tree.function_of(node), name)
            if isinstance(store.node.value, cst.Name) and store.node.value.value == node.value.value
        ]
        return [] if any(store.node is node for store in here) else here

    def _arriving(self, node: cst.CSTNode | None, here: list[Store]) -> list[Store]:
        """Those that the read may see; none where it may see what was there before."""
        assert node is not None
        scope = self._tree.function_of(node)
        entry = Binding("", Bound.PARAMETER, scope.node, scope)
        marks = {Binding("", Bound.OTHER, store.node, scope): store for store in here}
        arriving = self._evaluator.names.flow(scope).reaching(node, [entry, *marks])
        return [] if entry in arriving else [marks[mark] for mark in arriving]

    # -- other functions -----------------------------------------------------------------------

    def _is_set_by_others(self, method: cst.CSTNode, node: cst.Attribute) -> bool:
        """May the attribute be set between, by another function that the method uses?"""
        name = node.attr.value
        cls = self._evaluator.classes.of_method(method)
        if cls is None or not isinstance(method, cst.FunctionDef):
            return True
        assert isinstance(node.value, cst.Name)
        if positional_names(method.params)[:1] != [node.value.value]:
            return True
        if self._evaluator.classes.method(cls, name) is not None:
            return True  # a property
        setters = self._setters_of(name)
        return len(setters) > MOST_SETTERS or any(
            self._tree.is_within(setter, method)
            or any(self._tree.is_within(use, method) for use in self._uses(setter))
            for setter in setters
            if setter is not method and isinstance(setter, cst.FunctionDef)
        )

    def _setters_of(self, name: str) -> dict[cst.CSTNode, None]:
        """The functions that set the attribute, and those that use them, by their names."""
        known = self._setters.get(name)
        if known is None:
            stores = self._evaluator.classes.stores(name)
            known = dict.fromkeys(self._tree.function_of(s.node).node for s in stores)
            work = list(known)
            while work and len(known) <= MOST_SETTERS:
                function = work.pop()
                for use in self._uses(function) if isinstance(function, cst.FunctionDef) else ():
                    user = self._tree.function_of(use).node
                    if user not in known:
                        known[user] = None
                        work.append(user)
            self._setters[name] = known
        return known

    def _uses(self, function: cst.FunctionDef) -> list[cst.CSTNode]:
        name = function.name.value
        return [*self._tree.attributes.get(name, ()), *self._tree.loads.get(name, ())]
