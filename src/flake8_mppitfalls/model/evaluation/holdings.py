"""Holdings: where what a list, tuple or dict holds comes out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import libcst as cst

from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

DEEPEST = 8

Path: TypeAlias = "tuple[int | None, ...]"
"""The way from a container to what it holds: ``None`` for any element, or an index."""

_ALIKE = frozenset("list tuple sorted reversed set iter tqdm.tqdm tqdm.auto.tqdm".split())
_TAKING = frozenset({"get", "pop", "popleft", "setdefault"})


class Outlet(NamedTuple):
    """A place that reads something out of a container: under which key, if that is shown."""

    node: cst.CSTNode
    key: object = None


class Unpacked(NamedTuple):
    """The key of what is unpacked: ``a`` of ``a, b = pair`` has the first place."""

    place: int


class Holdings:
    """Finds in one module the expressions that an element of a container comes to."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._known: dict[cst.CSTNode, dict[object, dict[cst.CSTNode, int]]] = {}
        self._left = 20_000 + len(self._tree.parents)
        """So many outlets are given for the elements of all containers together."""
        self._placed: dict[cst.CSTNode, dict[cst.CSTNode, int]] = {}

    def of(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The places that may read ``node`` out of the container in which it is written."""
        parent = self._tree.parent(node)
        display = self._tree.parent(parent) if parent is not None else None
        key: object
        if isinstance(parent, cst.Element) and display is not None:
            key = self._places(display).get(parent)
        elif isinstance(parent, cst.DictElement) and display is not None and node is parent.value:
            key = _constant(parent.key)
        else:
            return
        outlets = self._outlets(display)
        some = outlets.values() if key is None else (outlets.get(k, {}) for k in (None, key))
        found = {outlet: place for group in some for outlet, place in group.items()}
        self._left -= len(found)
        if self._left > 0:
            yield from sorted(found, key=found.__getitem__)

    def elements(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The expressions that an element of what ``node`` stands for comes to."""
        yield from (outlet.node for outlet in self._held(node, (None,), 0))

    def _outlets(self, display: cst.CSTNode) -> dict[object, dict[cst.CSTNode, int]]:
        """Where a container that is written out is read, by the key, each with its number."""
        known = self._known.get(display)
        if known is None:
            known = self._known[display] = {}
            for number, (node, key) in enumerate(self._held(display, (None,), 1)):
                if isinstance(key, Unpacked):
                    group: object = key.place
                else:
                    group = None if isinstance(display, cst.List) else key  # lists are sorted, …
                known.setdefault(group, {}).setdefault(node, number)
        return known

    def _places(self, display: cst.CSTNode) -> dict[cst.CSTNode, int]:
        """The place of each element of a tuple or list that is written out."""
        if not isinstance(display, (cst.Tuple, cst.List)):
            return {}
        known = self._placed.get(display)
        if known is None:
            known = self._placed[display] = {e: i for i, e in enumerate(display.elements)}
        return known

    def _in_container(
        self, node: cst.CSTNode, path: Path, depth: int, key: object
    ) -> Iterator[Outlet]:
        parent = self._tree.parent(node)
        display = self._tree.parent(parent) if parent is not None else None
        if display is None:
            return
        if isinstance(parent, cst.Element):
            index = self._places(display)[parent] if isinstance(display, cst.Tuple) else None
            yield from self._held(display, (index, *path), depth + 1, key)
        elif isinstance(parent, cst.DictElement) and node is parent.value:
            yield from self._held(display, (None, *path), depth + 1, key)

    def _held(
        self, node: cst.CSTNode, path: Path, depth: int, key: object = None
    ) -> Iterator[Outlet]:
        """What comes of an expression that holds the function at ``path``."""
        if depth > DEEPEST:
            return
        if not path:
            yield Outlet(node, key)
            return
        parent = self._tree.parent(node)
        if isinstance(parent, (cst.For, cst.CompFor)) and parent.iter is node:
            yield from self._bound(parent.target, path[1:], depth, key)
        elif isinstance(parent, cst.Assign):
            for target in parent.targets:
                yield from self._bound(target.target, path, depth, key)
        elif isinstance(parent, (cst.AnnAssign, cst.NamedExpr)) and parent.value is node:
            yield from self._bound(parent.target, path, depth, key)
        elif isinstance(parent, cst.Subscript) and parent.value is node:
            part = parent.slice[0].slice if len(parent.slice) == 1 else None
            whole = any(not isinstance(element.slice, cst.Index) for element in parent.slice)
            if len(path) == 1 and isinstance(part, cst.Index):
                key = _constant(part.value)
            yield from self._held(parent, path if whole else path[1:], depth + 1, key)
        elif isinstance(parent, cst.Attribute):
            yield from self._viewed(parent, path, depth, key)
        elif isinstance(parent, cst.Arg):
            yield from self._given(parent, path, depth, key)
        else:
            yield from self._in_container(node, path, depth, key)

    def _viewed(
        self, member: cst.Attribute, path: Path, depth: int, key: object
    ) -> Iterator[Outlet]:
        call = self._tree.parent(member)
        if not isinstance(call, cst.Call) or call.func is not member:
            return
        if member.attr.value == "items":
            yield from self._held(call, (None, 1, *path[1:]), depth + 1, key)
        elif member.attr.value == "values":
            yield from self._held(call, path, depth + 1, key)
        elif member.attr.value in _TAKING:
            if len(path) == 1 and call.args:
                key = _constant(call.args[0].value)
            yield from self._held(call, path[1:], depth + 1, key)

    def _given(self, arg: cst.Arg, path: Path, depth: int, key: object) -> Iterator[Outlet]:
        call = self._tree.parent(arg)
        if not isinstance(call, cst.Call) or arg.keyword is not None or arg.star:
            return
        name = self._tree.qualified(call.func)
        if name == "enumerate":
            yield from self._held(call, (None, 1, *path[1:]), depth + 1, key)
        elif name == "zip":
            yield from self._held(call, (None, call.args.index(arg), *path[1:]), depth + 1, key)
        elif name in _ALIKE:
            yield from self._held(call, path, depth + 1, key)

    def _bound(
        self, target: cst.BaseExpression, path: Path, depth: int, key: object
    ) -> Iterator[Outlet]:
        """The reads of the name that gets it, out of an assignment's or loop's target."""
        if isinstance(target, (cst.Tuple, cst.List)):
            index = path[0] if path else -1
            for i, element in enumerate(target.elements):
                if isinstance(element, cst.StarredElement):
                    break  # a list of its own, and then who knows which
                if i == index:
                    yield from self._bound(element.value, path[1:], depth, key)
                elif path == (None,):
                    yield from self._bound(element.value, (), depth, Unpacked(i))
            return
        binding = self._tree.binding_at(target)
        if binding is not None and binding.kind in (Bound.ASSIGN, Bound.FOR):
            for load in self._evaluator.names.reads_of(binding):
                yield from self._held(load, path, depth + 1, key)


def _constant(node: cst.BaseExpression) -> object:
    """The value of a string, or of a number that is no place from the end; else ``None``."""
    return literal(node) if isinstance(node, (cst.Integer, cst.SimpleString)) else None
