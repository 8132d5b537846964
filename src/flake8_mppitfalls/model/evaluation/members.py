"""Members: what the attributes of values may be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import FEW, decorator_names
from flake8_mppitfalls.model.evaluation.overwriting import Overwriting
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    BoundMethod,
    Class,
    External,
    Function,
    Instance,
    Made,
    Member,
    Result,
    ResultMember,
    Value,
    Values,
    class_of,
    union,
)
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from flake8_mppitfalls.model.evaluation.classes import Store
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.syntax.scopes import Binding

_UNSAID: Values = (UNKNOWN,)
"""For an attribute of which the class does not say anything; told apart by identity."""


class Members:
    """The part of :class:`Evaluator` that knows the attributes of objects."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._classes = evaluator.classes
        self._overwriting = Overwriting(evaluator)
        self._attributes: dict[object, Values] = {}
        self._stores: dict[tuple[cst.ClassDef, str], list[Store]] = {}
        self._reads: dict[tuple[str, frozenset[cst.ClassDef]], list[cst.Attribute]] = {}
        self._of_class: dict[str, dict[cst.ClassDef, list[int]]] = {}
        self._of_made: dict[str, dict[cst.CSTNode, list[cst.Attribute]]] = {}

    def of_made(self, site: cst.CSTNode, name: str) -> list[cst.Attribute]:
        """Where the attribute ``name`` is read of what may be made at ``site``."""
        if name not in self._of_made:
            found = self._of_made[name] = {}
            for node in self._evaluator.tree.attributes.get(name, ()):
                values = self._evaluator.values(node.value)
                for made in dict.fromkeys(v.site for v in values if isinstance(v, Made)):
                    found.setdefault(made, []).append(node)
        return self._of_made[name].get(site, [])

    def reads(self, name: str, classes: Set[cst.ClassDef]) -> list[cst.Attribute]:
        """Where ``x.name`` is read for an ``x`` whose class is one of ``classes`` or related."""
        key = (name, frozenset(classes))
        known = self._reads.get(key)
        if known is None:
            cuts = self._evaluator.cuts
            known = [
                node
                for node in self.of_classes(name, classes)
                if self._classes.store_of(node) is None and self.relatives(node.value) & classes
            ]
            if self._evaluator.cuts == cuts:
                self._reads[key] = known
        return known

    def relatives(self, receiver: cst.BaseExpression) -> set[cst.ClassDef]:
        """The classes that an expression may be an object of, their bases and their subclasses."""
        family: set[cst.ClassDef] = set()
        for value in self._evaluator.values(receiver):
            cls = class_of(value)
            if cls is not None:
                family.update(self._classes.mro(cls))
                family.update(self._classes.subclasses(cls))
        return family

    def of_classes(self, name: str, classes: Set[cst.ClassDef]) -> list[cst.Attribute]:
        """Where an attribute is one of an object of some classes, or of their relatives."""
        everywhere = self._evaluator.tree.attributes.get(name, [])
        if len(everywhere) < FEW:
            return everywhere
        known = self._of_class.get(name)
        if known is None:
            cuts = self._evaluator.cuts
            known = {}
            for place, node in enumerate(everywhere):
                values = self._evaluator.values(node.value)
                for cls in dict.fromkeys(class_of(value) for value in values):
                    if cls is not None:
                        known.setdefault(cls, []).append(place)
            if self._evaluator.cuts == cuts:
                self._of_class[name] = known
        family: dict[cst.ClassDef, None] = {}
        for cls in classes:
            family.update(dict.fromkeys((*self._classes.mro(cls), *self._classes.subclasses(cls))))
        places = {place for cls in family for place in known.get(cls, ())}
        return [everywhere[place] for place in sorted(places)]

    def of(self, value: Value, name: str, node: cst.CSTNode) -> Values:
        """The attribute ``name`` of a value; ``node`` is where it is read."""
        if isinstance(value, External):
            return (External(f"{value.name}.{name}", value.method),)
        if isinstance(value, Made):
            if value.cls is not None:
                found = self.attribute_values(value.cls, name, value, node)
                if found is not None:
                    return found
            if value.kind is api.Kind.CONTEXT and name in api.CONTEXT_MEMBERS:
                package = value.flavour or "multiprocessing"
                if package == "torch":
                    package = "torch.multiprocessing"
                return (External(f"{package}.{name}", value.method),)
            return (Member(value, name),)
        if isinstance(value, (Instance, Class)):
            cls = value.cls if isinstance(value, Instance) else value.node
            found = self.attribute_values(cls, name, value, node)
            return found if found is not None else (UNKNOWN,)
        if isinstance(value, Result):
            inherited = self._inherited(value, name) if value.name == "super" else ()
            return inherited or (ResultMember(value, name),)
        return (UNKNOWN,)

    def _inherited(self, value: Result, name: str) -> Values:
        """``super().name`` where that is a method of a base class of this module."""
        function = self._evaluator.tree.function_of(value.site).node
        cls = self._classes.of_method(function)
        if cls is None or not isinstance(function, cst.FunctionDef) or not function.params.params:
            return ()
        own = self._evaluator.parameters.own_object(function, function.params.params[0])
        method = self._classes.inherited(cls, name)
        if method is None or not isinstance(own, (Instance, Made, Class)):
            return ()
        return self._method_values(method, own)

    def attribute_values(
        self,
        cls: cst.ClassDef,
        name: str,
        receiver: Instance | Made | Class,
        at: cst.CSTNode | None = None,
    ) -> Values | None:
        """What ``receiver.name`` may be (where ``at`` reads it), or ``None``: unsaid."""
        alone = self._overwriting.alone(at)
        if alone:
            return union((), *(self._evaluator.stored(store) for store in alone))
        stores = self.stores(cls, name)
        gone = self._overwriting.gone(at) if len(stores) > 1 else []
        left = tuple(store for store in stores if store not in gone) if gone else tuple(stores)
        key = (cls, name, receiver, left)
        found = self._attributes.get(key)
        if found is None:
            ask = partial(self._attribute_values, *key)
            found = self._evaluator.once(key, self._attributes, ask)
        return None if found is _UNSAID else found

    def _attribute_values(
        self,
        cls: cst.ClassDef,
        name: str,
        receiver: Instance | Made | Class,
        stores: tuple[Store, ...],
    ) -> Values:
        groups: list[Values] = []
        field = (
            self._evaluator.records.values(receiver, name)
            if not isinstance(receiver, Class)
            else None
        )
        if field is not None:
            groups.append(field)
        for c in self._classes.mro(cls) if field is None else ():
            bindings = self._evaluator.tree.scopes[c].bindings.get(name, ())
            for binding in bindings:
                if isinstance(binding.node, cst.FunctionDef):
                    groups.append(self._method_values(binding.node, receiver))
                    groups += self._of_subclasses(cls, binding.node, receiver)
                elif isinstance(receiver, Class) and self._is_member(c, binding):
                    groups.append((Instance(c, binding.node),))
                else:
                    groups.append(self._evaluator.bound(binding))
            if bindings:
                break
        groups += [self._evaluator.stored(store) for store in stores]
        return union((), *groups) if groups else _UNSAID

    def _of_subclasses(
        self, cls: cst.ClassDef, method: cst.FunctionDef, receiver: Instance | Made | Class
    ) -> Iterator[Values]:
        """``self.step()``, where it is for the subclasses to say what a step is."""
        site = None if isinstance(receiver, Class) else receiver.site
        if isinstance(site, cst.Call) or not self._classes.is_abstract(method):
            return
        for subclass in self._classes.subclasses(cls):
            own = self._classes.own_method(subclass, method.name.value)
            if own is not None:
                is_class = isinstance(receiver, Class)
                other = Class(subclass) if is_class else self._evaluator.instance(subclass, None)
                assert isinstance(other, (Class, Instance, Made))
                yield self._method_values(own, other)

    def _is_member(self, cls: cst.ClassDef, binding: Binding) -> bool:
        """Is it a member of an ``Enum``?"""
        if binding.kind is not Bound.ASSIGN or binding.name.startswith("_"):
            return False
        return self._classes.is_enumeration(cls)

    def stores(self, cls: cst.ClassDef, name: str) -> list[Store]:
        """The assignments to the attribute ``name`` of instances of ``cls`` (or of the class)."""
        known = self._stores.get((cls, name))
        if known is not None:
            return known
        family = set(self._classes.mro(cls))
        cuts = self._evaluator.cuts
        found = [
            store
            for store in self._classes.stores_near(name, (cls,))
            if any(class_of(v) in family for v in self._evaluator.values(store.node.value))
            or self._is_own_in(store.node.value, cls)
        ]
        if self._evaluator.cuts == cuts:
            self._stores[cls, name] = found
        return found

    def _is_own_in(self, receiver: cst.BaseExpression, cls: cst.ClassDef) -> bool:
        """``self`` in a subclass of ``cls`` is an instance of ``cls`` too."""
        return any(
            isinstance(v, (Instance, Made))
            and v.cls is not None
            and cls in self._classes.mro(v.cls)
            for v in self._evaluator.values(receiver)
        )

    def _method_values(
        self, function: cst.FunctionDef, receiver: Instance | Made | Class
    ) -> Values:
        decorators = decorator_names(self._evaluator.tree, function)
        if self._classes.is_property(function):
            return self._evaluator.returned(function)
        if "staticmethod" in decorators:
            return (Function(function),)
        if isinstance(receiver, Class) and "classmethod" not in decorators:
            return (Function(function),)
        return (BoundMethod(function, receiver),)
