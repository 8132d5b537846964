"""Holdings: where what a list, tuple or dict holds comes out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

DEEPEST = 8

Path: TypeAlias = "tuple[int | None, ...]"
"""The way from a container to what it holds: ``None`` for any element, or an index."""

_ALIKE = frozenset("list tuple sorted reversed set iter tqdm.tqdm tqdm.auto.tqdm".split())
_TAKING = frozenset({"get", "pop", "popleft", "setdefault"})


class Holdings:
    """Finds in one module the expressions that an element of a container comes to."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree

    def of(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The places that may read ``node`` out of the container in which it is written."""
        yield from self._in_container(node, (), 0)

    def elements(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The expressions that an element of what ``node`` stands for comes to."""
        yield from self._held(node, (None,), 0)

    def _in_container(self, node: cst.CSTNode, path: Path, depth: int) -> Iterator[cst.CSTNode]:
        parent = self._tree.parent(node)
        if isinstance(parent, cst.Element):
            display = self._tree.parent(parent)
            index = None
            if isinstance(display, cst.Tuple):
                index = next(i for i, e in enumerate(display.elements) if e is parent)
            if display is not None:
                yield from self._held(display, (index, *path), depth + 1)
        elif isinstance(parent, cst.DictElement) and node is parent.value:
            display = self._tree.parent(parent)
            if display is not None:
                yield from self._held(display, (None, *path), depth + 1)

    def _held(self, node: cst.CSTNode, path: Path, depth: int) -> Iterator[cst.CSTNode]:
        """What comes of an expression that holds the function at ``path``."""
        if depth > DEEPEST:
            return
        if not path:
            yield node
            return
        parent = self._tree.parent(node)
        if isinstance(parent, (cst.For, cst.CompFor)) and parent.iter is node:
            yield from self._bound(parent.target, path[1:], depth)
        elif isinstance(parent, cst.Assign):
            for target in parent.targets:
                yield from self._bound(target.target, path, depth)
        elif isinstance(parent, (cst.AnnAssign, cst.NamedExpr)) and parent.value is node:
            yield from self._bound(parent.target, path, depth)
        elif isinstance(parent, cst.Subscript) and parent.value is node:
            whole = any(not isinstance(element.slice, cst.Index) for element in parent.slice)
            yield from self._held(parent, path if whole else path[1:], depth + 1)
        elif isinstance(parent, cst.Attribute):
            yield from self._viewed(parent, path, depth)
        elif isinstance(parent, cst.Arg):
            yield from self._given(parent, path, depth)
        else:
            yield from self._in_container(node, path, depth)

    def _viewed(self, member: cst.Attribute, path: Path, depth: int) -> Iterator[cst.CSTNode]:
        call = self._tree.parent(member)
        if not isinstance(call, cst.Call) or call.func is not member:
            return
        if member.attr.value == "items":
            yield from self._held(call, (None, 1, *path[1:]), depth + 1)
        elif member.attr.value == "values":
            yield from self._held(call, path, depth + 1)
        elif member.attr.value in _TAKING:
            yield from self._held(call, path[1:], depth + 1)

    def _given(self, arg: cst.Arg, path: Path, depth: int) -> Iterator[cst.CSTNode]:
        call = self._tree.parent(arg)
        if not isinstance(call, cst.Call) or arg.keyword is not None or arg.star:
            return
        name = self._tree.qualified(call.func)
        if name == "enumerate":
            yield from self._held(call, (None, 1, *path[1:]), depth + 1)
        elif name == "zip":
            yield from self._held(call, (None, call.args.index(arg), *path[1:]), depth + 1)
        elif name in _ALIKE:
            yield from self._held(call, path, depth + 1)

    def _bound(self, target: cst.BaseExpression, path: Path, depth: int) -> Iterator[cst.CSTNode]:
        """The reads of the name that gets it, out of an assignment's or loop's target."""
        if isinstance(target, (cst.Tuple, cst.List)):
            if path and path[0] is not None and path[0] < len(target.elements):
                yield from self._bound(target.elements[path[0]].value, path[1:], depth)
            return
        if not isinstance(target, cst.Name):
            return
        owner = self._tree.scope_of(target).owner_of(target.value)
        for binding in owner.bindings.get(target.value, ()) if owner is not None else ():
            if binding.node is target and binding.kind in (Bound.ASSIGN, Bound.FOR):
                for load in self._evaluator.reads_of(binding):
                    yield from self._held(load, path, depth + 1)
