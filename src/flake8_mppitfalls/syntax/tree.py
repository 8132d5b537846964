"""The LibCST tree of one file, read once.

One loop over the fields that mean something (names, calls, statements; no white space, commas or
parentheses) fills the parents, an index from node type to nodes, the scopes with their bindings,
and the loads of every name. Everything else is asked of these tables later, only where needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import libcst as cst

from flake8_mppitfalls.syntax.scopes import STARRED, Binding, Bound, Scope, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NodeT = TypeVar("NodeT", bound=cst.CSTNode)

_FIELDS: dict[type[cst.CSTNode], tuple[str, ...]] = {
    cst.AnnAssign: ("target", "annotation", "value"),
    cst.Annotation: ("annotation",),
    cst.Arg: ("value",),
    cst.Assert: ("test", "msg"),
    cst.Assign: ("value", "targets"),
    cst.AssignTarget: ("target",),
    cst.Attribute: ("value",),
    cst.AugAssign: ("target", "value"),
    cst.Await: ("expression",),
    cst.BinaryOperation: ("left", "right"),
    cst.BooleanOperation: ("left", "right"),
    cst.Call: ("func", "args"),
    cst.CompFor: ("iter", "target", "ifs", "inner_for_in"),
    cst.CompIf: ("test",),
    cst.Comparison: ("left", "comparisons"),
    cst.ComparisonTarget: ("comparator",),
    cst.ConcatenatedString: ("left", "right"),
    cst.Decorator: ("decorator",),
    cst.Del: ("target",),
    cst.Dict: ("elements",),
    cst.DictElement: ("key", "value"),
    cst.Element: ("value",),
    cst.Else: ("body",),
    cst.ExceptHandler: ("type", "name", "body"),
    cst.ExceptStarHandler: ("type", "name", "body"),
    cst.Expr: ("value",),
    cst.Finally: ("body",),
    cst.For: ("iter", "target", "body", "orelse"),
    cst.FormattedString: ("parts",),
    cst.FormattedStringExpression: ("expression", "format_spec"),
    cst.From: ("item",),
    cst.If: ("test", "body", "orelse"),
    cst.IfExp: ("test", "body", "orelse"),
    cst.IndentedBlock: ("body",),
    cst.Index: ("value",),
    cst.List: ("elements",),
    cst.Match: ("subject", "cases"),
    cst.MatchAs: ("pattern", "name"),
    cst.MatchCase: ("pattern", "guard", "body"),
    cst.MatchClass: ("cls", "patterns", "kwds"),
    cst.MatchKeywordElement: ("pattern",),
    cst.MatchList: ("patterns",),
    cst.MatchMapping: ("elements", "rest"),
    cst.MatchMappingElement: ("key", "pattern"),
    cst.MatchOr: ("patterns",),
    cst.MatchOrElement: ("pattern",),
    cst.MatchSequenceElement: ("value",),
    cst.MatchStar: ("name",),
    cst.MatchTuple: ("patterns",),
    cst.MatchValue: ("value",),
    cst.Module: ("body",),
    cst.NamedExpr: ("value", "target"),
    cst.Raise: ("exc", "cause"),
    cst.Return: ("value",),
    cst.Set: ("elements",),
    cst.SimpleStatementLine: ("body",),
    cst.SimpleStatementSuite: ("body",),
    cst.Slice: ("lower", "upper", "step"),
    cst.StarredDictElement: ("value",),
    cst.StarredElement: ("value",),
    cst.Subscript: ("value", "slice"),
    cst.SubscriptElement: ("slice",),
    cst.Try: ("body", "handlers", "orelse", "finalbody"),
    cst.TryStar: ("body", "handlers", "orelse", "finalbody"),
    cst.Tuple: ("elements",),
    cst.UnaryOperation: ("expression",),
    cst.While: ("test", "body", "orelse"),
    cst.With: ("items", "body"),
    cst.WithItem: ("item", "asname"),
    cst.AsName: ("name",),
    cst.Yield: ("value",),
}
"""The children worth a visit, in the order in which Python evaluates them."""

for _name in ("TemplatedString", "TemplatedStringExpression"):  # LibCST 1.9, Python 3.14
    if hasattr(cst, _name):
        _FIELDS[getattr(cst, _name)] = _FIELDS[
            getattr(cst, _name.replace("Templated", "Formatted"))
        ]


def dotted_name(node: cst.CSTNode | None) -> str:
    """``a.b.c`` for a chain of names and attributes, else the empty string."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if not isinstance(node, cst.Name):
        return ""
    parts.append(node.value)
    return ".".join(reversed(parts))


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
        self._by_type: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}
        self._name_scopes: dict[cst.CSTNode, Scope] = {}
        self._order: dict[cst.CSTNode, int] = {}
        self._late: list[tuple[Scope, Binding]] = []
        self._walk(module)

    # -- questions -----------------------------------------------------------------------------

    def nodes(self, kind: type[NodeT]) -> list[NodeT]:
        """All nodes of exactly this type, in source order."""
        return self._by_type.get(kind, [])  # type: ignore[return-value]

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
        known = self._name_scopes.get(node)
        if known is not None:
            return known
        inner, child = node, node
        for parent in self.ancestors(node):
            scope = self.scopes.get(parent)
            if scope is not None and _is_inside(parent, child, inner):
                return scope
            inner, child = child, parent
        return self.module_scope

    def function_of(self, node: cst.CSTNode) -> Scope:
        """As :meth:`scope_of`, with comprehensions counted to the code around them."""
        return self.scope_of(node).function()

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
        if not self._order:
            nodes = self.walk(self.module, into_functions=True)
            self._order = {node: i for i, node in enumerate(nodes)}
        return self._order.get(first, -1) < self._order.get(second, -1)

    def order_of_completion(self, node: cst.CSTNode) -> tuple[int, int]:
        """A sort key by which the parts of one statement are done: operands before their call."""
        self.before(node, node)
        inner = sum(1 for _ in self.walk(node))
        return (self._order.get(node, -1) + inner, -inner)

    def walk(self, node: cst.CSTNode, *, into_functions: bool = False) -> Iterator[cst.CSTNode]:
        """``node`` and what is below it, in order; bodies of nested functions only on demand.

        A nested ``def`` or lambda itself is given, with its decorators and defaults, since those
        run with the code around it. Class bodies are walked: they run where they stand.
        """
        stack = [node]
        while stack:
            current = stack.pop()
            yield current
            children = list(self.children(current))
            if not into_functions and current is not node:
                if isinstance(current, cst.FunctionDef):
                    children = [c for c in children if c is not current.body]
                elif isinstance(current, cst.Lambda):
                    children = [c for c in children if c is not current.body]
            stack.extend(reversed(children))

    def children(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The visited children of ``node``, in order of evaluation."""
        fields = _FIELDS.get(type(node)) or _SCOPE_FIELDS.get(type(node))
        if fields is None:
            return
        for name in fields:
            value = getattr(node, name)
            if value is None or isinstance(value, str):
                continue
            if isinstance(value, cst.CSTNode):
                yield value
            elif isinstance(value, (tuple, list)):
                yield from value

    def lookup(self, node: cst.Name, scope: Scope | None = None) -> list[Binding]:
        """The bindings that a name read at ``node`` may have; empty for builtins and unknowns."""
        scope = scope or self.scope_of(node)
        owner = scope.owner_of(node.value)
        return owner.bindings[node.value] if owner is not None else []

    def qualified(self, node: cst.CSTNode | None) -> str:
        """The dotted name that a chain of names and attributes has through the imports.

        ``mp.pool.Pool`` after ``import multiprocessing as mp`` is ``multiprocessing.pool.Pool``;
        a builtin is its bare name; anything else (a local name, a call) is the empty string.
        """
        parts: list[str] = []
        while isinstance(node, cst.Attribute):
            parts.append(node.attr.value)
            node = node.value
        if not isinstance(node, cst.Name):
            return ""
        bindings = self.lookup(node)
        if not bindings:
            parts.append(node.value)
        else:
            names = {b.qualified for b in bindings}
            if len(names) != 1 or "" in names:
                return ""
            parts.append(names.pop())
        return ".".join(reversed(parts))

    def calls_to(self, name: str) -> list[cst.Call]:
        """The calls of what is called ``name`` here or where it is imported from."""
        calls = list(self.calls_of.get(name, ()))
        for statement in self.nodes(cst.ImportFrom):
            for alias in statement.names if not isinstance(statement.names, cst.ImportStar) else ():
                if alias.asname is not None and dotted_name(alias.name) == name:
                    calls += self.calls_of.get(dotted_name(alias.asname.name), ())
        return calls

    def loads_of(self, binding: Binding) -> list[cst.Name]:
        """The reads of the variable that ``binding`` binds, in its scope and the nested ones."""
        owner = binding.scope
        result = []
        for load in self.loads.get(binding.name, ()):
            if self._name_scopes[load].owner_of(binding.name) is owner:
                result.append(load)
        return result

    # -- the one walk --------------------------------------------------------------------------

    def _walk(self, module: cst.Module) -> None:
        parents = self.parents
        by_type = self._by_type
        loads = self.loads
        name_scopes = self._name_scopes
        special = _SPECIAL
        fields = _FIELDS
        stack: list[tuple[cst.CSTNode, Scope]] = [(module, self.module_scope)]
        pop, push = stack.pop, stack.append
        while stack:
            node, scope = pop()
            kind = type(node)
            try:
                by_type[kind].append(node)
            except KeyError:
                by_type[kind] = [node]
            if kind is cst.Name:
                name = node.value  # type: ignore[attr-defined]
                name_scopes[node] = scope
                try:
                    loads[name].append(node)  # type: ignore[arg-type]
                except KeyError:
                    loads[name] = [node]  # type: ignore[list-item]
                continue
            handler = special.get(kind)
            if handler is not None:
                pairs = handler(self, node, scope)
                if pairs is not None:
                    for child, child_scope in reversed(pairs):
                        parents.setdefault(child, node)  # targets know theirs already
                        push((child, child_scope))
                    continue
            names = fields.get(kind)
            if names is None:
                continue
            for name in reversed(names):
                value = getattr(node, name)
                if value is None or value.__class__ is str:
                    continue
                if value.__class__ is tuple or value.__class__ is list:
                    for child in reversed(value):
                        parents[child] = node
                        push((child, scope))
                else:
                    # Optional fields hold MaybeSentinel where LibCST decides about the text.
                    if isinstance(value, cst.CSTNode):
                        parents[value] = node
                        push((value, scope))
        for scope, binding in self._late:
            self._bind(scope, binding)

    def _bind(self, scope: Scope, binding: Binding) -> None:
        target = scope.target_of(binding.name)
        binding.scope = target
        target.bindings.setdefault(binding.name, []).append(binding)

    def _bind_all(
        self,
        scope: Scope,
        target: cst.CSTNode,
        kind: Bound = Bound.OTHER,
        value: cst.BaseExpression | None = None,
    ) -> None:
        for _ in self._bind_target(scope, target, kind, value):
            pass

    def _bind_target(
        self,
        scope: Scope,
        target: cst.CSTNode,
        kind: Bound,
        value: cst.BaseExpression | None,
        path: tuple[int, ...] = (),
        annotation: cst.BaseExpression | None = None,
    ) -> Iterator[cst.CSTNode]:
        """Bind the names in an assignment target; yields the parts of it that are evaluated."""
        if isinstance(target, cst.Name):
            binding = Binding(target.value, kind, target, scope, value, path, annotation)
            if target.value in scope.nonlocal_names:
                self._late.append((scope, binding))  # the outer function may bind it later
            else:
                self._bind(scope, binding)
        elif isinstance(target, (cst.Tuple, cst.List)):
            starred = False
            for i, element in enumerate(target.elements):
                index = STARRED if starred or isinstance(element, cst.StarredElement) else i
                starred = starred or isinstance(element, cst.StarredElement)
                self.parents[element] = target
                self.parents[element.value] = element
                yield from self._bind_target(scope, element.value, kind, value, (*path, index))
        elif isinstance(target, cst.StarredElement):
            self.parents[target.value] = target
            yield from self._bind_target(scope, target.value, kind, value, (*path, STARRED))
        else:
            yield target


_SCOPE_FIELDS: dict[type[cst.CSTNode], tuple[str, ...]] = {
    cst.FunctionDef: ("decorators", "params", "returns", "body"),
    cst.ClassDef: ("decorators", "bases", "keywords", "body"),
    cst.Lambda: ("params", "body"),
    cst.Parameters: (
        "posonly_params",
        "params",
        "star_arg",
        "kwonly_params",
        "star_kwarg",
    ),
    cst.Param: ("annotation", "default"),
    cst.ListComp: ("for_in", "elt"),
    cst.SetComp: ("for_in", "elt"),
    cst.GeneratorExp: ("for_in", "elt"),
    cst.DictComp: ("for_in", "key", "value"),
}


def _is_inside(owner: cst.CSTNode, child: cst.CSTNode, inner: cst.CSTNode) -> bool:
    """Is ``inner``, in the child ``child`` of ``owner``, evaluated in the scope ``owner`` opens?

    Decorators, defaults and bases belong to the scope around, and so does the first iterable of a
    comprehension.
    """
    if isinstance(owner, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
        return child is owner.body
    if isinstance(owner, (cst.ListComp, cst.SetComp, cst.GeneratorExp, cst.DictComp)):
        return not (child is owner.for_in and inner is owner.for_in.iter)
    return True


def _parameters(params: cst.Parameters) -> Iterator[cst.Param]:
    yield from params.posonly_params
    yield from params.params
    if isinstance(params.star_arg, cst.Param):
        yield params.star_arg
    yield from params.kwonly_params
    if params.star_kwarg is not None:
        yield params.star_kwarg


def _open_function(
    tree: Tree, node: cst.FunctionDef | cst.Lambda, scope: Scope, kind: ScopeKind
) -> tuple[Scope, list[tuple[cst.CSTNode, Scope]]]:
    inner = Scope(kind, node, scope)
    tree.scopes[node] = inner
    outside: list[tuple[cst.CSTNode, Scope]] = []
    tree.parents[node.params] = node
    for param in _parameters(node.params):
        annotation = param.annotation.annotation if param.annotation is not None else None
        binding = Binding(
            param.name.value, Bound.PARAMETER, param, inner, param.default, (), annotation
        )
        inner.bindings.setdefault(binding.name, []).append(binding)
        tree.parents[param] = node.params
        for part in (param.default, annotation):
            if part is not None:
                tree.parents[part] = param
                outside.append((part, scope))
    return inner, outside


def _function(tree: Tree, node: cst.FunctionDef, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    tree._bind(scope, Binding(node.name.value, Bound.FUNCTION, node, scope))
    inner, outside = _open_function(tree, node, scope, ScopeKind.FUNCTION)
    pairs: list[tuple[cst.CSTNode, Scope]] = [(d, scope) for d in node.decorators]
    pairs += outside
    if node.returns is not None:
        pairs.append((node.returns, scope))
    pairs.append((node.body, inner))
    return pairs


def _lambda(tree: Tree, node: cst.Lambda, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    inner, outside = _open_function(tree, node, scope, ScopeKind.LAMBDA)
    return [*outside, (node.body, inner)]


def _class(tree: Tree, node: cst.ClassDef, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    tree._bind(scope, Binding(node.name.value, Bound.CLASS, node, scope))
    inner = Scope(ScopeKind.CLASS, node, scope)
    tree.scopes[node] = inner
    pairs: list[tuple[cst.CSTNode, Scope]] = [(d, scope) for d in node.decorators]
    pairs += [(base, scope) for base in (*node.bases, *node.keywords)]
    pairs.append((node.body, inner))
    return pairs


def _comprehension(
    tree: Tree,
    node: cst.ListComp | cst.SetComp | cst.GeneratorExp | cst.DictComp,
    scope: Scope,
) -> list[tuple[cst.CSTNode, Scope]]:
    inner = Scope(ScopeKind.COMPREHENSION, node, scope)
    tree.scopes[node] = inner
    tree.parents[node.for_in] = node
    pairs: list[tuple[cst.CSTNode, Scope]] = []
    clause: cst.CompFor | None = node.for_in
    first = True
    while clause is not None:
        tree.parents[clause.iter] = tree.parents[clause.target] = clause
        pairs.append((clause.iter, scope if first else inner))
        parts = tree._bind_target(inner, clause.target, Bound.FOR, clause.iter)
        pairs += [(part, inner) for part in parts]
        for condition in clause.ifs:
            tree.parents[condition] = clause
        pairs += [(condition, inner) for condition in clause.ifs]
        first = False
        clause = clause.inner_for_in
        if clause is not None:
            tree.parents[clause] = node.for_in
    if isinstance(node, cst.DictComp):
        pairs += [(node.key, inner), (node.value, inner)]
    else:
        pairs.append((node.elt, inner))
    return pairs


def _assign(tree: Tree, node: cst.Assign, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    pairs: list[tuple[cst.CSTNode, Scope]] = [(node.value, scope)]
    for target in node.targets:
        tree.parents[target] = node
        tree.parents[target.target] = target
        parts = tree._bind_target(scope, target.target, Bound.ASSIGN, node.value)
        pairs += [(part, scope) for part in parts]
    return pairs


def _annotated(tree: Tree, node: cst.AnnAssign, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    pairs: list[tuple[cst.CSTNode, Scope]] = []
    if node.value is not None:
        pairs.append((node.value, scope))
    annotation = node.annotation.annotation
    pairs.append((annotation, scope))
    kind = Bound.ASSIGN if node.value is not None else Bound.ANNOTATED
    tree.parents[node.target] = node
    parts = tree._bind_target(scope, node.target, kind, node.value, (), annotation)
    pairs += [(part, scope) for part in parts]
    return pairs


def _augmented(tree: Tree, node: cst.AugAssign, scope: Scope) -> None:
    tree.parents[node.target] = node
    tree._bind_all(scope, node.target, Bound.AUGMENTED, node.value)


def _named(tree: Tree, node: cst.NamedExpr, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    # PEP 572: the target of := in a comprehension belongs to the scope around it.
    tree.parents[node.target] = node
    tree._bind_all(scope.function(), node.target, Bound.ASSIGN, node.value)
    return [(node.value, scope)]


def _for(tree: Tree, node: cst.For, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    tree.parents[node.target] = node
    parts = tree._bind_target(scope, node.target, Bound.FOR, node.iter)
    pairs: list[tuple[cst.CSTNode, Scope]] = [(node.iter, scope)]
    pairs += [(part, scope) for part in parts]
    pairs.append((node.body, scope))
    if node.orelse is not None:
        pairs.append((node.orelse, scope))
    return pairs


def _with_item(tree: Tree, node: cst.WithItem, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    pairs: list[tuple[cst.CSTNode, Scope]] = [(node.item, scope)]
    if node.asname is not None:
        tree.parents[node.asname] = node
        tree.parents[node.asname.name] = node.asname
        parts = tree._bind_target(scope, node.asname.name, Bound.WITH, node.item)
        pairs += [(part, scope) for part in parts]
    return pairs


def _handler(
    tree: Tree, node: cst.ExceptHandler | cst.ExceptStarHandler, scope: Scope
) -> list[tuple[cst.CSTNode, Scope]]:
    pairs: list[tuple[cst.CSTNode, Scope]] = []
    if node.type is not None:
        pairs.append((node.type, scope))
    if node.name is not None:
        tree.parents[node.name] = node
        tree.parents[node.name.name] = node.name
        tree._bind_all(scope, node.name.name)
    pairs.append((node.body, scope))
    return pairs


def _capture(tree: Tree, node: cst.MatchAs | cst.MatchStar, scope: Scope) -> None:
    if node.name is not None:
        tree.parents[node.name] = node
        tree._bind_all(scope, node.name)


def _match_as(tree: Tree, node: cst.MatchAs, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    _capture(tree, node, scope)
    return [] if node.pattern is None else [(node.pattern, scope)]


def _match_star(tree: Tree, node: cst.MatchStar, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    _capture(tree, node, scope)
    return []


def _mapping(tree: Tree, node: cst.MatchMapping, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    if node.rest is not None:
        tree.parents[node.rest] = node
        tree._bind_all(scope, node.rest)
    return [(element, scope) for element in node.elements]


def _import(tree: Tree, node: cst.Import, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    for alias in node.names:
        full = dotted_name(alias.name)
        if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
            bound, qualified = alias.asname.name.value, full
        else:
            bound = qualified = full.partition(".")[0]
        tree.parents[alias] = node
        tree._bind(scope, Binding(bound, Bound.IMPORT, alias, scope, qualified=qualified))
    return []


def _import_from(tree: Tree, node: cst.ImportFrom, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    module = "." * len(node.relative) + (dotted_name(node.module) if node.module else "")
    if isinstance(node.names, cst.ImportStar):
        tree.star_imports.append(module)
        return []
    for alias in node.names:
        name = dotted_name(alias.name)
        bound = name
        if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
            bound = alias.asname.name.value
        qualified = module + name if module.endswith(".") else f"{module}.{name}"
        tree.parents[alias] = node
        tree._bind(scope, Binding(bound, Bound.IMPORT, alias, scope, qualified=qualified))
    return []


def _global(tree: Tree, node: cst.Global, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    scope.global_names.update(item.name.value for item in node.names)
    return []


def _nonlocal(tree: Tree, node: cst.Nonlocal, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    scope.nonlocal_names.update(item.name.value for item in node.names)
    return []


def _return(tree: Tree, node: cst.Return, scope: Scope) -> None:
    scope.returns.append(node)


def _yield(tree: Tree, node: cst.Yield, scope: Scope) -> None:
    function = scope.function()
    function.is_generator = True
    function.yields.append(node)


def _attribute(tree: Tree, node: cst.Attribute, scope: Scope) -> None:
    tree.attributes.setdefault(node.attr.value, []).append(node)


def _call(tree: Tree, node: cst.Call, scope: Scope) -> None:
    func = node.func
    if func.__class__ is cst.Attribute:
        name = func.attr.value
    elif func.__class__ is cst.Name:
        name = func.value
    else:
        return
    tree.calls_of.setdefault(name, []).append(node)


_SPECIAL: dict[type[cst.CSTNode], Callable[..., list[tuple[cst.CSTNode, Scope]] | None]] = {
    cst.FunctionDef: _function,
    cst.Lambda: _lambda,
    cst.ClassDef: _class,
    cst.ListComp: _comprehension,
    cst.SetComp: _comprehension,
    cst.GeneratorExp: _comprehension,
    cst.DictComp: _comprehension,
    cst.Assign: _assign,
    cst.AnnAssign: _annotated,
    cst.AugAssign: _augmented,
    cst.NamedExpr: _named,
    cst.For: _for,
    cst.WithItem: _with_item,
    cst.ExceptHandler: _handler,
    cst.ExceptStarHandler: _handler,
    cst.MatchAs: _match_as,
    cst.MatchStar: _match_star,
    cst.MatchMapping: _mapping,
    cst.Import: _import,
    cst.ImportFrom: _import_from,
    cst.Global: _global,
    cst.Nonlocal: _nonlocal,
    cst.Return: _return,
    cst.Yield: _yield,
    cst.Attribute: _attribute,
    cst.Call: _call,
}
