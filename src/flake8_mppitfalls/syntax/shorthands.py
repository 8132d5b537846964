"""Shorthands: a method that is called by a name of its own.

After ``append = rows.append`` the call ``append(x)`` is read as ``rows.append(x)``, so that all
that looks at the calls of methods sees the method and what it belongs to. So it is where the name
is bound once, and what stands before the dot is the same at both places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import libcst as cst

from flake8_mppitfalls.syntax.fields import dotted_name
from flake8_mppitfalls.syntax.scopes import Binding, Bound, Scope, ScopeKind

if TYPE_CHECKING:
    from flake8_mppitfalls.syntax.tree import Tree

MOST_ROOTS = 20
NodeT = TypeVar("NodeT", bound=cst.CSTNode)
_LOOPS = (cst.For, cst.While)
_ROOTS = frozenset({Bound.ASSIGN, Bound.FOR, Bound.WITH, Bound.PARAMETER, Bound.IMPORT})


class Shorthands:
    """The calls of one file that are read as calls of a method.

    Where a name is only called, that it is made of ``rows.append`` is no use of ``rows``.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._orders: dict[cst.CSTNode, dict[cst.CSTNode, int]] = {}
        self._owners: dict[str, set[str]] = {}
        self._stores: dict[str, Counter[Scope]] = {}
        self._gone: set[cst.CSTNode] = set()
        self._written: dict[cst.Call, cst.Name] = {}
        self._places: dict[cst.CSTNode, cst.Name] = {}
        for binding, method in list(self._candidates()):
            loads = tree.loads_of(binding)
            called = [load for load in loads if self._can_be_read_so(load, binding, method)]
            for load in called:
                self._read_as(load, method)
            if called and len(called) == len(loads):
                self._gone.update((method, *_inner(method)))
                if (root := _root(method)) is not None:
                    self._gone.add(root)
        if self._written:
            self._renew_tables()

    def undo(self) -> None:
        """Give the calls back what is written there: for those who look for places in the text."""
        for call, name in self._written.items():
            object.__setattr__(call, "func", name)

    def written(self, node: cst.CSTNode) -> cst.CSTNode:
        """What stands in the text for a node, which may be part of how a call is read."""
        return self._places.get(node, node)

    # -- what is one ---------------------------------------------------------------------------

    def _candidates(self) -> Iterator[tuple[Binding, cst.Attribute]]:
        for scope in self._tree.scopes.values():
            if scope.kind is ScopeKind.CLASS:
                continue
            for bindings in scope.bindings.values():
                only = bindings[0]
                if len(bindings) == 1 and type(only.value) is cst.Attribute and not only.path:
                    if only.kind is Bound.ASSIGN and self._is_variable(only.value):
                        yield only, only.value

    def _is_variable(self, method: cst.Attribute) -> bool:
        """Does it begin with a name that stands for no class or function?"""
        root = _root(method)
        bindings = self._tree.lookup(root) if root is not None else []
        return (
            bool(bindings)
            and all(binding.kind in _ROOTS for binding in bindings)
            and dotted_name(method.value) not in self._owners_of(method.attr.value)
        )

    def _can_be_read_so(self, load: cst.Name, binding: Binding, method: cst.Attribute) -> bool:
        tree = self._tree
        call, root = tree.parent(load), _root(method)
        if root is None or not isinstance(call, cst.Call) or call.func is not load:
            return False
        owner = tree.scope_of(root).owner_of(root.value)
        if owner is None or tree.scope_of(load).owner_of(root.value) is not owner:
            return False
        block = tree.parent(tree.statement_of(binding.node))
        if isinstance(block, cst.SimpleStatementLine):
            block = tree.parent(block)
        if block is None:
            return False
        roots = owner.bindings[root.value]
        if len(roots) == 1:
            if not self._is_alike(roots[0], block, load):
                return False
        elif not self._is_unchanged(roots, binding, block, load):
            return False
        if tree.function_of(load) is not binding.scope:
            if binding.scope is tree.module_scope and block is not tree.module:
                return False
        functions = {tree.function_of(load), tree.function_of(method)}
        return all(self._is_kept(part, functions) for part in _inner(method))

    def _is_alike(self, root: Binding, block: cst.CSTNode, load: cst.Name) -> bool:
        """Where each turn of a loop binds the root anew: is it the same turn's?"""
        loop = next((n for n in self._tree.ancestors(root.node) if isinstance(n, _LOOPS)), None)
        if loop is None or self._tree.function_of(loop) is not root.scope.function():
            return True
        around = set(self._tree.ancestors(load))
        if loop not in around and not self._tree.is_within(block, loop):
            return True
        return loop.body in around and block in around and self._tree.is_within(block, loop.body)

    def _is_unchanged(
        self, roots: list[Binding], shorthand: Binding, block: cst.CSTNode, load: cst.Name
    ) -> bool:
        """Of a root that is bound several times: does the call follow before the next time?"""
        first = self._place_in(block, shorthand.node)
        last = self._place_in(block, load)
        scope = self._tree.function_of(load)
        if first is None or last is None or scope is not shorthand.scope or len(roots) > MOST_ROOTS:
            return False
        for root in roots:
            if root.kind is not Bound.PARAMETER:
                place = self._place_in(block, root.node)
                if self._tree.function_of(root.node) is not scope:
                    return False
                if place is not None and first <= place <= last:
                    return False
        return True

    def _place_in(self, block: cst.CSTNode, node: cst.CSTNode) -> int | None:
        """Which of the statements of a block a node is part of."""
        if block not in self._orders:
            statements = getattr(block, "body", ())
            self._orders[block] = {statement: i for i, statement in enumerate(statements)}
        order = self._orders[block]
        return next((order[n] for n in (node, *self._tree.ancestors(node)) if n in order), None)

    def _is_kept(self, part: cst.Attribute, functions: set[Scope]) -> bool:
        """``self.rows`` in ``self.rows.append``: is it bound more than once here?"""
        stores = self._stores_of(part.attr.value)
        return sum(stores[function] for function in functions) < 2

    def _owners_of(self, name: str) -> set[str]:
        """What an attribute is bound on, as it is written."""
        if name not in self._owners:
            nodes = filter(self._is_stored, self._tree.attributes[name])
            self._owners[name] = {dotted_name(node.value) for node in nodes}
        return self._owners[name]

    def _stores_of(self, name: str) -> Counter[Scope]:
        """How often the code of each function binds an attribute."""
        if name not in self._stores:
            nodes = filter(self._is_stored, self._tree.attributes[name])
            self._stores[name] = Counter(map(self._tree.function_of, nodes))
        return self._stores[name]

    def _is_stored(self, node: cst.CSTNode) -> bool:
        parent = self._tree.parent(node)
        while isinstance(parent, (cst.Element, cst.StarredElement, cst.Tuple, cst.List)):
            node, parent = parent, self._tree.parent(parent)
        return (
            isinstance(parent, (cst.AssignTarget, cst.Del, cst.AsName))
            or getattr(parent, "target", None) is node
        )

    # -- reading it so -------------------------------------------------------------------------

    def _read_as(self, load: cst.Name, method: cst.Attribute) -> None:
        tree = self._tree
        call = tree.parents.pop(load)
        assert isinstance(call, cst.Call)
        scope = tree.name_scopes.pop(load)
        node: cst.BaseExpression = method
        names: list[str] = []
        while isinstance(node, cst.Attribute):
            names.append(node.attr.value)
            node = node.value
        assert isinstance(node, cst.Name)
        node = cst.Name(node.value)
        tree.name_scopes[node] = scope
        tree.by_type[cst.Name].append(node)
        tree.loads[node.value].append(node)
        self._places[node] = load
        for name in reversed(names):
            attribute = cst.Attribute(node, cst.Name(name))
            tree.parents[node] = attribute
            tree.by_type[cst.Attribute].append(attribute)
            tree.attributes[name].append(attribute)
            self._places[attribute] = load
            node = attribute
        tree.parents[node] = call
        object.__setattr__(call, "func", node)
        self._written[call] = load

    def _renew_tables(self) -> None:
        """The tables of the tree, in source order, without what is written there."""
        tree = self._tree
        gone = self._gone.union(self._written.values())
        for kind in (cst.Name, cst.Attribute):
            tree.by_type[kind] = [node for node in tree.by_type[kind] if node not in gone]
        for name in {node.value for node in gone if isinstance(node, cst.Name)}:
            tree.loads[name] = [load for load in tree.loads[name] if load not in gone]
        for name in {node.attr.value for node in gone if isinstance(node, cst.Attribute)}:
            tree.attributes[name] = [node for node in tree.attributes[name] if node not in gone]
        for name in {load.value for load in self._written.values()}:
            tree.calls_of[name] = [
                call for call in tree.calls_of[name] if call not in self._written
            ]
        added: dict[str, None] = {}
        for call in self._written:
            assert isinstance(call.func, cst.Attribute)
            method = call.func.attr.value
            tree.calls_of.setdefault(method, []).append(call)
            added[method] = None
        self._sort(tree.by_type[cst.Name], tree.by_type[cst.Attribute])
        self._sort(*(tree.calls_of[name] for name in added))
        names = {node.value for node in self._places if isinstance(node, cst.Name)}
        self._sort(*(tree.loads[name] for name in names))
        names = {node.attr.value for node in self._places if isinstance(node, cst.Attribute)}
        self._sort(*(tree.attributes[name] for name in names))

    def _sort(self, *lists: list[NodeT]) -> None:
        order = self._tree.order
        for nodes in lists:
            nodes.sort(key=lambda node: order.get(node, -1))


def _root(method: cst.Attribute) -> cst.Name | None:
    node: cst.BaseExpression = method
    while isinstance(node, cst.Attribute):
        node = node.value
    return node if isinstance(node, cst.Name) else None


def _inner(method: cst.Attribute) -> Iterator[cst.Attribute]:
    """The attributes on the way to a method: ``self.rows`` for ``self.rows.append``."""
    node = method.value
    while isinstance(node, cst.Attribute):
        yield node
        node = node.value
