"""Records: dataclasses and named tuples, whose constructor stores what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.values import UNKNOWN, Class, Instance, Made, Value, Values, union
from flake8_mppitfalls.syntax.scopes import Binding, Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

DATACLASSES = frozenset(
    {"dataclasses.dataclass", "attr.s", "attr.attrs", "attr.define", "attr.dataclass"}
    | {"attrs.define", "attrs.mutable", "attrs.frozen", "attr.frozen", "attr.mutable"}
    | {"pydantic.dataclasses.dataclass"}
)
"""Decorators that give a class an ``__init__`` that stores its fields, and leave its name."""
FIELDS = frozenset({"dataclasses.field", "attr.ib", "attr.attrib", "attr.field", "attrs.field"})
_FACTORIES = frozenset({"default_factory", "factory"})


class Records:
    """Answers about the classes of one module whose constructor is made from their fields."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._fields: dict[cst.ClassDef, list[str]] = {}

    def is_record(self, cls: cst.ClassDef) -> bool:
        """True where the constructor is made from the annotated names of the class."""
        if self.is_tuple(cls):
            return True
        return any(name in DATACLASSES for name in decorator_names(self._tree, cls))

    def is_tuple(self, cls: cst.ClassDef) -> bool:
        """True for a ``NamedTuple``, whose fields can be unpacked."""
        return "typing.NamedTuple" in self._evaluator.classes.external_bases(cls)

    def fields(self, cls: cst.ClassDef) -> list[str]:
        """The fields of a record in the order of its constructor's parameters."""
        known = self._fields.get(cls)
        if known is None:
            known = self._fields[cls] = list(self._fields_of(cls)) if self.is_record(cls) else []
        return known

    def _fields_of(self, cls: cst.ClassDef) -> dict[str, None]:
        names: dict[str, None] = {}
        for c in reversed(self._evaluator.classes.mro(cls)):
            for name, bindings in self._tree.scopes[c].bindings.items():
                if bindings[0].kind in (Bound.ASSIGN, Bound.ANNOTATED):
                    if bindings[0].annotation is not None or self._is_field(bindings[0].value):
                        names[name] = None
        return names

    def _is_field(self, node: cst.CSTNode | None) -> bool:
        return isinstance(node, cst.Call) and self._tree.qualified(node.func) in FIELDS

    def binding(self, cls: cst.ClassDef, name: str) -> Binding:
        """Where a field is declared."""
        return next(
            self._tree.scopes[c].bindings[name][0]
            for c in self._evaluator.classes.mro(cls)
            if name in self._tree.scopes[c].bindings
        )

    def values(self, receiver: Instance | Made, name: str) -> Values | None:
        """What a field of a record holds when it is made; ``None`` if it is no field."""
        cls = receiver.cls
        if cls is None or name not in self.fields(cls):
            return None
        found = union((), *self.contents(receiver, name))
        if all(value is UNKNOWN for value in found):
            annotation = self.binding(cls, name).annotation
            return self._evaluator.annotations.of(annotation) if annotation else (UNKNOWN,)
        return found

    def contents(self, receiver: Instance | Made, name: str) -> Iterator[Values]:
        """What each call of the constructor, or the default, gives a field."""
        cls = receiver.cls
        if cls is None or name not in self.fields(cls):
            return
        binding = self.binding(cls, name)
        sites: Iterable[cst.Call]
        sites = [receiver.site] if isinstance(receiver.site, cst.Call) else self._calls_of(cls)
        for site in sites:
            if any(arg.star for arg in site.args):
                continue
            given = argument(site, self.fields(cls), name)
            if given is not None:
                yield self._evaluator.values(given)
            else:
                yield from self._default(binding)
        if not sites:
            yield from self._default(binding)

    def _calls_of(self, cls: cst.ClassDef) -> list[cst.Call]:
        """The calls of a class by its name."""
        calls = self._tree.calls_of.get(cls.name.value, ())
        return [call for call in calls if Class(cls) in self._evaluator.values(call.func)]

    def _default(self, binding: Binding) -> Iterator[Values]:
        value = binding.value
        if value is None:
            return
        if not self._is_field(value):
            yield self._evaluator.values(value)
            return
        assert isinstance(value, cst.Call)
        yield from self.given(value)

    def given(self, field: cst.Call) -> Iterator[Values]:
        """What ``field(default=…)`` or ``field(default_factory=…)`` gives."""
        for arg in field.args:
            if arg.keyword is None:
                continue
            if arg.keyword.value == "default":
                yield self._evaluator.values(arg.value)
            elif arg.keyword.value in _FACTORIES:
                made: list[Value] = []
                for factory in self._evaluator.values(arg.value):
                    made += self._evaluator.calls.of(factory, field)
                yield tuple(made)

    def made_by(self, factory: cst.Lambda) -> cst.Call | None:
        """The ``field(default_factory=…)`` that calls a lambda for each object."""
        arg = self._tree.parent(factory)
        call = self._tree.parent(arg) if isinstance(arg, cst.Arg) else None
        if isinstance(arg, cst.Arg) and isinstance(call, cst.Call) and arg.keyword is not None:
            if arg.keyword.value in _FACTORIES and self._is_field(call):
                return call
        return None

    def is_another(self, receiver: cst.BaseExpression, record: cst.Call) -> bool:
        """Is an object surely made by another call than ``record``?"""
        values = self._evaluator.values(receiver)
        return bool(values) and all(
            isinstance(v, Instance) and isinstance(v.site, cst.Call) and v.site is not record
            for v in values
        )

    def shared(self) -> Iterator[Made]:
        """The queues, locks and so on that a field makes anew for each object."""
        for name in ("field", "ib", "attrib"):
            for call in self._tree.calls_of.get(name, ()):
                if self._is_field(call):
                    for value in union((), *self.given(call)):
                        if isinstance(value, Made) and value.site is call:
                            if value.kind in api.SHARED_BY_INHERITANCE:
                                yield value
