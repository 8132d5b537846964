"""Containers: what lists, tuples, dicts and iterators hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.annotations import MAPPINGS
from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    Class,
    Computed,
    Constant,
    Container,
    Generator,
    Instance,
    Made,
    Result,
    Value,
    Values,
    union,
)
from flake8_mppitfalls.syntax.scopes import STARRED

if TYPE_CHECKING:
    from typing import TypeAlias

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

    _Keyed: TypeAlias = "dict[object, dict[int, tuple[cst.BaseExpression, bool]]]"

_VIEWS = frozenset({"keys", "values", "items"})
CONTAINER_METHODS = _VIEWS | {"copy", "get", "pop", "popleft", "setdefault"}
_ITERATED = {
    "os.scandir": "os.DirEntry",
    "pathlib.Path().glob": "pathlib.Path",
    "pathlib.Path().iterdir": "pathlib.Path",
    "pathlib.Path().rglob": "pathlib.Path",
    "re.finditer": "re.Match",
    "re.compile().finditer": "re.Match",
}
"""What iterating over the result of a function gives."""
COLUMN = "column "
_COLUMNS = frozenset({"zip", "enumerate", "itertools.product"})
"""Calls whose iterator gives tuples: one element of each of several iterables."""
ADDING = frozenset({"append", "add", "appendleft", "insert", "setdefault"})
"""Methods that put what they are given into a container."""
MERGING = frozenset({"extend", "extendleft", "update"})
"""Methods that put the elements of what they are given into a container."""

_DISPLAYING = frozenset({"frozenset", "list", "set", "tuple", "collections.deque"})
"""``list(f(x) for x in xs)`` is ``[f(x) for x in xs]``."""


class Containers:
    """Answers what the containers of one module hold, wherever it was put in."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._known: dict[object, Values] = {}
        self._rests: dict[cst.CSTNode, Values] = {}
        self._contributions: dict[cst.CSTNode, list[tuple[cst.BaseExpression, bool]]] | None = None
        self._growing = False
        self._keyed: dict[Container, _Keyed] = {}

    def rest(self, starred: cst.StarredElement, elements: Values) -> Values:
        """The list that ``*rest`` is bound to, which holds ``elements``."""
        self._rests[starred] = elements
        return (Container(starred, "list"),)

    def elements(self, values: Values) -> Values:
        """What the values hold: for a dict its values."""
        return union((), *(self._elements(value) for value in values))

    def under(self, values: Values, key: cst.BaseExpression) -> Values:
        """What the values hold under a key; for what is no dict, anything that they hold."""
        wanted = self._constant(key)
        return self.elements(values) if wanted is None else self._all_under(values, wanted)

    def at(self, values: Values, step: int | str | None) -> Values:
        """What the values hold: as elements, at a place, or under a key."""
        if step is None:
            return self.iterated(values)
        return (
            self._all_under(values, step) if isinstance(step, str) else self.element(values, step)
        )

    def _all_under(self, values: Values, wanted: object) -> Values:
        return union(
            (),
            *(
                self._under(value, wanted)
                if isinstance(value, Container) and self.is_dict(value)
                else self._elements(value)
                for value in values
            ),
        )

    def is_dict(self, value: Value) -> bool:
        """True for a dict that is written out in this module."""
        return isinstance(value, Container) and value.type == "dict"

    def _under(self, container: Container, wanted: object) -> Values:
        contributions = self._keyed_contributions(container)
        found = {**contributions.get(None, {}), **contributions.get(wanted, {})}
        groups: list[Values] = []
        for place in sorted(found):
            expression, nested = found[place]
            values = self._evaluator.values(expression)
            groups.append(self.elements(values) if nested else values)
        return union((), *groups) or (UNKNOWN,)

    def _keyed_contributions(self, container: Container) -> _Keyed:
        """What a dict gets under which key (``None``: under any), each with its number."""
        known = self._keyed.get(container)
        if known is None:
            known = {}
            for place, (expression, nested) in enumerate(self.contributions(container)):
                key = None if nested else self._key_of(expression)
                known.setdefault(key, {})[place] = (expression, nested)
            if not self._growing and not isinstance(container.site, cst.Param):
                self._keyed[container] = known
        return known

    def _key_of(self, value: cst.BaseExpression) -> object:
        """The key under which ``value`` is put into a dict; ``None`` where that is not shown."""
        parent = self._evaluator.tree.parent(value)
        if isinstance(parent, cst.DictElement):
            return self._constant(parent.key)
        if isinstance(parent, cst.Arg) and parent.keyword is not None:
            return parent.keyword.value
        if isinstance(parent, cst.Assign) and len(parent.targets) == 1:
            target = parent.targets[0].target
            if isinstance(target, cst.Subscript) and len(target.slice) == 1:
                part = target.slice[0].slice
                return self._constant(part.value) if isinstance(part, cst.Index) else None
        return None

    def _constant(self, node: cst.BaseExpression) -> object:
        """The one string or number that an expression is, if it is one."""
        text = self._evaluator.text(node)
        return text if text is not None else self._evaluator.integer(node)

    def iterated(self, values: Values) -> Values:
        """What iterating over the values gives: for a dict its keys."""
        return union(
            (),
            *(
                self._keys(value)
                if isinstance(value, Container) and self.is_mapping(value)
                else self._elements(value)
                for value in values
            ),
        )

    def is_mapping(self, container: Container) -> bool:
        """True for a dict, and for what an annotation says is one."""
        if container.type != "annotation":
            return container.type == "dict"
        site = container.site
        name = self._evaluator.tree.qualified(site.value) if isinstance(site, cst.Subscript) else ""
        return name.rpartition(".")[2].lower() in MAPPINGS

    def _keys(self, container: Container) -> Values:
        site = container.site
        if isinstance(site, cst.Dict):
            keys = [e.key for e in site.elements if isinstance(e, cst.DictElement)]
            known = union((), *(self._evaluator.values(key) for key in keys))
            return known if len(keys) == len(site.elements) > 0 else union(known, (UNKNOWN,))
        if isinstance(site, cst.DictComp):
            return self._evaluator.values(site.key)
        if isinstance(site, cst.Subscript):
            inner = [e.slice.value for e in site.slice if isinstance(e.slice, cst.Index)]
            return self._evaluator.annotations.of(inner[0]) if inner else (UNKNOWN,)
        return (UNKNOWN,)

    def _elements(self, value: Value) -> Values:
        if isinstance(value, Container):
            if self._is_columns(value):
                return (Container(value.site, "row"),)
            key = ("elements", value)
            known = self._known.get(key)
            if known is not None:
                return known
            return self._evaluator.once(key, self._known, lambda: self._container_elements(value))
        if isinstance(value, Generator):
            if value.function is not None:
                return self._evaluator.yielded(value.function)
            if isinstance(value.site, cst.GeneratorExp):
                return self._evaluator.values(value.site.elt)
        if isinstance(value, Constant) and isinstance(value.value, str):
            return (Result("str", value.node),)
        if isinstance(value, Made) and value.kind is api.Kind.PIPE:
            return tuple(self._pipe_end(value, i) for i in (0, 1))
        if isinstance(value, Class) and self._evaluator.classes.is_enumeration(value.node):
            return (Instance(value.node, value.node),)
        if isinstance(value, Result) and value.name == "range":
            return (Computed(value.site),)
        if isinstance(value, Result) and value.name in _ITERATED:
            return (Result(_ITERATED[value.name], value.site),)
        return (UNKNOWN,)

    def _container_elements(self, container: Container) -> Values:
        groups: list[Values] = []
        site = container.site
        if container.type in _VIEWS and isinstance(site, cst.Call):
            return self._view_elements(container.type, site)
        if container.type == "item" and isinstance(site, cst.Call):
            return union(self._view_elements("keys", site), self._view_elements("values", site))
        if container.type == "row" and isinstance(site, cst.Call):
            if self._transposed(site) is not None:
                return (UNKNOWN,)
            return union((), *(self._column(site, i) for i in range(self.columns(site))))
        if container.type.startswith(COLUMN) and isinstance(site, cst.Call):
            rows = self.iterated(self._evaluator.values(self._transposed(site)))
            return self.element(rows, int(container.type.removeprefix(COLUMN)))
        for expression, nested in self.contributions(container):
            values = self._evaluator.values(expression)
            if not nested:
                groups.append(values)
            elif container.type == "dict":
                groups.append(self.elements(values))
            else:
                groups.append(self.iterated(values))
        if container.type == "annotation":
            return self._declared_elements(site)
        if isinstance(site, cst.StarredElement):
            groups.append(self._rests.get(site, (UNKNOWN,)))
        return union((), *groups)

    def _view_elements(self, view: str, call: cst.Call) -> Values:
        """What iterating over ``d.keys()``, ``d.values()`` or ``d.items()`` gives."""
        if view == "items":
            return (Container(call, "item"),)
        assert isinstance(call.func, cst.Attribute)
        values = self._evaluator.values(call.func.value)
        mappings = [v for v in values if isinstance(v, Container) and self.is_mapping(v)]
        if view == "keys":
            return union((), *(self._keys(value) for value in mappings))
        return self.elements(tuple(mappings))

    def _declared_elements(self, site: cst.CSTNode) -> Values:
        parts = self._declared_parts(site)
        if parts:
            return union((), *map(self._evaluator.annotations.of, parts))
        if isinstance(site, cst.Subscript):
            inner = [e.slice.value for e in site.slice if isinstance(e.slice, cst.Index)]
            if inner:
                return self._evaluator.annotations.of(inner[-1])
        return (UNKNOWN,)

    def _declared_element(self, container: Container, index: int) -> Values:
        """What stands at a place of ``tuple[Callable, tuple]``."""
        parts = self._declared_parts(container.site)
        if index not in range(len(parts)):
            return self._elements(container)
        return self._evaluator.annotations.of(parts[index])

    def _declared_parts(self, site: cst.CSTNode) -> list[cst.BaseExpression]:
        """The elements of ``tuple[Callable, tuple]``, one by one; of ``tuple[Callable, ...]`` one.

        None for what is no tuple.
        """
        name = self._evaluator.tree.qualified(site.value) if isinstance(site, cst.Subscript) else ""
        if not isinstance(site, cst.Subscript) or name.rpartition(".")[2].lower() != "tuple":
            return []
        inner = [e.slice.value for e in site.slice if isinstance(e.slice, cst.Index)]
        return [part for part in inner if not isinstance(part, cst.Ellipsis)]

    def contributions(self, container: Container) -> list[tuple[cst.BaseExpression, bool]]:
        """The expressions that give a container its elements; ``True``: they hold them in turn."""
        site = container.site
        found: list[tuple[cst.BaseExpression, bool]] = []
        if isinstance(site, (cst.List, cst.Tuple, cst.Set)):
            for element in site.elements:
                found.append((element.value, isinstance(element, cst.StarredElement)))
        elif isinstance(site, (cst.ListComp, cst.SetComp)):
            found.append((site.elt, False))
        elif isinstance(site, cst.DictComp):
            found.append((site.key if container.type == "keys" else site.value, False))
        elif isinstance(site, cst.Dict):
            for pair in site.elements:
                found.append((pair.value, isinstance(pair, cst.StarredDictElement)))
        elif isinstance(site, cst.Call):
            found += self._call_contributions(site)
        elif isinstance(site, cst.Param):
            found += ((arg.value, bool(arg.star)) for arg, _ in self._beside(site))
        found += self._grown().get(site, ())
        return found

    def _beside(self, param: cst.Param) -> Iterator[tuple[cst.Arg, int]]:
        """What calls give for ``*args`` (with its place there) or ``**kwargs``."""
        params = self._evaluator.tree.parent(param)
        function = self._evaluator.tree.parent(params) if params is not None else None
        if function is None or not isinstance(params, cst.Parameters):
            return
        names = positional_names(params)
        named = {*names, *(p.name.value for p in params.kwonly_params)}
        for call, skip in self._evaluator.references.calls(function):
            place = skip - len(names)
            for arg in call.args:
                if arg.keyword is not None or arg.star == "**":
                    keyword = arg.keyword.value if arg.keyword is not None else ""
                    if param.star == "**" and keyword not in named:
                        yield arg, 0
                else:
                    if param.star == "*" and (place >= 0 or arg.star):
                        yield arg, place
                    place += 1

    def _call_contributions(self, call: cst.Call) -> Iterator[tuple[cst.BaseExpression, bool]]:
        name = self._evaluator.tree.qualified(call.func)
        if name in {"map", "filter"}:
            if name == "filter" and len(call.args) > 1:
                yield call.args[1].value, True
            return
        for arg in call.args:
            if arg.star:
                continue
            if isinstance(arg.value, cst.GeneratorExp) and name in _DISPLAYING:
                yield arg.value.elt, False
                continue
            if arg.keyword is None or name == "dict" or self._makes_typed_dict(call):
                yield arg.value, name not in {"itertools.repeat"} and arg.keyword is None

    def _makes_typed_dict(self, call: cst.Call) -> bool:
        return any(isinstance(value, Class) for value in self._evaluator.values(call.func))

    def _grown(self) -> dict[cst.CSTNode, list[tuple[cst.BaseExpression, bool]]]:
        """What ``append``, ``add``, ``d[k] = v`` and the like put into which container."""
        if self._contributions is None:
            grown = self._contributions = {}
            self._growing = True
            for name in sorted(ADDING | MERGING):
                for call in self._evaluator.tree.calls_of.get(name, ()):
                    if not isinstance(call.func, cst.Attribute) or not call.args:
                        continue
                    if name in ADDING:
                        self._grow(grown, call.func.value, call.args[-1].value, False)
                    for arg in call.args if name in MERGING else ():
                        nested = arg.keyword is None
                        self._grow(grown, call.func.value, arg.value, nested)
            for assign in self._evaluator.tree.nodes(cst.Assign):
                for target in assign.targets:
                    if isinstance(target.target, cst.Subscript):
                        self._grow(grown, target.target.value, assign.value, False)
            for augmented in self._evaluator.tree.nodes(cst.AugAssign):
                if isinstance(augmented.operator, cst.AddAssign):
                    self._grow(grown, augmented.target, augmented.value, True)
            self._growing = False
        return self._contributions

    def _grow(
        self,
        grown: dict[cst.CSTNode, list[tuple[cst.BaseExpression, bool]]],
        receiver: cst.BaseExpression,
        value: cst.BaseExpression,
        nested: bool,
    ) -> None:
        for owner in self._evaluator.values(receiver):
            if isinstance(owner, Container):
                grown.setdefault(owner.site, []).append((value, nested))

    def element(self, values: Values, index: int) -> Values:
        """The element at a constant place (``STARRED``: any) of the values."""
        groups: list[Values] = []
        for value in values:
            if isinstance(value, Made) and value.kind is api.Kind.PIPE:
                groups.append((self._pipe_end(value, index),))
            elif isinstance(value, Container) and isinstance(value.site, (cst.Tuple, cst.List)):
                elements = value.site.elements
                starred = any(isinstance(e, cst.StarredElement) for e in elements)
                if not starred and -len(elements) <= index < len(elements) and index != STARRED:
                    groups.append(self._evaluator.values(elements[index].value))
                else:
                    groups.append(self._elements(value))
            elif isinstance(value, Container) and isinstance(value.site, cst.Param):
                groups += (
                    self._evaluator.values(arg.value)
                    for arg, place in self._beside(value.site)
                    if place == index or arg.star
                )
            elif isinstance(value, Container) and value.type == "item":
                assert isinstance(value.site, cst.Call)
                views = ("keys", "values") if index == STARRED else (("keys", "values")[index % 2],)
                groups += [self._view_elements(view, value.site) for view in views]
            elif isinstance(value, Container) and value.type == "annotation":
                groups.append(self._declared_element(value, index))
            elif isinstance(value, Container) and value.type == "row" and index != STARRED:
                assert isinstance(value.site, cst.Call)
                groups.append(self._column(value.site, index))
            elif index >= 0 and (transposing := self._transposing(value)) is not None:
                groups.append((Container(transposing, f"{COLUMN}{index}"),))
            else:
                groups.append(self._elements(value))
        return union((), *groups)

    def _is_columns(self, value: Container) -> bool:
        return (
            value.type == "iterator"
            and isinstance(value.site, cst.Call)
            and self._evaluator.tree.qualified(value.site.func) in _COLUMNS
        )

    def _transposing(self, value: Value) -> cst.Call | None:
        """The ``zip(*pairs)`` that an iterator is, or whose tuples a list or tuple holds."""
        if not isinstance(value, Container) or not isinstance(value.site, cst.Call):
            return None
        call: cst.BaseExpression = value.site
        if value.type in ("list", "tuple") and len(value.site.args) == 1:
            call = value.site.args[0].value
        elif value.type != "iterator":
            return None
        return call if isinstance(call, cst.Call) and self._transposed(call) is not None else None

    def _transposed(self, call: cst.Call) -> cst.BaseExpression | None:
        """``pairs`` of ``zip(*pairs)``, which gives all first elements, then all second ones."""
        if self._evaluator.tree.qualified(call.func) != "zip":
            return None
        given = [arg for arg in call.args if arg.keyword is None]
        return given[0].value if len(given) == 1 and given[0].star == "*" else None

    def columns(self, call: cst.Call) -> int:
        """How many elements the tuples have that ``zip`` and the like give, as far as shown."""
        if self._evaluator.tree.qualified(call.func) == "enumerate":
            return 2
        return sum(1 for arg in call.args if not arg.star and arg.keyword is None)

    def _column(self, call: cst.Call, index: int) -> Values:
        args = [arg.value for arg in call.args if not arg.star and arg.keyword is None]
        if self._evaluator.tree.qualified(call.func) == "enumerate":
            if index == 0:
                return (Computed(call),)
            index -= 1
        if 0 <= index < len(args):
            return self.iterated(self._evaluator.values(args[index]))
        return (UNKNOWN,)

    @staticmethod
    def _pipe_end(pipe: Made, index: int) -> Made:
        return Made(
            api.Kind.CONNECTION, pipe.site, f"end {index}", pipe.method, pipe.flavour, owner=pipe
        )

    def called(self, container: Container, name: str, call: cst.Call) -> Values:
        """What a method of a list, dict and so on gives."""
        if name == "copy":
            return (container,)
        mapping = self.is_mapping(container)
        if name in _VIEWS:
            return (Container(call, name),) if mapping else (UNKNOWN,)
        first = call.args[0].value if call.args and not call.args[0].star else None
        held = self.under((container,), first) if first is not None else self._elements(container)
        if mapping and len(call.args) > 1 and call.args[1].keyword is None:
            return union(held, self._evaluator.values(call.args[1].value))
        if name == "get":
            return union(held, (Constant(None, call),)) if mapping else (UNKNOWN,)
        return held or (UNKNOWN,)
