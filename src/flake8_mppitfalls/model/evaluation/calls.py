"""Calls: what calling something gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.values import (
    DEFAULT,
    UNDECIDED,
    UNKNOWN,
    BoundMethod,
    Class,
    Constant,
    Container,
    Coroutine,
    External,
    Function,
    Generator,
    Instance,
    Lambda,
    Made,
    Member,
    Partial,
    Result,
    ResultMember,
    Value,
    Values,
    is_none,
    union,
)

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

_CONTAINERS = {
    "list": "list",
    "sorted": "list",
    "tuple": "tuple",
    "set": "set",
    "frozenset": "set",
    "dict": "dict",
    "collections.deque": "list",
    "collections.OrderedDict": "dict",
    "collections.defaultdict": "dict",
    "iter": "iterator",
    "reversed": "iterator",
    "enumerate": "iterator",
    "zip": "iterator",
    "filter": "iterator",
    "map": "iterator",
    "itertools.chain": "iterator",
    "itertools.islice": "iterator",
    "itertools.cycle": "iterator",
    "itertools.repeat": "iterator",
    "itertools.product": "iterator",
    "multiprocessing.connection.wait": "list",
}
_WRAPPERS = {"contextlib.closing", "contextlib.nullcontext", "copy.copy", "iter", "staticmethod"}
"""Calls that give their first argument back, as far as we are concerned."""
TRANSPARENT_DECORATORS = frozenset(
    {
        "staticmethod",
        "classmethod",
        "functools.lru_cache",
        "functools.cache",
        "functools.wraps",
        "abc.abstractmethod",
        "typing.override",
        "typing_extensions.override",
        "typing.no_type_check",
        "typing.final",
        "contextlib.contextmanager",
        "contextlib.asynccontextmanager",
        "property",
        "functools.cached_property",
    }
)
"""Decorators under which a call of the function still gives what its ``return`` says."""


def class_of(values: Values) -> Values:
    """The classes of this module that all the values are instances of; empty where one is not."""
    classes = [
        value.cls if isinstance(value, (Instance, Made)) and value.cls is not None else None
        for value in values
    ]
    return tuple(dict.fromkeys(Class(cls) for cls in classes if cls)) if all(classes) else ()


class Calls:
    """Answers what the calls of one module give."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def of(self, value: Value, call: cst.Call) -> Values:
        """What a call of ``value`` at ``call`` gives."""
        if isinstance(value, External):
            return self._external_call(value, call)
        if isinstance(value, Function):
            return self._function_call(value.node, call)
        if isinstance(value, BoundMethod):
            return self._function_call(value.node, call)
        if isinstance(value, Class):
            if "typing.TypedDict" in self._evaluator.classes.external_bases(value.node):
                return (Container(call, "dict"),)
            return (self._evaluator.instance(value.node, call),)
        if isinstance(value, Lambda):
            return self._evaluator.values(value.node.body)
        if isinstance(value, Member):
            return self._member_call(value, call)
        if isinstance(value, Partial):
            return union((), *(self.of(target, call) for target in value.targets))
        if isinstance(value, Result):
            return (Result(f"{value.name}()", call),)
        if isinstance(value, ResultMember):
            return (Result(f"{value.receiver.name}().{value.name}", call),)
        if isinstance(value, (Instance, Made)) and value.cls is not None:
            method = self._evaluator.classes.method(value.cls, "__call__")
            return self._function_call(method, call) if method is not None else (UNKNOWN,)
        return (UNKNOWN,)

    def _external_call(self, value: External, call: cst.Call) -> Values:
        name = value.name
        maker = api.maker(name)
        if maker is not None and maker.makes is not None:
            return (self._make(maker, maker.makes, value, call),)
        first = call.args[0].value if call.args and not call.args[0].star else None
        if name == "functools.partial" and first is not None:
            return (Partial(call, self._evaluator.values(first)),)
        if name in _CONTAINERS:
            return (Container(call, _CONTAINERS[name]),)
        if name == "typing.cast" and len(call.args) > 1:
            return self._evaluator.values(call.args[1].value)
        if name in _WRAPPERS and first is not None:
            return self._evaluator.values(first)
        if name == "type" and first is not None and len(call.args) == 1:
            classes = class_of(self._evaluator.values(first))
            if classes:
                return classes
        if name == "getattr" and len(call.args) > 1:
            attribute = self._evaluator.text(call.args[1].value)
            if attribute is not None and first is not None:
                groups = [
                    self._evaluator.members.of(v, attribute, call)
                    for v in self._evaluator.values(first)
                ]
                return union((), *groups)
            return (UNKNOWN,)
        if name == "next" and first is not None:
            return self._evaluator.containers.iterated(self._evaluator.values(first))
        if name.startswith("."):
            return (UNKNOWN,)
        return (Result(name, call),)

    def _make(self, maker: api.Maker, kind: api.Kind, value: External, call: cst.Call) -> Made:
        method = maker.method or value.method
        if kind is api.Kind.CONTEXT and not maker.method:
            given = argument(call, maker.parameters, "method")
            method = self._method_name(given) if given is not None else DEFAULT
        elif maker.context:
            given = argument(call, maker.parameters, maker.context)
            if given is not None:
                method = self._method_of_context(given, method)
        return Made(kind, call, maker.name, method, api.flavour(value.name))

    def _method_name(self, node: cst.BaseExpression) -> str:
        constants = {
            v.value if isinstance(v, Constant) else "?" for v in self._evaluator.values(node)
        }
        if constants == {None}:
            return DEFAULT
        if len(constants) == 1:
            only = constants.pop()
            if only in ("fork", "spawn", "forkserver"):
                return str(only)
        return UNDECIDED

    def _method_of_context(self, node: cst.BaseExpression, otherwise: str) -> str:
        methods = set()
        for value in self._evaluator.values(node):
            if isinstance(value, Made) and value.kind is api.Kind.CONTEXT:
                methods.add(value.method)
            elif is_none(value):
                methods.add(otherwise)
            elif isinstance(value, External) and api.canonical(value.name) == "multiprocessing":
                methods.add(DEFAULT)
            else:
                methods.add(UNDECIDED)
        return methods.pop() if len(methods) == 1 else UNDECIDED

    def _member_call(self, value: Member, call: cst.Call) -> Values:
        receiver, name = value.receiver, value.name
        if receiver.kind is api.Kind.CONTEXT and name == "get_context":
            return (Made(api.Kind.CONTEXT, call, "get_context", receiver.method),)
        method = api.METHODS.get(receiver.kind, {}).get(name)
        if method is not None and method.gives is not None:
            return (Made(method.gives, call, name, owner=receiver),)
        if name == "__enter__":
            return self.entered((receiver,))
        if receiver.kind is api.Kind.PIPE:
            return (UNKNOWN,)
        return (Result(f"<{receiver.kind.value}>.{name}", call),)

    def _function_call(self, function: cst.FunctionDef, call: cst.Call) -> Values:
        if self.is_opaque(function):
            return (UNKNOWN,)
        scope = self._evaluator.tree.scopes[function]
        if scope.is_generator:
            return (Generator(call, function),)
        if function.asynchronous is not None:
            return (Coroutine(call, function),)
        return self._evaluator.returned(function)

    def is_opaque(self, function: cst.FunctionDef) -> bool:
        """True if a decorator may change what a call of the function does."""
        return any(
            name not in TRANSPARENT_DECORATORS
            for name in decorator_names(self._evaluator.tree, function)
        )

    def entered(self, values: Values) -> Values:
        """What ``with … as name`` binds for a context manager."""
        groups: list[Values] = []
        for value in values:
            if isinstance(value, (Made, Result)):
                groups.append((value,))
            elif isinstance(value, Generator) and value.function is not None:
                groups.append(self._evaluator.yielded(value.function))
            elif isinstance(value, Instance):
                method = self._evaluator.classes.method(value.cls, "__enter__")
                groups.append(
                    self._evaluator.returned(method) if method is not None else (UNKNOWN,)
                )
            else:
                groups.append((UNKNOWN,))
        return union((), *groups)
