"""Lasting tests: what comes out the same in all methods of an object, and in all functions.

``if self.serial: return`` in ``close()`` and in ``join()``: where nothing but the constructor sets
the attribute, no path does one and not the other. The methods of an object know of such tests by
``self``; where the object has another name, they are kept under the name of its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.lives.decisions import implied
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flake8_mppitfalls.model.lives.decisions import Known
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.scopes import Scope

_CREATION = frozenset({"__init__", "__new__", "__post_init__"})
_OWN = "self"


class Lasting:
    """The lasting ones of the tests that decide about one thing."""

    def __init__(
        self,
        program: Program,
        is_only_one: Callable[[cst.ClassDef], bool],
    ) -> None:
        self._tree = program.tree
        self._conditions = program.conditions
        self._classes = program.evaluator.classes
        self._is_only_one = is_only_one
        self._classes_of: dict[Scope, cst.ClassDef | None] = {}
        self._own: set[str] = set()
        self._everywhere: set[str] = set()

    def take(self, tests: Mapping[str, cst.BaseExpression]) -> None:
        """Take these tests, by their text, into account."""
        for text, test in tests.items():
            names = self._names(test)
            if names is not None:
                (self._own if _OWN in names else self._everywhere).add(text)

    def early(self, places: Iterable[cst.CSTNode]) -> Iterator[cst.BaseExpression]:
        """The simple tests of attributes by which a method is left before it comes to a place."""
        for place in places if _OWN in self._tree.loads else ():
            for test, truth in self._conditions.holding(place):
                if isinstance(self._tree.parent(test), cst.If):
                    for atom, _ in (*implied(test, truth), *implied(test, not truth)):
                        if _OWN in (self._names(atom) or ()):
                            yield atom

    def entering(self, known: Known, call: cst.CSTNode, called: Scope) -> Known:
        """What is known where a function begins, of what is known where it is called."""
        if not known:
            return known
        mark = self._mark(call, called)
        found = {(t, v) for t, v in known if t in self._everywhere or self._is_kept(t)}
        if mark == "":
            found |= {(t, v) for t, v in known if t in self._own}
        elif mark is not None:
            found |= {(t.removeprefix(mark), v) for t, v in known if t.startswith(mark)}
        return frozenset(found)

    def leaving(self, before: Known, after: Known, call: cst.CSTNode, called: Scope) -> Known:
        """What is known behind a call: what was, and what lasts of what has come out."""
        if not after:
            return before
        mark = self._mark(call, called)
        found = {(t, v) for t, v in after if t in self._everywhere or self._is_kept(t)}
        if mark is not None:
            found |= {(mark + t, v) for t, v in after if t in self._own}
        return before | frozenset(found)

    def _mark(self, call: cst.CSTNode, called: Scope) -> str | None:
        """Under which name the caller keeps what a method knows of its object.

        Empty where the object is the caller's own; ``None`` where it may be any of many.
        """
        there = self._class(called)
        if there is None:
            return None
        func = call.func if isinstance(call, cst.Call) else call
        if isinstance(func, cst.Attribute):
            receiver = func.value
            if isinstance(receiver, cst.Call):
                receiver = receiver.func  # super().close()
            if isinstance(receiver, cst.Name) and receiver.value in (_OWN, "super"):
                return ""
        if not self._is_only_one(there):
            return None
        here = self._class(self._tree.function_of(call))
        return "" if here is there else f"{there.name.value}: "

    def _is_kept(self, text: str) -> bool:
        """Is it a test of an object, under the name of its class?"""
        return text.partition(": ")[2] in self._own

    def _class(self, scope: Scope) -> cst.ClassDef | None:
        """The first base class of the object that ``self`` is in a function."""
        if scope not in self._classes_of:
            found = None
            for around in (scope, *scope.outer()):
                cls = self._classes.of_method(around.node)
                if cls is not None:
                    found = self._classes.mro(cls)[-1]
                    break
            self._classes_of[scope] = found
        return self._classes_of[scope]

    def _names(self, test: cst.BaseExpression) -> set[str] | None:
        """The names in a test that comes out the same everywhere; ``None`` for another."""
        found: set[str] = set()
        for part in self._tree.walk(test):
            if isinstance(part, (cst.Call, cst.Subscript, cst.Await, cst.NamedExpr)):
                return None
            if isinstance(part, cst.Attribute):
                if not self._is_set_once(part.attr.value):
                    return None
            elif isinstance(part, cst.Name) and part in self._tree.name_scopes:
                owner = self._tree.scope_of(part).owner_of(part.value)
                if owner is None:
                    continue
                bindings = owner.bindings[part.value]
                own = part.value == _OWN and bindings[0].kind is Bound.PARAMETER
                if not own and (owner.kind is not ScopeKind.MODULE or len(bindings) > 1):
                    return None
                found.add(part.value)
        return found

    def _is_set_once(self, attribute: str) -> bool:
        """Do only constructors set an attribute of this name?"""
        for store in self._classes.stores(attribute):
            function = self._tree.function_of(store.node).node
            if not (isinstance(function, cst.FunctionDef) and function.name.value in _CREATION):
                return False
        return True
