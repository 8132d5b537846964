"""Parts: the values that a worker API call hands over, with containers and partials opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import (
    Computed,
    Constant,
    Container,
    External,
    Generator,
    Lambda,
    Partial,
    Result,
    Unknown,
)

if TYPE_CHECKING:
    from typing import TypeAlias, TypeGuard

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.values import Value, Values

    Path: TypeAlias = "tuple[int | None, ...]"
    """The way from an expression to what crosses: ``None`` for each element, or an index."""

DEEPEST = 12
"""How deep displays and calls are gone into."""
MOST_PARTS = 2_000
"""After so many parts of one call the rest may cross."""
FEW = 8
"""The parts of so many values are found again each time."""


class Part(NamedTuple):
    """One value that is handed over, and the expression in the call that brings it."""

    node: cst.BaseExpression
    value: Value
    is_callable: bool


class Parts:
    """Opens what the worker API calls of one module hand over."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._known: dict[Task, list[Part]] = {}
        self._opened: dict[Value, Values] = {}
        self._leaves: dict[int, tuple[Values, Values]] = {}

    def of(self, task: Task) -> list[Part]:
        """Everything that a task hands over, with containers and partials opened."""
        known = self._known.get(task)
        if known is None:
            known = self._known[task] = list(dict.fromkeys(self._parts_of(task)))
        return known

    def _parts_of(self, task: Task) -> Iterator[Part]:
        if task.callable is not None:
            yield from self._open(task.callable, (), True)
        mappings = {
            task.argument(name)
            for name, spread in task.shape.arguments
            if spread is api.Spread.MAPPING
        }
        mappings.update(arg.value for arg in task.call.args if arg.star == "**")
        left = MOST_PARTS
        for given in task.given():
            path: Path = tuple(step for step in given.path if not isinstance(step, str))
            if path == (None,) and given.expression in mappings:
                path = ()  # the values of a dict, as those of any argument that is one
            for part in self._open(given.expression, path, False):
                yield part
                left -= 1
                if left == 0:
                    return

    def of_expression(self, node: cst.BaseExpression) -> Iterator[Part]:
        """The values that an expression brings."""
        return self._open(node, (), False)

    def _open(
        self, node: cst.BaseExpression, path: Path, is_callable: bool, depth: int = 0
    ) -> Iterator[Part]:
        """The values that ``node`` brings; what is written out in the call is gone into."""
        if type(node) in _PLAIN:
            return
        if self._is_partial(node) and not path and depth < DEEPEST:
            for i, arg in enumerate(node.args):
                inside: Path = (None,) if arg.star == "*" else ()
                yield from self._open(arg.value, inside, is_callable and i == 0, depth + 1)
            return
        if depth < DEEPEST:
            inner = self._written(node, path)
            if inner is not None:
                for expression, rest in inner:
                    yield from self._open(expression, rest, is_callable, depth + 1)
                return
        values = self._evaluator.values(node)
        for step in path:
            values = (
                self._evaluator.containers.iterated(values)
                if step is None
                else self._evaluator.containers.element(values, step)
            )
        for leaf in self._leaves_of(values):
            yield Part(node, leaf, is_callable)

    def _is_partial(self, node: cst.BaseExpression) -> TypeGuard[cst.Call]:
        return isinstance(node, cst.Call) and (
            self._tree.qualified(node.func) == "functools.partial"
        )

    def _written(
        self, node: cst.BaseExpression, path: Path
    ) -> list[tuple[cst.BaseExpression, Path]] | None:
        """What a display, comprehension, conditional or known call puts together, or ``None``."""
        if isinstance(node, cst.IfExp):
            return [(node.body, path), (node.orelse, path)]
        if isinstance(node, cst.NamedExpr):
            return [(node.value, path)]
        rest = path[1:]
        if isinstance(node, (cst.Tuple, cst.List, cst.Set)):
            return _elements(node, path)
        if isinstance(node, (cst.ListComp, cst.SetComp)):
            return [(node.elt, rest)]
        if isinstance(node, cst.GeneratorExp) and path:
            return [(node.elt, rest)]
        if isinstance(node, cst.DictComp):
            return [(node.key, rest)] if path else [(node.key, ()), (node.value, ())]
        if isinstance(node, cst.Dict):
            pairs = [e for e in node.elements if isinstance(e, cst.DictElement)]
            if path:
                return [(pair.key, rest) for pair in pairs]
            found: list[tuple[cst.BaseExpression, Path]] = [(pair.key, ()) for pair in pairs]
            return found + [(element.value, ()) for element in node.elements]
        if isinstance(node, cst.BinaryOperation):
            if isinstance(node.operator, (cst.Multiply, cst.Add)):
                sides = (node.left, node.right)
                return [(side, path) for side in sides if isinstance(side, _DISPLAYS)] or None
        if isinstance(node, cst.Call):
            return self._called(node, path)
        return None

    def _called(self, call: cst.Call, path: Path) -> list[tuple[cst.BaseExpression, Path]] | None:
        name = self._tree.qualified(call.func)
        plain = [arg.value for arg in call.args if arg.keyword is None and not arg.star]
        rest = path[1:]
        if not path:
            if name == "collections.defaultdict":
                named = [arg.value for arg in call.args if arg.keyword is not None]
                return [(value, ()) for value in (*plain, *named)]
            if name == "dict":
                named = [arg.value for arg in call.args if arg.keyword is not None]
                return [*self._copied(plain), *((value, ()) for value in named)]
            if name in _COPIES:
                return [(value, (None,)) for value in plain]
            if name in _LAZY:
                return [(value, (None,) if self._is_view(value) else ()) for value in plain]
            if name in {"map", "filter"}:
                return [(value, ()) for value in plain]
            return None
        if name in _COPIES or name in _SLICES:
            return [(plain[0], path)] if plain else []
        if name == "itertools.chain":
            return [(value, path) for value in plain]
        if name == "itertools.repeat":
            return [(plain[0], rest)] if plain else []
        if name in {"zip", "itertools.zip_longest", "itertools.product"}:
            return _columns(plain, path)
        if name == "enumerate" and plain:
            return [] if path[1:2] == (0,) else [(plain[0], (None, *path[2:]))]
        if name in {"filter", "itertools.takewhile", "itertools.dropwhile"} and len(plain) == 2:
            return [(plain[1], path)]
        if name == "map" and plain:
            return self._mapped(plain[0], rest)
        return None

    def _is_record(self, call: cst.Call) -> bool:
        """Does the call give an object that holds its arguments: a named tuple, a namespace?"""
        for value in self._evaluator.values(call.func):
            if isinstance(value, Result) and value.name in _TUPLE_TYPES:
                return True
            if isinstance(value, External) and value.name in _NAMESPACES:
                return True
        return False

    def _copied(self, given: list[cst.BaseExpression]) -> Iterator[tuple[cst.BaseExpression, Path]]:
        """What ``dict()`` takes over: keys and values of a mapping, the pairs of all else.

        The copy of a ``defaultdict`` does not have its factory.
        """
        for node in given:
            values = self._evaluator.values(node)
            mappings = [
                v.site
                for v in values
                if isinstance(v, Container) and self._evaluator.containers.is_mapping(v)
            ]
            if not mappings:
                yield node, (None,)
            elif not any(
                isinstance(site, cst.Call)
                and self._tree.qualified(site.func) == "collections.defaultdict"
                for site in mappings
            ):
                yield node, ()

    def _is_view(self, node: cst.BaseExpression) -> bool:
        """Iterators over views are pickled as lists; a lazy iterator holds its iterables."""
        values = self._evaluator.values(node)
        return any(isinstance(v, Container) and v.type in _VIEWS for v in values)

    def _mapped(
        self, function: cst.BaseExpression, rest: Path
    ) -> list[tuple[cst.BaseExpression, Path]]:
        """What the elements of ``map(function, …)`` are made of, for a lambda written there."""
        if isinstance(function, cst.Lambda):
            return [(function.body, rest)]
        return []

    def _leaves_of(self, values: Values) -> Values:
        """The leaves of some values; of those that nothing stops one is enough."""
        known = self._leaves.get(id(values))
        if known is not None and known[0] is values:
            return known[1]
        plain = False
        found: list[Value] = []
        for value in values:
            for leaf in self.leaves(value):
                if type(leaf) in _CROSSING:
                    if plain:
                        continue
                    plain = True
                found.append(leaf)
        if len(values) > FEW:
            self._leaves[id(values)] = (values, tuple(found))
        return tuple(found)

    def leaves(self, value: Value) -> Values:
        """The value itself, or what a container or partial that it is holds."""
        if isinstance(value, Result) and isinstance(value.site, cst.Call):
            if value.name.removesuffix("()") not in _RECORDS or not self._is_record(value.site):
                return (value,)
        elif not isinstance(value, (Container, Partial)) or (
            isinstance(value, Container) and value.type in _VIEWS
        ):
            return (value,)
        known = self._opened.get(value)
        if known is not None:
            return known
        self._opened[value] = ()
        found: dict[Value, None] = {}
        alike: set[type] = set()
        for inner in self._inside(value):
            for leaf in self.leaves(inner):
                if type(leaf) in _ALIKE:
                    if type(leaf) in alike:
                        continue
                    alike.add(type(leaf))
                found[leaf] = None
            if len(found) > MOST_PARTS:
                break
        known = self._opened[value] = tuple(found)
        return known

    def leaves_then(
        self, value: Value, counts: Callable[[cst.CSTNode], bool], depth: int = 0
    ) -> Iterator[Value]:
        """As :meth:`leaves`, with those additions to containers alone that ``counts`` accepts."""
        if isinstance(value, Container) and value.type not in _VIEWS and depth < DEEPEST:
            for inner in self._inside(value, counts):
                yield from self.leaves_then(inner, counts, depth + 1)
        else:
            yield from self.leaves(value)

    def _inside(
        self, value: Value, counts: Callable[[cst.CSTNode], bool] | None = None
    ) -> Iterator[Value]:
        if isinstance(value, Result) and isinstance(value.site, cst.Call):
            yield from self._evaluator.values(value.site.func)  # the type of a named tuple
            for arg in value.site.args:
                if not arg.star:
                    yield from self._evaluator.values(arg.value)
            return
        if not isinstance(value, (Container, Partial)):
            return
        if isinstance(value, Partial):
            yield from value.targets
            for arg in value.site.args[1:]:
                yield from (part.value for part in self._open(arg.value, (), False))
            return
        site = value.site
        taken: set[cst.BaseExpression] = set()
        if value.type in ("annotation", "item", "row"):
            yield from self._evaluator.containers.elements((value,))
            return
        if isinstance(site, cst.Call):
            taken.update(arg.value for arg in site.args)
            for expression, path in self._called(site, ()) or ():
                yield from (part.value for part in self._open(expression, path, False))
        if isinstance(site, cst.Dict):
            for element in site.elements:
                if isinstance(element, cst.DictElement):
                    yield from self._evaluator.values(element.key)
        for expression, nested in self._evaluator.containers.contributions(value):
            if type(expression) in _PLAIN or expression in taken:
                continue
            if counts is not None and not self._tree.is_within(expression, site):
                if not counts(expression):
                    continue
            values = self._evaluator.values(expression)
            if nested:
                values = (
                    self._evaluator.containers.elements(values)
                    if self._evaluator.containers.is_mapping(value)
                    else self._evaluator.containers.iterated(values)
                )
            yield from values


def _elements(
    node: cst.Tuple | cst.List | cst.Set, path: Path
) -> list[tuple[cst.BaseExpression, Path]]:
    """The elements of a display that a path leads to; all of them for an empty one."""
    elements = node.elements
    if not path:
        return [(e.value, (None,) if isinstance(e, cst.StarredElement) else ()) for e in elements]
    step, rest = path[0], path[1:]
    starred = any(isinstance(e, cst.StarredElement) for e in elements)
    if step is None or starred:
        return [
            (e.value, (None, *rest) if isinstance(e, cst.StarredElement) else rest)
            for e in elements
        ]
    return [(elements[step].value, rest)] if step < len(elements) else []


def _columns(
    iterables: list[cst.BaseExpression], path: Path
) -> list[tuple[cst.BaseExpression, Path]]:
    """What ``zip`` and the like make of several iterables: tuples of one element of each."""
    if len(path) == 1:
        return [(iterable, (None,)) for iterable in iterables]
    step, rest = path[1], path[2:]
    chosen = iterables if step is None else iterables[step : step + 1]
    return [(iterable, (None, *rest)) for iterable in chosen]


_PLAIN: set[type[cst.CSTNode]] = {
    cst.Integer,
    cst.Float,
    cst.Imaginary,
    cst.SimpleString,
    cst.ConcatenatedString,
    cst.FormattedString,
    cst.Comparison,
    cst.UnaryOperation,
    cst.Ellipsis,
}
_ALIKE: frozenset[type] = frozenset({Computed, Constant, Generator, Lambda, Unknown})
"""Kinds of which one in a container is as good as many."""
_CROSSING: frozenset[type] = frozenset({Computed, Constant, Unknown})
"""Of those, the kinds that nothing stops."""
_DISPLAYS = (cst.List, cst.Tuple, cst.ListComp, cst.BinaryOperation)
_TUPLE_TYPES = frozenset({"collections.namedtuple", "typing.NamedTuple"})
_NAMESPACES = frozenset({"types.SimpleNamespace", "argparse.Namespace"})
_RECORDS = _TUPLE_TYPES | _NAMESPACES
_VIEWS = frozenset({"keys", "values", "items"})
_COPIES = frozenset({"list", "tuple", "set", "frozenset", "sorted", "collections.deque"})
_SLICES = frozenset({"iter", "reversed", "itertools.islice", "itertools.cycle", "tqdm.tqdm"})
_LAZY = frozenset({"iter", "reversed", "enumerate", "zip", "itertools.chain", "itertools.product"})
