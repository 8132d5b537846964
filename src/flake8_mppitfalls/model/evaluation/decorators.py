"""Decorators: what stands in the place of a decorated function.

``Decorators.stand_in(function)`` follows the decorators of this module from the inside out. A
decorator gives the function itself back, or an inner function with the function's names
(``functools.wraps``), or one that keeps its own: under that name pickle can't find it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.model.pickling import picklable
from flake8_mppitfalls.model.values import BoundMethod, Class, Function, Instance, Lambda, Result
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.pickling.byname import ByName
    from flake8_mppitfalls.model.values import Value, Values

StandIn: TypeAlias = "cst.FunctionDef | cst.Lambda | cst.ClassDef"

_KEEPING = frozenset(
    "staticmethod classmethod functools.lru_cache functools.cache abc.abstractmethod "
    "typing.override typing_extensions.override typing.no_type_check typing.final "
    "contextlib.contextmanager contextlib.asynccontextmanager functools.singledispatch".split()
)
"""Decorators from elsewhere that leave the name as it is, or take it over."""


class _Effect(enum.Enum):
    SAME = "gives the function back"
    NAMED = "gives something with its names"
    UNKNOWN = "who knows"


class Decorators:
    """Answers for one module what its decorators put in the place of functions."""

    def __init__(self, evaluator: Evaluator, by_name: ByName) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._by_name = by_name
        self._known: dict[cst.CSTNode, StandIn | None] = {}
        self._decorated: dict[cst.CSTNode, list[cst.FunctionDef]] | None = None

    def stand_in(self, function: cst.FunctionDef) -> StandIn | None:
        """What is found in the function's place and does not have its name, if that is so."""
        if not function.decorators:
            return None
        if function not in self._known:
            self._known[function] = None
            self._known[function] = self._stand_in(function)
        return self._known[function]

    def decorated_by(self, function: cst.CSTNode) -> list[cst.FunctionDef]:
        """The functions that ``function`` decorates, and does not give back as they are."""
        if self._decorated is None:
            self._decorated = {}
            for decorated in self._tree.nodes(cst.FunctionDef):
                for decorator in decorated.decorators:
                    for value in self._evaluator.values(decorator.decorator):
                        decider = self._decider(value)
                        if isinstance(value, Class):
                            decider = self._evaluator.classes.method(value.node, "__init__")
                        if decider is not None:
                            self._decorated.setdefault(decider, []).append(decorated)
        if not isinstance(function, cst.FunctionDef):
            return []
        if _Effect.SAME in self._effects_of(function, is_method=False):
            return []
        return self._decorated.get(function, [])

    def _stand_in(self, function: cst.FunctionDef) -> StandIn | None:
        found: StandIn | None = None
        is_method = self._evaluator.classes.of_method(function) is not None
        for decorator in reversed(function.decorators):
            expression = decorator.decorator
            called = expression.func if isinstance(expression, cst.Call) else expression
            if self._tree.qualified(called) in _KEEPING:
                continue
            effects = set(self._effects(expression, is_method))
            if _Effect.UNKNOWN in effects or not effects:
                found = None
            elif effects.isdisjoint(_Effect):
                found = next(e for e in effects if not isinstance(e, _Effect))
            elif not effects <= set(_Effect):
                found = None  # now this, now that
        return found

    def _effects(
        self, expression: cst.BaseExpression, is_method: bool
    ) -> Iterator[_Effect | StandIn]:
        values = self._evaluator.values(expression)
        for value in self._outermost(values) if isinstance(expression, cst.Call) else values:
            decider = self._decider(value)
            if isinstance(value, Class):
                yield self._instance_effect(value.node)
            elif decider is not None and not self._evaluator.calls.is_opaque(decider):
                yield from self._effects_of(decider, is_method)
            else:
                yield _Effect.UNKNOWN

    def _outermost(self, values: Values) -> Values:
        """What a decorator with options gives, which may be called without its options, too.

        Of ``outer(function) if function else outer`` that is ``outer``.
        """
        functions = [value for value in values if isinstance(value, Function)]
        if len(functions) < len(values):
            return values
        depths = [len(list(self._tree.scopes[f.node].outer())) for f in functions]
        return tuple(f for f, depth in zip(functions, depths, strict=True) if depth == min(depths))

    def keeps_local(self, function: cst.FunctionDef) -> bool:
        """Do the decorators of an inner function, all of this module, give a function, too?"""
        is_method = self._evaluator.classes.of_method(function) is not None
        for decorator in function.decorators:
            called = decorator.decorator
            called = called.func if isinstance(called, cst.Call) else called
            if self._tree.qualified(called) in _KEEPING:
                continue
            effects = set(self._effects(decorator.decorator, is_method))
            if not effects or _Effect.UNKNOWN in effects:
                return False
            if any(isinstance(effect, cst.ClassDef) for effect in effects):
                return False
        return True

    def _decider(self, value: Value) -> cst.FunctionDef | None:
        """The function that runs when a decorator is applied."""
        if isinstance(value, (Function, BoundMethod)):
            return value.node
        if isinstance(value, Instance):
            return self._evaluator.classes.method(value.cls, "__call__")
        return None

    def _effects_of(self, decider: cst.FunctionDef, is_method: bool) -> Iterator[_Effect | StandIn]:
        scope = self._tree.scopes[decider]
        if scope.is_generator or decider.asynchronous is not None or not scope.returns:
            yield _Effect.UNKNOWN
            return
        for statement in scope.returns:
            node = statement.value
            if isinstance(node, cst.Name) and any(
                b.kind is Bound.PARAMETER and b.scope is scope for b in self._tree.lookup(node)
            ):
                yield _Effect.SAME
                continue
            for value in self._evaluator.values(node):
                yield self._returned_effect(value, is_method)

    def _returned_effect(self, value: Value, is_method: bool) -> _Effect | StandIn:
        if isinstance(value, Lambda):
            renamed = self._by_name.is_renamed(value.node)
            return _Effect.NAMED if renamed else value.node
        if isinstance(value, Function) and self._by_name.is_nested(value.node):
            renamed = self._by_name.is_renamed(value.node) or (
                is_method and self._by_name.is_renamed(value.node, "__name__")
            )
            if renamed:
                return _Effect.NAMED
            return _Effect.UNKNOWN if value.node.decorators else value.node
        if isinstance(value, Instance) and value.cls is not None:
            return self._instance_effect(value.cls)
        if isinstance(value, Result) and value.name.startswith("functools."):
            return _Effect.NAMED
        return _Effect.UNKNOWN

    def _instance_effect(self, cls: cst.ClassDef) -> _Effect | StandIn:
        """An object that keeps the function: pickled with it, and that isn't found any more."""
        classes = self._evaluator.classes
        init = classes.method(cls, "__init__")
        bases = set(classes.external_bases(cls))
        if init is None or not bases <= picklable.PLAIN_BASES:
            return _Effect.UNKNOWN
        if any(
            not picklable.REDUCERS.isdisjoint(self._tree.scopes[c].bindings)
            for c in classes.mro(cls)
        ):
            return _Effect.UNKNOWN
        parameters = positional_names(init.params)[1:2]
        scope = self._tree.scopes[init]
        keeps = any(
            isinstance(store.value, cst.Name)
            and store.value.value in parameters
            and self._tree.function_of(store.node) is scope
            for name in self._tree.attributes
            for store in classes.stores(name)
        )
        return cls if keeps else _Effect.UNKNOWN
