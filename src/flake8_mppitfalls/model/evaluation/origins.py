"""Origins: the test that a name, an attribute or a call stands for.

``parallel`` after ``parallel = jobs > 1``; ``self.parallel`` where that is a property, or was
stored when the object was made; ``is_parallel(jobs)`` where a function of this module returns the
test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.signatures import argument, has_stars, positional_names
from flake8_mppitfalls.model.numbers.facts import Origin, key_of
from flake8_mppitfalls.model.values import BoundMethod, Class, Function, Instance, Made
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.syntax.scopes import Scope

_TESTS = (cst.Comparison, cst.BooleanOperation, cst.UnaryOperation)


class Origins:
    """Answers about the tests of one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._known: dict[cst.CSTNode, Origin | None] = {}

    def of(self, node: cst.CSTNode) -> Origin | None:
        """The test that an expression stands for, and what its names are called there."""
        if node not in self._known:
            self._known[node] = None
            if isinstance(node, cst.Name):
                self._known[node] = self._of_name(node)
            elif isinstance(node, cst.Attribute):
                self._known[node] = self._of_attribute(node)
            elif isinstance(node, cst.Call):
                self._known[node] = self._of_call(node)
        return self._known[node]

    def _of_name(self, name: cst.Name) -> Origin | None:
        bindings = self._tree.lookup(name)
        if len(bindings) == 1 and bindings[0].kind is Bound.ASSIGN and not bindings[0].path:
            value = bindings[0].value
            if isinstance(value, _TESTS):
                return Origin(value, {})
        return None

    def _of_attribute(self, node: cst.Attribute) -> Origin | None:
        receiver = dotted_name(node.value)
        values = self._evaluator.values(node.value) if receiver else ()
        only = values[0] if len(values) == 1 else None
        cls = only.cls if isinstance(only, (Instance, Made)) else None
        if cls is None:
            return None
        name = node.attr.value
        method = self._evaluator.classes.method(cls, name)
        if method is not None:
            is_property = self._evaluator.classes.is_property(method)
            return self._of_method(method, receiver, None) if is_property else None
        stores = self._evaluator.members.stores(cls, name)
        store = stores[0] if len(stores) == 1 else None
        if store is None or store.kind is not Bound.ASSIGN or store.path:
            return None
        scope = self._tree.function_of(store.node)
        own = dotted_name(store.node.value)
        if not isinstance(store.value, _TESTS) or "." in own:
            return None
        return Origin(store.value, self._stored_names(scope, own, receiver))

    def _stored_names(self, scope: Scope, own: str, receiver: str) -> dict[str, str]:
        """What the parameters are called that the object keeps: ``self.jobs = jobs``."""
        names = dict.fromkeys(scope.bindings, "")
        for name, bindings in scope.bindings.items():
            if len(bindings) == 1 and bindings[0].kind is Bound.PARAMETER:
                for load in self._tree.loads_of(bindings[0]):
                    assign = self._tree.parent(load)
                    target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
                    if isinstance(target, cst.Attribute) and dotted_name(target.value) == own:
                        names[name] = f"{receiver}.{target.attr.value}"
        names[own] = receiver
        return names

    def _of_call(self, call: cst.Call) -> Origin | None:
        if has_stars(call) or len(call.args) > 3:
            return None
        values = self._evaluator.values(call.func)
        only = values[0] if len(values) == 1 else None
        if isinstance(only, Function):
            return self._of_function(only.node, call, {}, 0)
        if isinstance(only, BoundMethod) and isinstance(call.func, cst.Attribute):
            if not isinstance(only.receiver, Class):
                return self._of_method(only.node, dotted_name(call.func.value), call)
        return None

    def _of_method(
        self, method: cst.FunctionDef, receiver: str, call: cst.Call | None
    ) -> Origin | None:
        names = positional_names(method.params)
        if not names or not receiver:
            return None
        return self._of_function(method, call, {names[0]: receiver}, 1)

    def _of_function(
        self, function: cst.FunctionDef, call: cst.Call | None, names: dict[str, str], skip: int
    ) -> Origin | None:
        returns = self._tree.scopes[function].returns
        value = returns[0].value if len(returns) == 1 else None
        if not isinstance(value, _TESTS) or len(function.body.body) > 2:
            return None
        if call is not None and self._evaluator.calls.is_opaque(function):
            return None
        parameters = positional_names(function.params)
        known = dict.fromkeys(self._tree.scopes[function].bindings, "")
        for name in known if call is not None else ():
            given = argument(call, parameters, name, skip=skip) if call is not None else None
            if given is not None:
                known[name] = key_of(given)
        return Origin(value, {**known, **names})
