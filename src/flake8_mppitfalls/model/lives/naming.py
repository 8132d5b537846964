"""Naming: by which names and containers one thing is reached.

A call that makes something (``Process(…)``) may run many times. ``Naming`` is about one of the
things that it makes, any one. It says for an expression in which way it may stand for that thing:
by a name that holds it, as an element of a container that holds it, as what a call has just given,
or in a way that can't be followed. The data flow keeps, for each state, the names and containers
that hold the thing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    BoundMethod,
    Class,
    Computed,
    Container,
    External,
    Function,
    Generator,
    Instance,
    Made,
    class_of,
    is_made_at,
)
from flake8_mppitfalls.syntax.flow import PointKind
from flake8_mppitfalls.syntax.scopes import Bound, Scope, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flake8_mppitfalls.model.evaluation.classes import Store
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Point
    from flake8_mppitfalls.syntax.scopes import Binding

Key: TypeAlias = "tuple[Scope | None, str]"
"""A variable: the scope that owns a name, or ``None`` and ``.name`` for an attribute."""

MOST_BINDINGS = 60
"""A name that gets more values than that is not followed from one to the next."""
DEEPEST = 8

_WRAPPERS = frozenset("contextlib.closing contextlib.nullcontext typing.cast copy.copy".split())
_ALL_OF = frozenset("list tuple sorted reversed set iter tqdm.tqdm tqdm.auto.tqdm".split())
_CACHING = frozenset({"functools.cache", "functools.lru_cache"})
_ENTERING = frozenset({"enter_context", "enter_async_context"})


class How(enum.Enum):
    """The way in which an expression stands for the thing."""

    NOT = "it does not"
    KEY = "a name holds it"
    FRESH = "a call has just given it"
    EACH = "the elements of containers, one by one"
    LOOSE = "somehow"


@dataclass(frozen=True, slots=True)
class Way:
    """How an expression stands for the thing; ``containers`` are the places they are made."""

    how: How
    key: Key | None = None
    call: cst.CSTNode | None = None
    containers: frozenset[cst.CSTNode] = frozenset()


NOT = Way(How.NOT)
LOOSE = Way(How.LOOSE)


class Naming:
    """The names and containers of what one call makes."""

    def __init__(self, program: Program, site: cst.CSTNode, uses: Iterable[Use]) -> None:
        self._program = program
        self._tree = program.tree
        self._site = site
        self._used = {use.at for use in uses}
        self._wholes: dict[cst.CSTNode, frozenset[cst.CSTNode] | None] = {}
        self._stores_of: set[tuple[cst.ClassDef, str]] = set()
        self._stored_at: set[cst.CSTNode] = set()
        self.names: dict[Scope | None, dict[str, None]] = {}
        """The names that matter."""
        self.loose: set[Key] = set()
        """Those that may hold the thing in a way that can't be followed."""
        self.containers: dict[cst.CSTNode, None] = {}
        """The containers that matter, by where they are made."""
        self.bindings: dict[Scope, dict[Point, list[tuple[Key, Way]]]] = {}
        """Where the names that matter get a value, and which."""
        self.heads: dict[Point, dict[Point, dict[Key, frozenset[cst.CSTNode]]]] = {}
        """The heads of loops over such containers: what binds their variables to what."""

    # -- expressions ---------------------------------------------------------------------------

    def way(self, node: cst.CSTNode | None, depth: int = 0) -> Way:
        """How an expression may stand for the thing where it is evaluated."""
        if node is None or depth > DEEPEST:
            return NOT if node is None else LOOSE
        if node is self._site:
            return Way(How.FRESH, call=node)
        if isinstance(node, cst.Name):
            return self._name(node)
        if isinstance(node, cst.Attribute):
            return self._attribute(node)
        if isinstance(node, cst.NamedExpr):
            return self.way(node.value, depth + 1)
        if isinstance(node, cst.Call):
            return self._call(node, depth)
        if isinstance(node, cst.IfExp):
            return self._one_of((node.body, node.orelse), depth)
        if isinstance(node, cst.BooleanOperation):
            return self._one_of((node.left, node.right), depth)
        return LOOSE if self._may_be(node) else NOT

    def is_it(self, node: cst.CSTNode) -> bool:
        """May the expression be something made at the site?"""
        return is_made_at(self._program.values(node), self._site)

    def _may_be(self, node: cst.CSTNode) -> bool:
        """For what is taken from somewhere: unless all that it can be is known to be other."""
        values = self._program.values(node)
        if self.is_it(node):
            return True
        return UNKNOWN in values and isinstance(node, (cst.Subscript, cst.Attribute, cst.Await))

    def _one_of(self, nodes: Iterable[cst.BaseExpression], depth: int) -> Way:
        ways = [way for way in (self.way(node, depth + 1) for node in nodes) if way is not NOT]
        if not ways:
            return NOT
        return ways[0] if len(ways) == 1 else LOOSE

    def _name(self, node: cst.Name) -> Way:
        owner = self._tree.scope_of(node).owner_of(node.value)
        if owner is None or not (self.is_it(node) or UNKNOWN in self._program.values(node)):
            return NOT
        if owner.kind is ScopeKind.COMPREHENSION:
            return self._in_comprehension(owner, node)
        if len(owner.bindings[node.value]) > MOST_BINDINGS:
            return LOOSE
        key = (owner, node.value)
        self.add(key)
        return Way(How.KEY, key)

    def _in_comprehension(self, owner: Scope, node: cst.Name) -> Way:
        """The variable of a comprehension over a container: each element of it."""
        ways = []
        for binding in owner.bindings[node.value]:
            loop = self._loop_of(binding)
            if isinstance(loop, cst.CompFor) and loop.ifs:
                return LOOSE
            ways.append(self._looped(binding))
        return ways[0] if len(ways) == 1 else LOOSE

    def _attribute(self, node: cst.Attribute) -> Way:
        if not self._is_single(node.value) or self._is_method(node) or self._is_field(node):
            return LOOSE if self._may_be(node) else NOT
        key = (None, f".{node.attr.value}")
        self.add(key)
        self._add_stores(key, node)
        return Way(How.KEY, key)

    def _is_method(self, node: cst.Attribute) -> bool:
        """A property gives what is held under some other name."""
        method = self._program.evaluator.classes.method
        classes = (getattr(v, "cls", None) for v in self._program.values(node.value))
        return any(
            isinstance(cls, cst.ClassDef) and method(cls, node.attr.value) is not None
            for cls in classes
        )

    def _is_field(self, node: cst.Attribute) -> bool:
        """Does the constructor of a dataclass store what it is given there?"""
        return any(
            isinstance(v, Instance)
            and node.attr.value in self._program.evaluator.records.fields(v.cls)
            for v in self._program.values(node.value)
        )

    def _is_single(self, receiver: cst.BaseExpression) -> bool:
        """Is the object, whose attribute it is, the only one of its class that matters here?"""
        values = self._program.values(receiver)
        return bool(values) and all(
            isinstance(v, Class)
            or (isinstance(v, Instance) and (v.site is None or self.is_only_one(v.cls)))
            or (isinstance(v, Made) and v.cls is not None and v.site is v.cls)
            for v in values
        )

    def is_only_one(self, cls: cst.ClassDef) -> bool:
        """Is there but one call of the class in this module, and that in no loop?"""
        calls = []
        for c in (cls, *self._program.evaluator.classes.subclasses(cls)):
            scope = self._tree.scope_of(c)
            for binding in scope.target_of(c.name.value).bindings.get(c.name.value, ()):
                for load in self._tree.loads_of(binding) if binding.node is c else ():
                    parent = self._tree.parent(load)
                    if isinstance(parent, cst.Call) and parent.func is load:
                        calls.append(parent)
        return len(calls) < 2 and not any(self._program.loops.repeat(call) for call in calls)

    def _call(self, node: cst.Call, depth: int) -> Way:
        func = node.func
        first = node.args[-1].value if node.args and not node.args[-1].star else None
        if isinstance(func, cst.Attribute):
            if func.attr.value in _ENTERING:
                return self.way(first, depth + 1)
            if func.attr.value == "__enter__":
                return self.way(func.value, depth + 1)
        for value in self._program.values(func):
            if isinstance(value, External) and value.name in _WRAPPERS:
                return self.way(first, depth + 1)
            if isinstance(value, (Function, BoundMethod)) and self.is_it(node):
                if self._gives_again(value.node):
                    return LOOSE
                return Way(How.FRESH, call=node)
        if self.is_it(node):
            return LOOSE
        if UNKNOWN in self._program.values(node) and isinstance(func, cst.Attribute):
            taking = func.attr.value in {"pop", "popleft", "popitem", "get", "setdefault"}
            return LOOSE if taking else NOT
        return NOT

    def _gives_again(self, function: cst.FunctionDef) -> bool:
        """May a function give the same thing at every call: is it cached, or kept in a global?"""
        if not _CACHING.isdisjoint(decorator_names(self._tree, function)):
            return True
        scope = self._tree.scopes[function]
        return any(
            isinstance(node.value, cst.Name)
            and scope.owner_of(node.value.value) is self._tree.module_scope
            for node in scope.returns
        )

    # -- containers ----------------------------------------------------------------------------

    def whole(
        self, node: cst.CSTNode, path: tuple[int, ...] = (), depth: int = 0
    ) -> frozenset[cst.CSTNode] | None:
        """The containers whose elements, all of them, are what iterating over ``node`` gives.

        ``path`` is the part of each element that counts (``for i, p in enumerate(…)``). Empty where
        the thing is not among the elements, ``None`` where nobody knows whether all are there.
        """
        if depth > DEEPEST:
            return None
        if isinstance(node, cst.Call):
            return self._whole_of_call(node, path, depth)
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
            left = self.whole(node.left, path, depth + 1)
            right = self.whole(node.right, path, depth + 1)
            return None if left is None or right is None else left | right
        values = self._program.values(node)
        if isinstance(node, cst.Subscript) and any(
            not isinstance(e.slice, cst.Index) for e in node.slice
        ):
            return None if any(self._holds(v) for v in values) else frozenset()
        if path:
            return None if any(self._may_hold(v) for v in values) else frozenset()
        found: set[cst.CSTNode] = set()
        for value in values:
            if isinstance(value, Container):
                if self._holds(value):
                    found.add(value.site)
            elif value is UNKNOWN or isinstance(value, (Generator, Computed)):
                return None
        if len(found) > 1 or (found and self._is_one_of_many(node)):
            return None
        if any(self.note_container(site, depth) is None for site in found):
            return None
        return frozenset(found)

    def _is_one_of_many(self, node: cst.CSTNode) -> bool:
        """Is a container itself taken out of another one, which may have several of its site?"""
        if isinstance(node, cst.Name):
            return any(b.kind is Bound.FOR for b in self._program.names.bindings(node))
        return isinstance(node, cst.Subscript)

    def _may_hold(self, value: object) -> bool:
        return value is UNKNOWN or isinstance(value, (Container, Generator, Computed))

    def _whole_of_call(
        self, call: cst.Call, path: tuple[int, ...], depth: int
    ) -> frozenset[cst.CSTNode] | None:
        func = call.func
        name = self._tree.qualified(func)
        args = [a.value for a in call.args if a.keyword is None]
        if any(a.star for a in call.args):
            return None
        if isinstance(func, cst.Attribute) and not args:
            values = self._program.values(func.value)
            if any(isinstance(v, Container) and v.type == "dict" for v in values):
                if func.attr.value == "values":
                    return self.whole(func.value, path, depth + 1)
                if func.attr.value == "items" and path:
                    if path[0] == 0:
                        return frozenset()
                    return self.whole(func.value, path[1:], depth + 1)
        if name == "enumerate" and args and path:
            if path[0] == 0:
                return frozenset()
            return self.whole(args[0], path[1:], depth + 1)
        if name == "zip" and path:
            if 0 <= path[0] < len(args):
                return self.whole(args[path[0]], path[1:], depth + 1)
            return None
        if name in _ALL_OF and args:
            return self.whole(args[0], path, depth + 1)
        values = self._program.values(call)
        if any(self._holds(v) for v in values) or UNKNOWN in values:
            return None
        return frozenset()

    def _holds(self, value: object) -> bool:
        if not isinstance(value, Container):
            return False
        elements = self._program.evaluator.containers.elements((value,))
        return is_made_at(elements, self._site)

    def note_container(self, site: cst.CSTNode, depth: int = 0) -> bool | None:
        """Take a container among those that matter; ``None`` if its elements can't be followed."""
        if site not in self.containers:
            self.containers[site] = None
            followed = all(
                self._contributes(expression, nested, depth)
                for expression, nested in self._contributions(site)
            )
            self._wholes[site] = frozenset({site}) if followed and self._keeps(site) else None
        return True if self._wholes.get(site, frozenset()) is not None else None

    def _contributions(self, site: cst.CSTNode) -> list[tuple[cst.BaseExpression, bool]]:
        return self._program.evaluator.containers.contributions(Container(site, "list"))

    def _contributes(self, expression: cst.BaseExpression, nested: bool, depth: int) -> bool:
        if nested:
            return self.whole(expression, (), depth + 1) is not None
        return self.way(expression, depth + 1).how is not How.LOOSE

    def holdings(self, site: cst.CSTNode) -> list[tuple[cst.CSTNode, Way]]:
        """The expressions that become an element of a container, and how they stand for it."""
        found: list[tuple[cst.CSTNode, Way]] = []
        for expression, nested in self._contributions(site):
            if nested:
                containers = self.whole(expression) or frozenset()
                if containers:
                    found.append((expression, Way(How.EACH, containers=containers)))
            else:
                way = self.way(expression)
                if way.how is not How.NOT:
                    found.append((expression, way))
        return found

    def _keeps(self, site: cst.CSTNode) -> bool:
        """False for a container out of which single elements are taken."""
        for name in ("pop", "popleft", "popitem", "remove", "discard"):
            for call in self._tree.calls_of.get(name, ()):
                if isinstance(call.func, cst.Attribute) and any(
                    isinstance(v, Container) and v.site is site
                    for v in self._program.values(call.func.value)
                ):
                    return False
        return True

    # -- names ---------------------------------------------------------------------------------

    def add(self, key: Key) -> None:
        """Take a name among those that matter."""
        owner, name = key
        names = self.names.setdefault(owner, {})
        if name in names:
            return
        names[name] = None
        for binding in owner.bindings.get(name, ()) if owner is not None else ():
            if binding.kind is not Bound.PARAMETER:
                way = self._bound(binding)
                if way.how is How.LOOSE and not self._carries(binding):
                    way = NOT
                self._bind(key, binding.node, way)

    def _add_stores(self, key: Key, node: cst.Attribute) -> None:
        """Where objects of the class that ``node`` is about get their attribute."""
        classes = dict.fromkeys(class_of(v) for v in self._program.values(node.value))
        for cls in classes:
            if cls is None or (cls, key[1]) in self._stores_of:
                continue
            self._stores_of.add((cls, key[1]))
            for store in self._program.evaluator.classes.stores_near(node.attr.value, (cls,)):
                if store.node not in self._stored_at:
                    self._stored_at.add(store.node)
                    self._bind(key, store.node, self._stored(store))

    def _carries(self, binding: Binding) -> bool:
        """Does the thing go on from a binding? The uses of it know."""
        for load in self._tree.loads_of(binding):
            if load in self._used or not isinstance(self._tree.parent(load), cst.Attribute):
                if binding in self._program.names.bindings(load):
                    return True
        return False

    def _bind(self, key: Key, node: cst.CSTNode, way: Way) -> None:
        if way.how is How.LOOSE:
            self.loose.add(key)
        scope = self._tree.function_of(node)
        at = self.bindings.setdefault(scope, {})
        for point in self._program.names.flow(scope).points_of(node):
            at.setdefault(point, []).append((key, way))
            if way.how is How.EACH and point.kind is PointKind.BIND:
                for head in point.predecessors:
                    if head.kind is PointKind.LOOP:
                        keys = self.heads.setdefault(head, {}).setdefault(point, {})
                        keys[key] = way.containers

    def _stored(self, store: Store) -> Way:
        if store.kind in (Bound.ASSIGN, Bound.WITH) and not store.path:
            return self.way(store.value)
        if store.kind is Bound.ASSIGN and isinstance(store.value, (cst.Tuple, cst.List)):
            return self._part(store.value, store.path)
        return NOT if store.kind in (Bound.AUGMENTED, Bound.ANNOTATED) else LOOSE

    def _part(self, display: cst.Tuple | cst.List, path: tuple[int, ...]) -> Way:
        elements = display.elements
        if len(path) == 1 and 0 <= path[0] < len(elements):
            if not any(isinstance(e, cst.StarredElement) for e in elements):
                return self.way(elements[path[0]].value)
        return LOOSE

    def _bound(self, binding: Binding) -> Way:
        kind, value = binding.kind, binding.value
        if kind is Bound.FOR:
            return self._looped(binding)
        if kind in (Bound.ASSIGN, Bound.WITH) and value is not None:
            if not binding.path:
                way = self.way(value)
                if kind is Bound.ASSIGN or way is not NOT:
                    return way
            elif isinstance(value, (cst.Tuple, cst.List)):
                return self._part(value, binding.path)
            values = self._program.evaluator.bound(binding)
            mine = is_made_at(values, self._site)
            if mine and kind is Bound.WITH and len(values) == 1 and not binding.path:
                return Way(How.FRESH, call=value)  # a context manager lends it
            return LOOSE if mine or UNKNOWN in values else NOT
        return NOT

    def _looped(self, binding: Binding) -> Way:
        if binding.value is None:
            return LOOSE
        containers = self.whole(binding.value, binding.path)
        if containers is None:
            return LOOSE
        return Way(How.EACH, containers=containers) if containers else NOT

    def _loop_of(self, binding: Binding) -> cst.CSTNode | None:
        for parent in self._tree.ancestors(binding.node):
            if isinstance(parent, (cst.For, cst.CompFor)):
                return parent
        return None


def in_order(pairs: list[tuple[Key, Way]]) -> list[tuple[Key, Way]]:
    """What one statement binds: ``pool, self.pool = self.pool, None`` reads before it writes."""
    if len(pairs) < 2:
        return pairs
    written = {key for key, _ in pairs}
    return sorted(pairs, key=lambda pair: pair[1].key not in written)
