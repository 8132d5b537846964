"""Lengths: how many elements a tuple or list has, and which keys a mapping."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.values import Container
from flake8_mppitfalls.syntax.scopes import Binding, Bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Values

    Length: TypeAlias = tuple[int, bool]
    """So many elements; there may be more where the second is true."""

MOST_LENGTHS = 12
DEEPEST = 8

_PAIRS = frozenset({"enumerate", "itertools.pairwise"})
_CHOOSING = frozenset(
    {"itertools.combinations", "itertools.permutations", "itertools.combinations_with_replacement"}
)
_CHANGING = frozenset("append clear extend insert pop remove".split())
_SAME_ITEMS = frozenset({"list", "tuple", "sorted", "reversed", "iter", "set", "frozenset"})


class Lengths:
    """Answers for one module. No answer (an empty list) where the file does not say."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._evaluator = program.evaluator
        self._tree = program.tree

    def exact(self, node: cst.BaseExpression) -> int | None:
        lengths = self.of(node)
        return lengths[0][0] if len(lengths) == 1 and not lengths[0][1] else None

    def of(self, node: cst.BaseExpression, depth: int = 0) -> list[Length]:
        """How many elements a tuple or list may have (and more, if true); empty if not known."""
        if depth > DEEPEST:
            return []
        if isinstance(node, cst.Tuple):
            return self._display(node, depth)
        if isinstance(node, cst.BinaryOperation):
            return self._operated(node, depth)
        parts: Sequence[cst.BaseExpression | Binding] = ()
        if isinstance(node, cst.IfExp):
            parts = (node.body, node.orelse)
        elif isinstance(node, cst.Name):
            parts = self._evaluator.names.bindings(node)
            if len(parts) > 1 and any(self._is_looped(part, node) for part in parts):
                return []
        if not parts:
            return self._by_values(self._evaluator.values(node), node, depth)
        found: dict[Length, None] = {}
        for part in parts:
            lengths = (
                self._given(part, depth) if isinstance(part, Binding) else self.of(part, depth + 1)
            )
            if not lengths:
                return []
            found.update(dict.fromkeys(lengths))
        return list(found)

    def _is_looped(self, binding: Binding, read: cst.Name) -> bool:
        """Is it bound in a loop, and read behind it, or for its own next value?

        Nobody knows how often the loop runs.
        """
        for parent in self._tree.ancestors(binding.node):
            if isinstance(parent, (cst.For, cst.While)):
                if not self._tree.is_within(read, parent):
                    return True
                if binding.value is not None and any(
                    isinstance(part, cst.Name) and part.value == binding.name
                    for part in self._tree.walk(binding.value)
                ):
                    return True
        return False

    def _given(self, binding: Binding, depth: int) -> list[Length]:
        """The lengths of what a binding gives its name; ``args += (more,)`` makes another tuple."""
        if binding.kind is Bound.AUGMENTED:
            return []
        if binding.kind is Bound.ASSIGN and binding.value is not None and not binding.path:
            return self.of(binding.value, depth + 1)
        return self._by_values(self._evaluator.bound(binding), None, depth)

    def _by_values(self, values: Values, node: cst.CSTNode | None, depth: int) -> list[Length]:
        found: dict[Length, None] = {}
        for value in values:
            if isinstance(value, Container):
                summed = value.site is not node and value.site in self._summed
                lengths = [] if summed else self._container(value, depth)
            else:
                site = getattr(value, "site", None)
                operated = isinstance(site, cst.BinaryOperation) and site is not node
                lengths = self._operated(site, depth) if operated else []  # type: ignore[arg-type]
            if not lengths:
                return []
            found.update(dict.fromkeys(lengths))
        return list(found)

    @cached_property
    def _summed(self) -> frozenset[cst.CSTNode]:
        """The containers that are operands of a sum, whose elements are those of both."""
        return frozenset(
            value.site
            for node in self._tree.nodes(cst.BinaryOperation)
            if isinstance(node.operator, (cst.Add, cst.Multiply))
            for value in self._evaluator.values(node)
            if isinstance(value, Container)
        )

    def _display(self, node: cst.Tuple | cst.List, depth: int) -> list[Length]:
        total = [(0, False)]
        for element in node.elements:
            if isinstance(element, cst.StarredElement):
                inner = self.of(element.value, depth + 1) or [(0, True)]
            else:
                inner = [(1, False)]
            total = [(a + b, x or y) for a, x in total for b, y in inner][:MOST_LENGTHS]
        return total

    def _operated(self, node: cst.BinaryOperation, depth: int) -> list[Length]:
        """``(first,) + rest`` and ``(None,) * 3``."""
        left = self.of(node.left, depth + 1)
        if isinstance(node.operator, cst.Add):
            right = self.of(node.right, depth + 1)
            if not left and not right:
                return []
            left, right = left or [(0, True)], right or [(0, True)]
            return [(a + b, x or y) for a, x in left for b, y in right][:MOST_LENGTHS]
        if isinstance(node.operator, cst.Multiply) and left:
            times = self._evaluator.integer(node.right)
            if times is not None and isinstance(node.left, (cst.Tuple, cst.List)):
                return [(a * max(times, 0), x) for a, x in left]
        return []

    def _container(self, value: Container, depth: int) -> list[Length]:
        site = value.site
        if value.type == "item":
            return [(2, False)]
        if value.type == "row" and isinstance(site, cst.Call):
            return self._row(site)
        if value.type in ("tuple", "list") and isinstance(site, (cst.Tuple, cst.List)):
            if self._is_changed(value, len(site.elements)):
                return []
            return self._display(site, depth + 1)
        return []

    def _is_changed(self, value: Container, size: int) -> bool:
        """Is something put into a list, or taken out of it, after it is made?"""
        if value.type == "tuple":
            return False
        if len(self._evaluator.containers.contributions(value)) != size:
            return True
        return any(
            use.kind is UseKind.METHOD and use.depth == 0 and use.name in _CHANGING
            for use in self._program.uses.of(value.site)
        )

    def _row(self, call: cst.Call) -> list[Length]:
        """The tuples that ``zip`` and the like give."""
        name = self._tree.qualified(call.func)
        if name in _PAIRS:
            return [(2, False)]
        more = any(arg.star for arg in call.args)
        count = self._evaluator.containers.columns(call)
        if name == "itertools.product":
            for arg in call.args:
                if arg.keyword is not None:
                    times = self._evaluator.integer(arg.value)
                    return [(count * times, more)] if times is not None else []
        return [(count, more)]

    def of_items(self, node: cst.BaseExpression) -> list[Length]:
        """The lengths of the items of an iterable, as ``starmap`` unpacks them."""
        if isinstance(node, cst.Call):
            name = self._tree.qualified(node.func)
            if name in _CHOOSING and len(node.args) == 2:
                size = self._evaluator.integer(node.args[1].value)
                return [(size, False)] if size is not None else []
            if name in _PAIRS:
                return [(2, False)]
            if name in _SAME_ITEMS and len(node.args) == 1 and not node.args[0].star:
                return self.of_items(node.args[0].value)
        if isinstance(node, (cst.ListComp, cst.GeneratorExp, cst.SetComp)):
            return self.of(node.elt)
        if isinstance(node, (cst.List, cst.Tuple, cst.Set)):
            return self._all_lengths(node.elements)
        found: dict[Length, None] = {}
        values = self._evaluator.values(node)
        for value in values:
            site = getattr(value, "site", None)
            if site is None or site is node:
                site = None
            if isinstance(value, Container) and value.type in ("list", "tuple", "set", "iterator"):
                lengths = self._items_of(value, site)
            elif isinstance(site, cst.GeneratorExp):
                lengths = self.of(site.elt)
            else:
                lengths = []
            if not lengths:
                return []
            found.update(dict.fromkeys(lengths))
        return list(found)

    def _items_of(self, value: Container, site: cst.CSTNode | None) -> list[Length]:
        """The lengths of everything that a container holds, wherever it was put in."""
        if value.type == "iterator":
            rows = self._evaluator.containers.iterated((value,))
            only = rows[0] if len(rows) == 1 else None
            if isinstance(only, Container) and only.type in ("row", "item"):
                return self._container(only, 0)
            return []
        if isinstance(value.site, cst.Call):
            return self.of_items(value.site) if site is not None else []
        found: dict[Length, None] = {}
        for expression, nested in self._evaluator.containers.contributions(value):
            lengths = self.of_items(expression) if nested else self.of(expression)
            if not lengths:
                return []
            found.update(dict.fromkeys(lengths))
        return list(found)

    def _all_lengths(self, elements: Sequence[cst.BaseElement]) -> list[Length]:
        found: dict[Length, None] = {}
        for element in elements:
            starred = isinstance(element, cst.StarredElement)
            lengths = self.of_items(element.value) if starred else self.of(element.value)
            if not lengths:
                return []
            found.update(dict.fromkeys(lengths))
        return list(found)

    def keys(self, node: cst.BaseExpression) -> list[tuple[tuple[str, ...], bool]]:
        """The keys that a mapping may have, and whether there may be more."""
        found: dict[tuple[tuple[str, ...], bool], None] = {}
        for value in self._evaluator.values(node):
            keys: tuple[str, ...] = ()
            more = True
            if isinstance(value, Container) and isinstance(value.site, (cst.Dict, cst.Call)):
                keys, more = self._keys_of(value.site, value)
            found[keys, more] = None
        return list(found) or [((), True)]

    def _keys_of(self, site: cst.Dict | cst.Call, value: Container) -> tuple[tuple[str, ...], bool]:
        keys: list[str] = []
        more = False
        if isinstance(site, cst.Dict):
            for element in site.elements:
                text = (
                    self._evaluator.text(element.key)
                    if isinstance(element, cst.DictElement)
                    else None
                )
                more = more or text is None
                keys += [text] if text is not None else []
            size = len(site.elements)
        else:
            if self._tree.qualified(site.func) != "dict":
                return (), True
            for arg in site.args:
                if arg.keyword is None:
                    more = True
                else:
                    keys.append(arg.keyword.value)
            size = len(site.args)
        more = more or len(self._evaluator.containers.contributions(value)) != size
        return tuple(keys), more
