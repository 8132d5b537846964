"""Proxy elements: what comes out of a manager's dict, list or namespace is a copy.

``ProxyElements.owner(node)`` says of which proxies an expression is an element, at any depth:
``d[k]``, ``d.get(k)``, ``namespace.items``, a name for one of these, the variable of a loop over
the proxy. ``contents(proxy)`` are the values that the file puts in.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import Container, Made, Values, union
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.scopes import Binding

_HOLDING = frozenset({"dict", "list", "Namespace"})
_GIVING = frozenset({"get", "setdefault", "__getitem__"})
_PASSING = frozenset({"list", "tuple", "sorted", "reversed", "iter", "tqdm.tqdm"})
_ADDING = frozenset({"append", "insert", "setdefault", "__setitem__"})
_MERGING = frozenset({"extend", "update"})
_DEEPEST = 8


class ProxyElements:
    """Answers which expressions of one module are elements of a manager's objects."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._plain: dict[cst.CSTNode, bool] = {}
        self._contents: dict[cst.CSTNode, Values] = {}

    def proxies(self, node: cst.CSTNode) -> tuple[Made, ...]:
        """The manager's dicts, lists and namespaces that an expression may be."""
        return tuple(
            value
            for value in self._program.values(node)
            if isinstance(value, Made) and value.kind is api.Kind.PROXY and value.name in _HOLDING
        )

    def owner(self, node: cst.CSTNode, depth: int = 0) -> tuple[Made, ...]:
        """The proxies of which ``node`` is an element, at any depth; none if it may be no such."""
        if depth > _DEEPEST:
            return ()
        if isinstance(node, cst.Subscript):
            return self._part(node.value, ("dict", "list"), depth)
        if isinstance(node, cst.Attribute):
            return self._part(node.value, ("Namespace",), depth)
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            if node.func.attr.value in _GIVING:
                return self._part(node.func.value, ("dict", "list"), depth)
            return ()
        if isinstance(node, cst.Name):
            found: dict[Made, None] = {}
            bindings = self._program.names.bindings(node)
            for binding in bindings:
                owners = self._of_binding(binding, depth)
                if not owners:
                    return ()
                found.update(dict.fromkeys(owners))
            return tuple(found)
        return ()

    def _part(
        self, whole: cst.BaseExpression, names: tuple[str, ...], depth: int
    ) -> tuple[Made, ...]:
        proxies = tuple(made for made in self.proxies(whole) if made.name in names)
        return proxies or self.owner(whole, depth + 1)

    def _of_binding(self, binding: Binding, depth: int) -> tuple[Made, ...]:
        if binding.value is None:
            return ()
        if binding.kind is Bound.ASSIGN and not binding.path:
            return self.owner(binding.value, depth + 1)
        if binding.kind is Bound.FOR:
            return self._of_loop(binding.value, binding.path, depth)
        return ()

    def _of_loop(
        self, iterable: cst.BaseExpression, path: tuple[int, ...], depth: int
    ) -> tuple[Made, ...]:
        """What a loop over ``iterable`` gives at ``path`` in each turn."""
        if isinstance(iterable, cst.Call):
            name = self._tree.qualified(iterable.func)
            first = iterable.args[0].value if iterable.args else None
            if name == "enumerate" and first is not None:
                return self._of_loop(first, path[1:], depth + 1) if path[:1] == (1,) else ()
            if name in _PASSING and first is not None:
                return self._of_loop(first, path, depth + 1)
            if isinstance(iterable.func, cst.Attribute):
                method = iterable.func.attr.value
                wanted = {"values": (), "items": (1,)}.get(method)
                if wanted is not None and path == wanted:
                    return self._part(iterable.func.value, ("dict",), depth)
            return ()
        if path:
            return ()
        lists = tuple(made for made in self.proxies(iterable) if made.name == "list")
        return lists or self.owner(iterable, depth + 1)

    # -- contents ------------------------------------------------------------------------------

    def contents(self, proxy: Made) -> Values:
        """What this file puts into a proxy."""
        known = self._contents.get(proxy.site)
        if known is None:
            groups = self._put_into.get(proxy.site, ())
            known = self._contents[proxy.site] = union((), *self._given(proxy), *groups)
        return known

    def are_plain(self, proxy: Made) -> bool:
        """False if a proxy holds other proxies, itself or in what it holds."""
        known = self._plain.get(proxy.site)
        if known is None:
            known = self._plain[proxy.site] = not self._hold_proxies(self.contents(proxy))
        return known

    def _hold_proxies(self, values: Values, depth: int = 0) -> bool:
        for value in values:
            if isinstance(value, Made):
                return True
            if isinstance(value, Container) and depth < _DEEPEST:
                held = self._program.evaluator.containers.elements((value,))
                if self._hold_proxies(held, depth + 1):
                    return True
        return False

    def _given(self, proxy: Made) -> Iterator[Values]:
        """What a proxy is made with."""
        if isinstance(proxy.site, cst.Call):
            for arg in proxy.site.args:
                values = self._program.values(arg.value)
                elements = self._program.evaluator.containers.elements
                yield values if arg.keyword is not None else elements(values)

    @cached_property
    def _put_into(self) -> dict[cst.CSTNode, list[Values]]:
        """What is put into each proxy later on."""
        program = self._program
        elements = program.evaluator.containers.elements
        found: dict[cst.CSTNode, list[Values]] = {}

        def put(receiver: cst.CSTNode, values: Values) -> None:
            for site in dict.fromkeys(made.site for made in self.proxies(receiver)):
                found.setdefault(site, []).append(values)

        for assign in self._tree.nodes(cst.Assign):
            for target in assign.targets:
                if isinstance(target.target, (cst.Subscript, cst.Attribute)):
                    put(target.target.value, program.values(assign.value))
        for names, merging in ((_ADDING, False), (_MERGING, True)):
            for name in names:
                for call in self._tree.calls_of.get(name, ()):
                    if not isinstance(call.func, cst.Attribute):
                        continue
                    for arg in call.args if merging else call.args[-1:]:
                        values = program.values(arg.value)
                        merged = merging and arg.keyword is None
                        put(call.func.value, elements(values) if merged else values)
        return found
