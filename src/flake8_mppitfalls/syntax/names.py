"""Names: which of its bindings a name may have where it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.syntax.dataflow import DataFlow
from flake8_mppitfalls.syntax.layout import lay_out
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind

if TYPE_CHECKING:
    from flake8_mppitfalls.syntax.flow import Flow
    from flake8_mppitfalls.syntax.scopes import Binding, Scope
    from flake8_mppitfalls.syntax.tree import Tree

MANY_READS = 20
"""For a name that is read so often, what reaches its reads is found for all of them at once."""

MOST_BINDINGS = 100
"""So many bindings are told apart that reach one place; where there are more, all count."""

MOST_NAMES = 4
"""So many names in a row are followed to what stands behind them."""


class Names:
    """Answers by the control flow of one file. Everything is found on demand, and kept."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._flows: dict[Scope, Flow] = {}
        self._data_flows: dict[Scope, DataFlow] = {}
        self._at_exit: dict[tuple[Scope, str], list[Binding]] = {}
        self._reaching: dict[cst.CSTNode, list[Binding]] = {}
        self._everywhere: dict[tuple[Scope, str], dict[cst.CSTNode, list[Binding]]] = {}
        self._reads: dict[tuple[Scope, str], dict[Binding, list[cst.Name]]] = {}
        self._placed: dict[tuple[Scope, str], tuple[list[Binding], list[Binding]]] = {}

    def bindings(self, node: cst.Name) -> list[Binding]:
        """The bindings whose value a name may have where it is read."""
        scope = self.tree.scope_of(node)
        owner = scope.owner_of(node.value)
        if owner is None:
            return []
        bindings = owner.bindings[node.value]
        if len(bindings) < 2 or owner.kind not in (ScopeKind.MODULE, ScopeKind.FUNCTION):
            return bindings
        if scope.function() is owner:
            known = self._reaching.get(node)
            if known is None:
                inside, outside = self._by_place(owner, node.value)
                known = self._reaching[node] = self._that_reach(node, inside, owner) + outside
            return known
        if owner.kind is ScopeKind.MODULE:
            return self._at_module_end(owner, node.value)
        return bindings

    def _that_reach(self, node: cst.Name, bindings: list[Binding], scope: Scope) -> list[Binding]:
        """Those of a name's bindings in ``scope`` whose value ``node`` may read there."""
        if len(bindings) < 2 or len(self.tree.loads.get(node.value, ())) < MANY_READS:
            return self.flow(scope).reaching(node, bindings)
        found = self._everywhere.get((scope, node.value))
        if found is None:
            loads = [
                n for n in self.tree.loads_of(bindings[0]) if self.tree.function_of(n) is scope
            ]
            found = self.data_flow(scope).reaching(loads, bindings, MOST_BINDINGS)
            self._everywhere[(scope, node.value)] = found
        return found.get(node, bindings)

    def reads_of(self, binding: Binding) -> list[cst.Name]:
        """The reads of a name that may see what ``binding`` gave it."""
        key = (binding.scope, binding.name)
        known = self._reads.get(key)
        if known is None:
            known = self._reads[key] = {}
            for load in self.tree.loads_of(binding):
                for reaching in self.bindings(load):
                    known.setdefault(reaching, []).append(load)
        return known.get(binding, [])

    def _at_module_end(self, owner: Scope, name: str) -> list[Binding]:
        """What functions see of a module's name: the last values, and what functions bind."""
        key = (owner, name)
        known = self._at_exit.get(key)
        if known is None:
            inside, outside = self._by_place(owner, name)
            flow = self.flow(owner)
            reaching = flow.reaching_exit(inside) if len(inside) > 1 else inside
            known = self._at_exit[key] = (reaching or inside) + outside
        return known

    def _by_place(self, owner: Scope, name: str) -> tuple[list[Binding], list[Binding]]:
        """The bindings of a name that its scope's own statements make, and the others."""
        key = (owner, name)
        known = self._placed.get(key)
        if known is None:
            known = self._placed[key] = ([], [])
            for binding in owner.bindings[name]:
                known[0 if self._runs_in(binding, owner) else 1].append(binding)
        return known

    def _runs_in(self, binding: Binding, owner: Scope) -> bool:
        """Is the binding made by a statement of ``owner`` itself, not of a nested function?"""
        return binding.kind is Bound.PARAMETER or self.tree.function_of(binding.node) is owner

    def behind(self, node: cst.BaseExpression | None) -> cst.BaseExpression | None:
        """The expression that gave a name its value, where it got one by an assignment alone."""
        for _ in range(MOST_NAMES):
            bindings = self.bindings(node) if isinstance(node, cst.Name) else ()
            only = bindings[0] if len(bindings) == 1 else None
            if only is None or only.kind is not Bound.ASSIGN or only.path:
                break
            node = only.value
        return node

    def flow(self, scope: Scope) -> Flow:
        """The control flow of a scope's statements."""
        flow = self._flows.get(scope)
        if flow is None:
            flow = self._flows[scope] = lay_out(self.tree, scope)
        return flow

    def data_flow(self, scope: Scope) -> DataFlow:
        """The data flow over a scope's statements."""
        flow = self._data_flows.get(scope)
        if flow is None:
            flow = self._data_flows[scope] = DataFlow(self.flow(scope))
        return flow
