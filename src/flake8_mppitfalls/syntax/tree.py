"""The LibCST tree of one file, read once.

One loop over the fields that mean something (names, calls, statements; no white space, commas or
parentheses) fills the parents, an index from node type to nodes, the scopes with their bindings,
and the loads of every name. Everything else is asked of these tables later, only where needed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import libcst as cst

from flake8_mppitfalls.syntax.fields import FIELDS, SCOPE_FIELDS, dotted_name
from flake8_mppitfalls.syntax.scopes import Binding, Bound, Scope, ScopeKind
from flake8_mppitfalls.syntax.shorthands import Shorthands
from flake8_mppitfalls.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_NAMES = 4
NodeT = TypeVar("NodeT", bound=cst.CSTNode)


class Tree:
    """A parsed file: nodes by type, parents, scopes, bindings and loads.

    Attributes:
        module: the LibCST module.
        parents: the parent of each visited node.
        module_scope: the outermost scope.
        scopes: the scope that a ``def``, ``class``, lambda, comprehension or the module opens.
        loads: for each identifier the ``Name`` nodes that read it, in source order.
        calls_of: for each last component of a called name (``apply_async``) the calls.
        attributes: for each attribute name its ``Attribute`` nodes (read and written).
        star_imports: the modules of ``from x import *``.
        shorthands: the calls that are read as calls of a method.
    """

    def __init__(self, module: cst.Module) -> None:
        self.module = module
        self.parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self.loads: dict[str, list[cst.Name]] = {}
        self.attributes: dict[str, list[cst.Attribute]] = {}
        self.calls_of: dict[str, list[cst.Call]] = {}
        self.star_imports: list[str] = []
        self.module_scope = Scope(ScopeKind.MODULE, module, None)
        self.scopes: dict[cst.CSTNode, Scope] = {module: self.module_scope}
        self.by_type: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}
        self.name_scopes: dict[cst.CSTNode, Scope] = {}
        self._scopes_of: dict[cst.CSTNode, Scope] = {}
        self._owned_loads: dict[str, dict[Scope, list[cst.Name]]] = {}
        self._calls_in: dict[str, dict[Scope, list[cst.Call]]] = {}
        self._bindings_at: dict[tuple[Scope, str], dict[cst.CSTNode, Binding]] = {}
        self._texts: dict[cst.CSTNode, str] = {}
        self.late: list[tuple[Scope, Binding]] = []
        walk(self, module)
        self.shorthands = Shorthands(self)
        self._owned_loads.clear()

    # -- questions -----------------------------------------------------------------------------

    def nodes(self, kind: type[NodeT]) -> list[NodeT]:
        """All nodes of exactly this type, in source order."""
        return self.by_type.get(kind, [])  # type: ignore[return-value]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The visited node that holds ``node``."""
        return self.parents.get(node)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around ``node``, from the inside out, up to the module."""
        parents = self.parents
        current = parents.get(node)
        while current is not None:
            yield current
            current = parents.get(current)

    def scope_of(self, node: cst.CSTNode) -> Scope:
        """The scope in which ``node`` is evaluated (a ``def`` belongs to the scope around it)."""
        known = self.name_scopes.get(node) or self._scopes_of.get(node)
        if known is not None:
            return known
        found = self.module_scope
        inner, child = node, node
        branches = [node]  # an ``elif`` stands within all those before it
        for parent in self.ancestors(node):
            scope = self.scopes.get(parent)
            if scope is not None and _is_inside(parent, child, inner):
                found = scope
                break
            if type(parent) is cst.If:
                if parent in self._scopes_of:
                    found = self._scopes_of[parent]
                    break
                branches.append(parent)
            inner, child = child, parent
        for branch in branches:
            self._scopes_of[branch] = found
        return found

    def function_of(self, node: cst.CSTNode) -> Scope:
        """As :meth:`scope_of`, with comprehensions counted to the code around them."""
        return self.scope_of(node).function()

    @cached_property
    def enclosing_functions(self) -> frozenset[Scope]:
        """The functions that have other functions inside, which may read their names."""
        around = (scope.parent for scope in self.scopes.values() if scope.is_function)
        owners = {scope.function() for scope in around if scope is not None}
        return frozenset(owner for owner in owners if owner.is_function)

    def statement_of(self, node: cst.CSTNode) -> cst.CSTNode:
        """The innermost statement (simple or compound) that ``node`` is part of, or the node."""
        current: cst.CSTNode | None = node
        while current is not None:
            if isinstance(current, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
                return current
            current = self.parents.get(current)
        return node

    def is_within(self, node: cst.CSTNode, block: cst.CSTNode) -> bool:
        """True if ``block`` is ``node`` or one of the nodes around it."""
        return node is block or any(ancestor is block for ancestor in self.ancestors(node))

    def before(self, first: cst.CSTNode, second: cst.CSTNode) -> bool:
        """True if ``first`` comes before ``second`` in the order of evaluation of the text."""
        return self.order.get(first, -1) < self.order.get(second, -1)

    @cached_property
    def order(self) -> dict[cst.CSTNode, int]:
        """The place of each node in the order of evaluation of the text."""
        return {node: i for i, node in enumerate(self.walk(self.module, into_functions=True))}

    def order_of_completion(self, node: cst.CSTNode) -> tuple[int, int]:
        """A sort key by which the parts of one statement are done: operands before their call."""
        inner = sum(1 for _ in self.walk(node))
        return (self.order.get(node, -1) + inner, inner)

    def walk(self, node: cst.CSTNode, *, into_functions: bool = False) -> Iterator[cst.CSTNode]:
        """``node`` and what is below it, in order; bodies of nested functions only on demand.

        A nested ``def`` or lambda itself is given, with its decorators and defaults, since those
        run with the code around it. Class bodies are walked: they run where they stand.
        """
        stack = [node]
        while stack:
            current = stack.pop()
            yield current
            children = self.children(current)
            if type(current) is cst.FunctionDef or type(current) is cst.Lambda:
                if not into_functions and current is not node:
                    children = [child for child in children if child is not current.body]
            stack.extend(reversed(children))

    def calculates_with(self, value: cst.CSTNode | None, part: cst.CSTNode) -> bool:
        """Is an operand of it an expression that reads as ``part`` does: ``v + 1``, for ``v``?"""
        return isinstance(value, cst.BinaryOperation) and any(
            isinstance(self.parent(node), cst.BinaryOperation) and node.deep_equals(part)
            for node in self.walk(value)
            if type(node) is type(part)
        )

    def children(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        """The visited children of ``node``, in order of evaluation."""
        kind = type(node)
        found: list[cst.CSTNode] = []
        for name in FIELDS.get(kind) or SCOPE_FIELDS.get(kind) or ():
            value = getattr(node, name)
            # Optional fields hold MaybeSentinel where LibCST decides about the text.
            if value is None or value.__class__ in _NO_NODES:
                continue
            if value.__class__ is tuple or value.__class__ is list:
                found.extend(value)
            else:
                found.append(value)
        return found

    def calls_in(self, scope: Scope, name: str) -> list[cst.Call]:
        """The calls of a function or method of this name in the code of one function."""
        known = self._calls_in.get(name)
        if known is None:
            known = self._calls_in[name] = {}
            for call in self.calls_of.get(name, ()):
                known.setdefault(self.function_of(call), []).append(call)
        return known.get(scope, [])

    def text(self, node: cst.CSTNode) -> str:
        """The source of an expression; empty for one that is nested too deeply."""
        known = self._texts.get(node)
        if known is None:
            try:
                known = self.module.code_for_node(node).strip()
            except RecursionError:
                known = ""
            self._texts[node] = known
        return known

    def lookup(self, node: cst.Name, scope: Scope | None = None) -> list[Binding]:
        """The bindings that a name read at ``node`` may have; empty for builtins and unknowns."""
        scope = scope or self.scope_of(node)
        owner = scope.owner_of(node.value)
        return owner.bindings[node.value] if owner is not None else []

    def binding_at(self, target: cst.CSTNode) -> Binding | None:
        """The binding that a name makes which is the target of an assignment, a loop and so on."""
        if not isinstance(target, cst.Name):
            return None
        owner = self.scope_of(target).owner_of(target.value)
        if owner is None:
            return None
        known = self._bindings_at.get((owner, target.value))
        if known is None:
            known = {binding.node: binding for binding in owner.bindings.get(target.value, ())}
            self._bindings_at[owner, target.value] = known
        return known.get(target)

    def qualified(self, node: cst.CSTNode | None) -> str:
        """The dotted name that a chain of names and attributes has through the imports.

        ``mp.pool.Pool`` after ``import multiprocessing as mp`` is ``multiprocessing.pool.Pool``;
        a builtin is its bare name; anything else (a local name, a call) is the empty string.
        """
        parts: list[str] = []
        while type(node) is cst.Attribute:
            parts.append(node.attr.value)
            node = node.value
        if type(node) is not cst.Name:
            return ""
        bindings = self.lookup(node)
        if not bindings:
            parts.append(node.value)
        else:
            name = bindings[0].qualified
            if not name or any(binding.qualified != name for binding in bindings):
                return ""
            parts.append(name)
        return ".".join(reversed(parts))

    def alternatives(self, node: cst.CSTNode) -> list[str]:
        """The dotted names of a chain whose first name several imports bind, in their order."""
        head = node
        while isinstance(head, cst.Attribute):
            head = head.value
        bindings = self.lookup(head) if isinstance(head, cst.Name) else []
        if not bindings or any(not b.qualified for b in bindings):
            return []
        rest = dotted_name(node).partition(".")[2]
        return [b.qualified + ("." + rest if rest else "") for b in bindings]

    def entered(self, item: cst.WithItem) -> cst.BaseExpression:
        """What a ``with`` item enters; for a name that is bound to a call alone, that call."""
        node: cst.BaseExpression | None = item.item
        seen = 0
        while isinstance(node, cst.Name) and seen < MOST_NAMES:
            bindings = self.lookup(node)
            only = bindings[0] if len(bindings) == 1 else None
            if only is None or only.kind is not Bound.ASSIGN or only.path:
                break
            node, seen = only.value, seen + 1
        return node if isinstance(node, cst.Call) else item.item

    def item_of(self, call: cst.CSTNode) -> cst.WithItem | None:
        """The ``with`` item that enters what a call gives, at once or by a name of its own."""
        parent = self.parents.get(call)
        for _ in range(MOST_NAMES):
            target: cst.CSTNode | None = None
            if isinstance(parent, cst.Assign) and len(parent.targets) == 1:
                target = parent.targets[0].target
            elif isinstance(parent, cst.AnnAssign):
                target = parent.target
            if not isinstance(target, cst.Name):
                break
            bindings = self.lookup(target)
            loads = self.loads_of(bindings[0]) if len(bindings) == 1 else []
            parent = self.parents.get(loads[0]) if len(loads) == 1 else None
        return parent if isinstance(parent, cst.WithItem) else None

    def starred(self, name: str) -> list[str]:
        """The dotted names that a name without bindings may have by ``from module import *``."""
        return [f"{module}.{name}" for module in self.star_imports]

    def calls_to(self, name: str) -> list[cst.Call]:
        """The calls of what is called ``name`` here or where it is imported from."""
        calls = list(self.calls_of.get(name, ()))
        for renamed in self._renamed.get(name, ()):
            calls += self.calls_of.get(renamed, ())
        return calls

    @cached_property
    def _renamed(self) -> dict[str, list[str]]:
        """What the file calls a thing that it imports ``as`` something else, by its own name."""
        renamed: dict[str, list[str]] = {}
        for statement in self.nodes(cst.ImportFrom):
            for alias in statement.names if not isinstance(statement.names, cst.ImportStar) else ():
                if alias.asname is not None:
                    names = renamed.setdefault(dotted_name(alias.name), [])
                    names.append(dotted_name(alias.asname.name))
        return renamed

    def loads_of(self, binding: Binding) -> list[cst.Name]:
        """The reads of the variable that ``binding`` binds, in its scope and the nested ones."""
        name = binding.name
        owned = self._owned_loads.get(name)
        if owned is None:
            owned = self._owned_loads[name] = {}
            for load in self.loads.get(name, ()):
                owner = self.name_scopes[load].owner_of(name)
                if owner is not None:
                    owned.setdefault(owner, []).append(load)
        return owned.get(binding.scope, [])


def _is_inside(owner: cst.CSTNode, child: cst.CSTNode, inner: cst.CSTNode) -> bool:
    """Is ``inner``, in the child ``child`` of ``owner``, evaluated in the scope ``owner`` opens?

    Decorators, defaults and bases belong to the scope around, and so does the first iterable of a
    comprehension.
    """
    if type(owner) in _DEFINITIONS:
        return child is owner.body  # type: ignore[attr-defined]
    if isinstance(owner, (cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp)):
        return not (child is owner.for_in and inner is owner.for_in.iter)
    return True


_DEFINITIONS: frozenset[type] = frozenset({cst.FunctionDef, cst.ClassDef, cst.Lambda})
_NO_NODES: frozenset[type] = frozenset({str, cst.MaybeSentinel})

__all__ = ["Tree", "dotted_name"]
