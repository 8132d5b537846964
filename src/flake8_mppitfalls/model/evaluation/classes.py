"""The classes of a module: bases, methods, attributes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.model.pickling import toolkits
from flake8_mppitfalls.syntax.scopes import STARRED, Bound, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flake8_mppitfalls.syntax.scopes import Scope
    from flake8_mppitfalls.syntax.tree import Tree


_ENUMERATIONS = frozenset(
    {"enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag", "enum.ReprEnum"}
)


FEW = 12
"""Up to so many places of an attribute are looked at, whoever has it."""

MOST_BASES = 20
"""What a class inherits from further away is not looked for."""

CONSTRUCTORS = ("__new__", "__init__", "__post_init__")
"""What runs when an object is made, in this order."""
_BARE = frozenset({"object", "abc.ABC", "typing.Generic", "typing.Protocol"})
"""Bases without a constructor or attributes of their own."""
_MOST_ALIASES = 5


class Store(NamedTuple):
    """An assignment to an attribute: where, from which expression, which part of it."""

    node: cst.Attribute
    value: cst.BaseExpression | None
    path: tuple[int, ...]
    kind: Bound
    annotation: cst.BaseExpression | None = None


def decorator_names(tree: Tree, node: cst.FunctionDef | cst.ClassDef) -> list[str]:
    """The dotted names of the decorators (``x.setter`` for a property's setter)."""
    from flake8_mppitfalls.syntax.tree import dotted_name

    names = []
    for decorator in node.decorators:
        expression = decorator.decorator
        if isinstance(expression, cst.Call):
            expression = expression.func
        names.append(tree.qualified(expression) or dotted_name(expression) or "?")
    return names


class Classes:
    """Answers about the classes of one module. Cheap to make; everything is found on demand."""

    def __init__(self, tree: Tree) -> None:
        self._methods: dict[cst.ClassDef, dict[cst.FunctionDef, int]] = {}
        self._tree = tree
        self._bases: dict[cst.ClassDef, tuple[list[cst.ClassDef], list[str]]] = {}
        self._mro: dict[cst.ClassDef, list[cst.ClassDef]] = {}
        self._in_line: dict[cst.ClassDef, bool] = {}
        self._makers: dict[cst.ClassDef, api.Maker | None] = {}
        self._stores: dict[str, list[Store]] = {}
        self._stores_in: dict[str, dict[Scope, list[Store]]] = {}
        self._near: dict[str, dict[cst.ClassDef | None, list[int]]] = {}

    def of_method(self, function: cst.CSTNode) -> cst.ClassDef | None:
        """The class whose body directly holds ``function``."""
        block = self._tree.parent(function)
        owner = self._tree.parent(block) if block is not None else None
        return owner if isinstance(owner, cst.ClassDef) else None

    def bases(self, cls: cst.ClassDef) -> tuple[list[cst.ClassDef], list[str]]:
        """The base classes: those of this module, and the dotted names of the others."""
        known = self._bases.get(cls)
        if known is None:
            known = self._bases[cls] = self._find_bases(cls)
        return known

    def _find_bases(self, cls: cst.ClassDef) -> tuple[list[cst.ClassDef], list[str]]:
        local: list[cst.ClassDef] = []
        external: list[str] = []
        for arg in cls.bases:
            if arg.keyword is not None:
                continue
            base = arg.value
            if isinstance(base, cst.Subscript):
                base = base.value
            base = self._unaliased(base)
            found = self.named(base)
            if found is not None:
                local.append(found)
            else:
                external.append(self.qualified(base) or self._of_context(base))
        return local, external

    def qualified(self, node: cst.BaseExpression) -> str:
        """The dotted name of a class, also where one of two imports brings it.

        ``try: from billiard import Process``, ``except ImportError: from multiprocessing …``: that
        is the same class of the process API. Where one is of dill's kind, that one is it.
        """
        if isinstance(node, cst.Name) and self._tree.star_imports and not self._tree.lookup(node):
            return self.starred(node.value) or node.value
        known = self._tree.qualified(node)
        if known:
            return known
        names = self._tree.alternatives(node)
        if len({api.canonical(name) for name in names}) != 1 or api.maker(names[0]) is None:
            return ""
        return max(names, key=api.flavour)

    def _unaliased(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """``context.Process``, for the name that ``Process = context.Process`` gives it."""
        for _ in range(_MOST_ALIASES):
            bindings = self._tree.lookup(node) if isinstance(node, cst.Name) else []
            value = bindings[0].value if len(bindings) == 1 else None
            if not isinstance(value, (cst.Name, cst.Attribute)) or bindings[0].path:
                break
            if bindings[0].kind is not Bound.ASSIGN:
                break
            node = value
        return node

    def starred(self, name: str) -> str:
        """The dotted name of an unbound ``Process``, after ``from multiprocessing import *``."""
        for qualified in self._tree.starred(name):
            if api.maker(qualified) is not None or qualified in toolkits.NAMES:
                return qualified
        return ""

    def named(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """The class of this module that a name stands for."""
        if not isinstance(node, cst.Name):
            return None
        classes = [b.node for b in self._tree.lookup(node) if b.kind is Bound.CLASS]
        return classes[-1] if classes and isinstance(classes[-1], cst.ClassDef) else None

    def mro(self, cls: cst.ClassDef) -> list[cst.ClassDef]:
        """The class and its bases of this module, nearest first."""
        known = self._mro.get(cls)
        if known is not None:
            return known
        order: dict[cst.ClassDef, None] = {}
        work = [cls]
        while work and len(order) < MOST_BASES:
            current = work.pop()
            if current in order:
                continue
            order[current] = None
            work.extend(reversed(self.bases(current)[0]))
        result = list(order)
        self._mro[cls] = result
        return result

    def is_in_line(self, cls: cst.ClassDef) -> bool:
        """Has it, and has each of its bases, at most one base of this module?"""
        if cls not in self._in_line:
            self._in_line[cls] = all(len(self.bases(c)[0]) < 2 for c in self.mro(cls))
        return self._in_line[cls]

    def external_bases(self, cls: cst.ClassDef) -> list[str]:
        """The dotted names of all bases from elsewhere (``?`` for what is no name)."""
        return [name for c in self.mro(cls) for name in self.bases(c)[1]]

    def maker(self, cls: cst.ClassDef) -> api.Maker | None:
        """The class of the process API from which ``cls`` derives (``Process``), if any."""
        if cls not in self._makers:
            found = None
            for name in self.external_bases(cls):
                found = api.maker(name)
                if found is not None:
                    break
            self._makers[cls] = found
        return self._makers[cls]

    def is_overlaid(self, cls: cst.ClassDef) -> bool:
        """Does a class that is not known here stand before that of the process API?"""
        for name in self.external_bases(cls):
            if api.maker(name) is not None:
                return False
            if name not in _BARE:
                return True
        return False

    def _of_context(self, base: cst.BaseExpression) -> str:
        """``class W(ctx.Process)``: the member of a context, recognised by its name."""
        if (
            isinstance(base, cst.Attribute)
            and base.attr.value == "Process"
            and isinstance(base.value, (cst.Name, cst.Call))
            and self._is_context(base.value)
        ):
            return "multiprocessing.Process"
        return "?"

    def _is_context(self, node: cst.BaseExpression) -> bool:
        expressions: list[cst.CSTNode | None] = [node]
        if isinstance(node, cst.Name):
            expressions = [b.value for b in self._tree.lookup(node)]
        for expression in expressions:
            if isinstance(expression, cst.Call):
                found = api.maker(self._tree.qualified(expression.func))
                if found is not None and found.makes is api.Kind.CONTEXT:
                    return True
        return False

    def method(self, cls: cst.ClassDef, name: str) -> cst.FunctionDef | None:
        """The method ``name`` of the class, inherited ones of this module too."""
        return self._method_in(self.mro(cls), name)

    def inherited(self, cls: cst.ClassDef, name: str) -> cst.FunctionDef | None:
        """The method ``name`` of the base classes of this module, not of the class itself."""
        return self._method_in(self.mro(cls)[1:], name)

    def own_method(self, cls: cst.ClassDef, name: str) -> cst.FunctionDef | None:
        """The method ``name`` of the class itself."""
        return self._method_in([cls], name)

    def is_abstract(self, method: cst.FunctionDef) -> bool:
        """Does a method leave it to the subclasses what it does?"""
        if "abc.abstractmethod" in decorator_names(self._tree, method):
            return True
        lines: Sequence[cst.BaseStatement | cst.BaseSmallStatement] = method.body.body
        for line in lines:
            parts = line.body if isinstance(line, cst.SimpleStatementLine) else [line]
            for part in parts:
                if isinstance(part, cst.Raise):
                    error = part.exc.func if isinstance(part.exc, cst.Call) else part.exc
                    return self._tree.qualified(error) == "NotImplementedError"
                if not (isinstance(part, cst.Pass) or _is_text(part)):
                    return False
        return True

    def _method_in(self, classes: list[cst.ClassDef], name: str) -> cst.FunctionDef | None:
        for c in classes:
            for binding in self._tree.scopes[c].bindings.get(name, ()):
                if isinstance(binding.node, cst.FunctionDef):
                    return binding.node
        return None

    def is_enumeration(self, cls: cst.ClassDef) -> bool:
        """True for an ``Enum``, whose names are its instances."""
        return not _ENUMERATIONS.isdisjoint(self.external_bases(cls))

    def methods(self, cls: cst.ClassDef) -> dict[cst.FunctionDef, int]:
        """All methods, inherited ones of this module too, each with its place in their order."""
        known = self._methods.get(cls)
        if known is None:
            known = self._methods[cls] = {}
            for c in self.mro(cls):
                for bindings in self._tree.scopes[c].bindings.values():
                    for binding in bindings:
                        if isinstance(binding.node, cst.FunctionDef):
                            known.setdefault(binding.node, len(known))
        return known

    def subclasses(self, cls: cst.ClassDef) -> list[cst.ClassDef]:
        """The classes of this module that derive from ``cls``."""
        return self._subclasses.get(cls, [])

    @cached_property
    def _subclasses(self) -> dict[cst.ClassDef, list[cst.ClassDef]]:
        found: dict[cst.ClassDef, list[cst.ClassDef]] = {}
        for cls in self._tree.nodes(cst.ClassDef):
            for base in self.mro(cls):
                if base is not cls:
                    found.setdefault(base, []).append(cls)
        return found

    def has_reducer(self, cls: cst.ClassDef) -> bool:
        """Is ``copyreg.pickle()``, or ``ForkingPickler.register()``, told how to pickle it?"""
        for name in ("pickle", "register"):
            for call in self._tree.calls_of.get(name, ()):
                first = call.args[0].value if call.args else None
                if isinstance(first, cst.Name) and first.value == cls.name.value:
                    return True
        return False

    def stores(self, name: str) -> list[Store]:
        """All assignments to an attribute of this name, whatever the receiver."""
        known = self._stores.get(name)
        if known is None:
            found = (self.store_of(node) for node in self._tree.attributes.get(name, ()))
            known = self._stores[name] = [store for store in found if store is not None]
        return known

    def stores_in(self, scope: Scope, name: str) -> list[Store]:
        """Those in the code of one function, or of the module."""
        known = self._stores_in.get(name)
        if known is None:
            known = self._stores_in[name] = {}
            for store in self.stores(name):
                known.setdefault(self._tree.function_of(store.node), []).append(store)
        return known.get(scope, [])

    def stores_near(self, name: str, classes: Iterable[cst.ClassDef]) -> list[Store]:
        """The assignments to an attribute that may be one of some classes, or of their relatives.

        That is all of them but those to ``self`` in a method of another class.
        """
        everywhere = self.stores(name)
        if len(everywhere) < FEW:
            return everywhere
        if name not in self._near:
            groups = self._near[name] = {}
            for place, store in enumerate(everywhere):
                groups.setdefault(self._own_class(store.node.value), []).append(place)
        family: dict[cst.ClassDef | None, None] = {None: None}
        for cls in classes:
            family.update(dict.fromkeys((*self.mro(cls), *self.subclasses(cls))))
        places = sorted(place for cls in family for place in self._near[name].get(cls, ()))
        return [everywhere[place] for place in places]

    def _own_class(self, receiver: cst.BaseExpression) -> cst.ClassDef | None:
        """The class of the method whose own object, and nothing else, a name stands for."""
        bindings = self._tree.lookup(receiver) if isinstance(receiver, cst.Name) else []
        function = bindings[0].scope.node if len(bindings) == 1 else None
        if not isinstance(function, cst.FunctionDef) or bindings[0].kind is not Bound.PARAMETER:
            return None
        if positional_names(function.params)[:1] != [bindings[0].name]:
            return None
        if "staticmethod" in decorator_names(self._tree, function):
            return None
        return self.of_method(function)

    def is_property(self, function: cst.FunctionDef) -> bool:
        """Is it called by reading an attribute?"""
        return any(name in _PROPERTIES for name in decorator_names(self._tree, function))

    def store_of(self, node: cst.Attribute) -> Store | None:
        """The assignment of which ``node`` is the target, or ``None`` where it is read."""
        path: tuple[int, ...] = ()
        child: cst.CSTNode = node
        parent = self._tree.parent(child)
        if type(parent) not in _HOLDING_TARGETS:
            return None
        while isinstance(parent, (cst.Element, cst.StarredElement, cst.Tuple, cst.List)):
            if isinstance(parent, (cst.Tuple, cst.List)):
                index = next((i for i, e in enumerate(parent.elements) if e is child), STARRED)
                path = (index, *path)
            child, parent = parent, self._tree.parent(parent)
        if isinstance(parent, cst.AssignTarget):
            assign = self._tree.parent(parent)
            value = assign.value if isinstance(assign, cst.Assign) else None
            return Store(node, *unpacked(value, path), Bound.ASSIGN)
        if isinstance(parent, cst.AnnAssign) and child is parent.target:
            kind = Bound.ASSIGN if parent.value is not None else Bound.ANNOTATED
            return Store(node, parent.value, path, kind, parent.annotation.annotation)
        if isinstance(parent, cst.AugAssign) and child is parent.target:
            return Store(node, parent.value, path, Bound.AUGMENTED)
        if isinstance(parent, cst.For) and child is parent.target:
            return Store(node, parent.iter, path, Bound.FOR)
        if isinstance(parent, cst.AsName):
            item = self._tree.parent(parent)
            if isinstance(item, cst.WithItem):
                return Store(node, item.item, path, Bound.WITH)
        return None


def _is_text(statement: cst.CSTNode) -> bool:
    """A docstring, or ``...``."""
    return isinstance(statement, cst.Expr) and isinstance(
        statement.value, (cst.SimpleString, cst.ConcatenatedString, cst.Ellipsis)
    )


_PROPERTIES = frozenset({"property", "functools.cached_property", "cached_property"})
_HOLDING_TARGETS: frozenset[type] = frozenset(
    {
        cst.Element,
        cst.StarredElement,
        cst.Tuple,
        cst.List,
        cst.AssignTarget,
        cst.AnnAssign,
        cst.AugAssign,
        cst.For,
        cst.AsName,
    }
)
"""What an assignment target may stand in."""
