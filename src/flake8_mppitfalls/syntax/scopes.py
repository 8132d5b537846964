"""Scopes and bindings: which definition a name in the source stands for.

The rules are those of the language reference, "Naming and binding": class bodies are skipped by
the functions inside them, comprehensions have a scope of their own, ``global`` and ``nonlocal``
move a binding outwards.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Iterator


class ScopeKind(enum.Enum):
    """What opens a scope."""

    MODULE = "module"
    CLASS = "class"
    FUNCTION = "function"
    LAMBDA = "lambda"
    COMPREHENSION = "comprehension"


class Bound(enum.Enum):
    """How a name gets its value."""

    ASSIGN = "assign"
    AUGMENTED = "augmented"
    ANNOTATED = "annotated"
    FOR = "for"
    WITH = "with"
    IMPORT = "import"
    FUNCTION = "function"
    CLASS = "class"
    PARAMETER = "parameter"
    OTHER = "other"


STARRED = -1
"""In a binding's path: the name takes the rest (``first, *rest = …``)."""


@dataclass(eq=False, slots=True)
class Binding:
    """One place where a name gets a value.

    ``node`` is the bound ``Name``, the ``def``, the ``class`` or the ``Param``. ``value`` is the
    expression that the value comes from: the right-hand side, the iterable of a ``for``, the
    context expression of a ``with`` item; ``path`` says which part of it, for unpacked targets.
    ``qualified`` is the dotted name of an import.
    """

    name: str
    kind: Bound
    node: cst.CSTNode
    scope: Scope
    value: cst.BaseExpression | None = None
    path: tuple[int, ...] = ()
    annotation: cst.BaseExpression | None = None
    qualified: str = ""


@dataclass(eq=False, slots=True)
class Scope:
    """A module, class, function, lambda or comprehension, with the names that it binds."""

    kind: ScopeKind
    node: cst.CSTNode
    parent: Scope | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    global_names: set[str] = field(default_factory=set)
    nonlocal_names: set[str] = field(default_factory=set)
    is_generator: bool = False
    returns: list[cst.Return] = field(default_factory=list)
    yields: list[cst.Yield] = field(default_factory=list)

    @property
    def is_function(self) -> bool:
        """True for what runs when it is called: functions and lambdas."""
        return self.kind in (ScopeKind.FUNCTION, ScopeKind.LAMBDA)

    def module(self) -> Scope:
        """The module's scope."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def function(self) -> Scope:
        """The scope whose statements contain this one: comprehensions belong to their owner."""
        scope = self
        while scope.kind is ScopeKind.COMPREHENSION and scope.parent is not None:
            scope = scope.parent
        return scope

    def outer(self) -> Iterator[Scope]:
        """The scopes around this one, from the inside out."""
        scope = self.parent
        while scope is not None:
            yield scope
            scope = scope.parent

    def owner_of(self, name: str) -> Scope | None:
        """The scope that binds ``name`` when it is read here, or ``None`` for builtins."""
        scope: Scope | None = self
        first = True
        while scope is not None:
            if name in scope.global_names:
                top = scope.module()
                return top if name in top.bindings else None
            if (first or scope.kind is not ScopeKind.CLASS) and name in scope.bindings:
                return scope
            # A comprehension directly in a class body sees the class's names only in its
            # first iterable, which is evaluated outside it; functions never see them.
            first = False
            scope = scope.parent
        return None

    def target_of(self, name: str) -> Scope:
        """The scope in which a binding of ``name`` written here takes effect."""
        if name in self.global_names:
            return self.module()
        if name in self.nonlocal_names:
            for scope in self.outer():
                if scope.is_function and name in scope.bindings:
                    return scope
        return self


def unpacked(
    value: cst.BaseExpression | None, path: tuple[int, ...]
) -> tuple[cst.BaseExpression | None, tuple[int, ...]]:
    """What is at ``path`` of an assigned value, as far as that is written out: ``a, b = x, y``."""
    while path and isinstance(value, (cst.Tuple, cst.List)):
        elements = value.elements
        if path[0] not in range(len(elements)):
            break
        if any(isinstance(element, cst.StarredElement) for element in elements):
            break
        value, path = elements[path[0]].value, path[1:]
    return value, path
