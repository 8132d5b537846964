"""The one walk over a file: it fills the tables of a ``Tree``.

A plain loop over the fields that mean something. What binds names (assignments, ``def``, imports,
loops, patterns) has a visitor of its own, which says in which scope each child is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.syntax.fields import FIELDS, dotted_name
from flake8_mppitfalls.syntax.scopes import STARRED, Binding, Bound, Scope, ScopeKind, unpacked

if TYPE_CHECKING:
    from flake8_mppitfalls.syntax.tree import Tree


def walk(tree: Tree, module: cst.Module) -> None:
    """Visit every node that means something, once, and fill the tables of ``tree``."""
    parents = tree.parents
    by_type = tree.by_type
    loads = tree.loads
    name_scopes = tree.name_scopes
    special = _SPECIAL
    fields = FIELDS
    sentinel = cst.MaybeSentinel
    stack: list[tuple[cst.CSTNode, Scope]] = [(module, tree.module_scope)]
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
            pairs = handler(tree, node, scope)
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
            # Optional fields hold MaybeSentinel where LibCST decides about the text.
            if value is None or value.__class__ is str or value.__class__ is sentinel:
                continue
            if value.__class__ is tuple or value.__class__ is list:
                for child in reversed(value):
                    parents[child] = node
                    push((child, scope))
            else:
                parents[value] = node
                push((value, scope))
    for scope, binding in tree.late:
        _bind(tree, scope, binding)


def _bind(tree: Tree, scope: Scope, binding: Binding) -> None:
    target = scope.target_of(binding.name)
    binding.scope = target
    target.bindings.setdefault(binding.name, []).append(binding)


def _bind_all(
    tree: Tree,
    scope: Scope,
    target: cst.CSTNode,
    kind: Bound = Bound.OTHER,
    value: cst.BaseExpression | None = None,
) -> None:
    for _ in _bind_target(tree, scope, target, kind, value):
        pass


def _bind_target(
    tree: Tree,
    scope: Scope,
    target: cst.CSTNode,
    kind: Bound,
    value: cst.BaseExpression | None,
    path: tuple[int, ...] = (),
    annotation: cst.BaseExpression | None = None,
) -> Iterator[cst.CSTNode]:
    """Bind the names in an assignment target; yields the parts of it that are evaluated."""
    if isinstance(target, cst.Name):
        if path and kind is Bound.ASSIGN:
            value, path = unpacked(value, path)
        binding = Binding(target.value, kind, target, scope, value, path, annotation)
        if target.value in scope.nonlocal_names:
            tree.late.append((scope, binding))  # the outer function may bind it later
        else:
            _bind(tree, scope, binding)
    elif isinstance(target, (cst.Tuple, cst.List)):
        starred = False
        for i, element in enumerate(target.elements):
            index = STARRED if starred or isinstance(element, cst.StarredElement) else i
            starred = starred or isinstance(element, cst.StarredElement)
            tree.parents[element] = target
            tree.parents[element.value] = element
            yield from _bind_target(tree, scope, element.value, kind, value, (*path, index))
    elif isinstance(target, cst.StarredElement):
        tree.parents[target.value] = target
        yield from _bind_target(tree, scope, target.value, kind, value, (*path, STARRED))
    else:
        yield target


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
    _bind(tree, scope, Binding(node.name.value, Bound.FUNCTION, node, scope))
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
    _bind(tree, scope, Binding(node.name.value, Bound.CLASS, node, scope))
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
        parts = _bind_target(tree, inner, clause.target, Bound.FOR, clause.iter)
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
        parts = _bind_target(tree, scope, target.target, Bound.ASSIGN, node.value)
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
    parts = _bind_target(tree, scope, node.target, kind, node.value, (), annotation)
    pairs += [(part, scope) for part in parts]
    return pairs


def _augmented(tree: Tree, node: cst.AugAssign, scope: Scope) -> None:
    tree.parents[node.target] = node
    _bind_all(tree, scope, node.target, Bound.AUGMENTED, node.value)


def _named(tree: Tree, node: cst.NamedExpr, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    # PEP 572: the target of := in a comprehension belongs to the scope around it.
    tree.parents[node.target] = node
    _bind_all(tree, scope.function(), node.target, Bound.ASSIGN, node.value)
    return [(node.value, scope)]


def _for(tree: Tree, node: cst.For, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    tree.parents[node.target] = node
    parts = _bind_target(tree, scope, node.target, Bound.FOR, node.iter)
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
        parts = _bind_target(tree, scope, node.asname.name, Bound.WITH, node.item)
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
        _bind_all(tree, scope, node.name.name)
    pairs.append((node.body, scope))
    return pairs


def _capture(tree: Tree, node: cst.MatchAs | cst.MatchStar, scope: Scope) -> None:
    if node.name is not None:
        tree.parents[node.name] = node
        _bind_all(tree, scope, node.name)


def _match_as(tree: Tree, node: cst.MatchAs, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    _capture(tree, node, scope)
    return [] if node.pattern is None else [(node.pattern, scope)]


def _match_star(tree: Tree, node: cst.MatchStar, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    _capture(tree, node, scope)
    return []


def _mapping(tree: Tree, node: cst.MatchMapping, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    if node.rest is not None:
        tree.parents[node.rest] = node
        _bind_all(tree, scope, node.rest)
    return [(element, scope) for element in node.elements]


def _import(tree: Tree, node: cst.Import, scope: Scope) -> list[tuple[cst.CSTNode, Scope]]:
    for alias in node.names:
        full = dotted_name(alias.name)
        if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
            bound, qualified = alias.asname.name.value, full
        else:
            bound = qualified = full.partition(".")[0]
        tree.parents[alias] = node
        _bind(tree, scope, Binding(bound, Bound.IMPORT, alias, scope, qualified=qualified))
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
        _bind(tree, scope, Binding(bound, Bound.IMPORT, alias, scope, qualified=qualified))
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
