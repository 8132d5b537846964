"""Escapes: which exceptions leave a function.

``Escapes.of(function)`` gives the ``raise`` statements, of the function itself and of the functions
of this module that it calls, whose exception no handler on the way takes.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.execution.caught import takers
from flake8_mppitfalls.model.values import (
    Class,
    Container,
    External,
    Instance,
    Result,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.execution.sides import Sides

DEEPEST = 8
"""How many calls deep exceptions are looked for."""

_OTHER_NAMES = {
    "socket.error": "OSError",
    "os.error": "OSError",
    "IOError": "OSError",
    "EnvironmentError": "OSError",
    "socket.timeout": "TimeoutError",
    "concurrent.futures.TimeoutError": "TimeoutError",
    "asyncio.TimeoutError": "TimeoutError",
}


class Escape(NamedTuple):
    """An exception that leaves a function: where it is raised, and what it is."""

    node: cst.Raise
    value: Value


class Escapes:
    """Answers for one module what its functions let out."""

    def __init__(self, evaluator: Evaluator, sides: Sides) -> None:
        self._evaluator = evaluator
        self._sides = sides
        self._tree = evaluator.tree
        self._known: dict[cst.CSTNode, list[Escape]] = {}

    def of(self, function: cst.CSTNode, depth: int = 0) -> list[Escape]:
        """The exceptions that may leave ``function``."""
        known = self._known.get(function)
        if known is None:
            if depth > DEEPEST:
                return []
            self._known[function] = []  # a recursive call adds nothing
            found = dict.fromkeys(self._escapes(function, depth))
            known = self._known[function] = list(found)
        return known

    def _escapes(self, function: cst.CSTNode, depth: int) -> Iterator[Escape]:
        for node in self._tree.walk(function):
            if isinstance(node, cst.Raise) and node.exc is not None:
                for value in self._evaluator.values(node.exc):
                    if not self.is_caught(node, value):
                        yield Escape(node, value)
            elif isinstance(node, cst.Call):
                for callee in self._sides.functions(self._evaluator.values(node.func)):
                    for escape in self.of(callee, depth + 1):
                        if not self.is_caught(node, escape.value):
                            yield escape

    # -- handlers ------------------------------------------------------------------------------

    def is_caught(self, node: cst.CSTNode, exception: Value) -> bool:
        """True if an exception raised at ``node`` goes no further than its function.

        A handler whose type is not known counts as one that takes it.
        """
        return any(
            isinstance(taker, cst.WithItem) or not self._raises_again(taker)
            for taker in takers(self._tree, node, lambda type_: self._takes(type_, exception))
        )

    def _raises_again(self, handler: cst.ExceptHandler | cst.ExceptStarHandler) -> bool:
        """Does the handler let the same exception go on, on some path?"""
        name = handler.name.name.value if handler.name is not None else ""  # type: ignore[union-attr]
        for node in self._tree.walk(handler.body):
            if isinstance(node, cst.Raise):
                if node.exc is None or (isinstance(node.exc, cst.Name) and node.exc.value == name):
                    return True
        return False

    def _takes(self, node: cst.BaseExpression, exception: Value) -> bool:
        """Does ``except node`` take the exception?"""
        names, classes, sure = self._family(exception)
        for value in self._evaluator.values(node):
            if isinstance(value, Class):
                if value.node in classes or not sure:
                    return True
            elif isinstance(value, External):
                name = _OTHER_NAMES.get(value.name, value.name)
                if name in names or not sure:
                    return True
            elif isinstance(value, Container):
                for inner in self._evaluator.containers.elements((value,)):
                    if not isinstance(inner, (Class, External)):
                        return True
                    if isinstance(inner, Class) and inner.node in classes:
                        return True
                    if isinstance(inner, External) and inner.name in names:
                        return True
            else:
                return True
        return False

    def _family(self, exception: Value) -> tuple[set[str], set[cst.ClassDef], bool]:
        """The names and classes that an exception answers to, and whether these are all."""
        cls: cst.ClassDef | None = None
        if isinstance(exception, Instance):
            cls = exception.cls
        elif isinstance(exception, Class):
            cls = exception.node
        if cls is not None:
            classes = set(self._evaluator.classes.mro(cls))
            bases = self._evaluator.classes.external_bases(cls)
        elif isinstance(exception, (Result, External)):
            classes, bases = set(), [exception.name]
        else:
            return {"Exception", "BaseException"}, set(), False
        names: set[str] = set()
        sure = True
        for base in bases:
            known = getattr(builtins, base, None)
            if isinstance(known, type) and issubclass(known, BaseException):
                names.update(c.__name__ for c in known.__mro__)
            else:
                names.update((base, "Exception", "BaseException"))
                sure = False
        return names, classes, sure
