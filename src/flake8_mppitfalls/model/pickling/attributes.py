"""Attributes: what an object holds when it is handed over.

``Attributes.held(owner, name, receiver, at)`` says which assignments to ``receiver.name`` may be in
force at a place: those of the function itself that reach it, those of the methods that it calls on
the object before, and, behind them, what the constructor leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import CONSTRUCTORS, decorator_names
from flake8_mppitfalls.model.evaluation.signatures import argument, positional_names
from flake8_mppitfalls.model.values import Class, Instance, Made
from flake8_mppitfalls.syntax.scopes import Binding, Bound, Scope

if TYPE_CHECKING:
    from typing import TypeAlias

    from flake8_mppitfalls.model.evaluation.classes import Store
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.evaluation.references import References
    from flake8_mppitfalls.model.values import Values
    from flake8_mppitfalls.syntax.tree import Tree

    Owner: TypeAlias = Instance | Made

DEEPEST = 3
"""How many calls back the state of an object is looked for."""


class Content(NamedTuple):
    """Something that an attribute may hold: what it is, and where it was put there."""

    values: Values
    node: cst.CSTNode


class _Entry(NamedTuple):
    """What held when the function was entered."""


_ENTRY = _Entry()


class _Event(NamedTuple):
    """A place that changes the attribute: contents, and whether it may leave it as it was.

    ``outside``: it does so for places outside of this block alone.
    """

    node: cst.CSTNode
    contents: tuple[Content, ...]
    passes: bool
    outside: cst.CSTNode | None = None


class Attributes:
    """Answers about the attributes of the objects of one module's classes."""

    def __init__(self, evaluator: Evaluator, references: References) -> None:
        self._evaluator = evaluator
        self._references = references
        self._tree: Tree = evaluator.tree
        self._own: dict[cst.FunctionDef, dict[str, list[Store]]] | None = None
        self._outside: dict[cst.ClassDef, dict[str, list[Store]]] = {}
        self._names: dict[cst.ClassDef, list[str]] = {}
        self._tests: dict[str, dict[Scope, list[tuple[cst.Attribute, cst.If, bool]]]] = {}
        self._setters_of: dict[tuple[cst.ClassDef, str], list[cst.FunctionDef]] = {}

    # -- names ---------------------------------------------------------------------------------

    def names(self, cls: cst.ClassDef) -> list[str]:
        """The attributes that the code of this module gives to instances of ``cls``."""
        known = self._names.get(cls)
        if known is None:
            own = self._stores()
            found: dict[str, None] = dict.fromkeys(self._evaluator.records.fields(cls))
            for method in self._evaluator.classes.methods(cls):
                found.update(dict.fromkeys(own.get(method, ())))
            found.update(dict.fromkeys(self._outside.get(cls, ())))
            known = self._names[cls] = list(found)
        return known

    def anywhere(self, owner: Owner, name: str) -> Iterator[Content]:
        """All that is ever assigned to the attribute, wherever."""
        cls = owner.cls
        if cls is None:
            return
        own, order = self._stores(), self._evaluator.classes.methods(cls)
        setters = order.keys() & self._setting.get(name, {}).keys()
        for method in sorted(setters, key=order.__getitem__):
            for store in own.get(method, {}).get(name, ()):
                yield self._content(store, owner)
        for store in self._outside.get(cls, {}).get(name, ()):
            yield self._content(store, owner)
        yield from self._field_contents(owner, name)

    def _stores(self) -> dict[cst.FunctionDef, dict[str, list[Store]]]:
        """The assignments to ``self.x``, by method and name; fills those from outside, too."""
        if self._own is None:
            own = self._own = {}
            classes = self._evaluator.classes
            for name in self._tree.attributes:
                for store in classes.stores(name):
                    method = self._method_of_self(store.node.value)
                    if method is not None:
                        own.setdefault(method, {}).setdefault(name, []).append(store)
                    elif isinstance(store.node.value, cst.Name):
                        for cls in self._classes_of(store.node.value):
                            named = self._outside.setdefault(cls, {})
                            named.setdefault(name, []).append(store)
        return self._own

    def _classes_of(self, node: cst.Name) -> set[cst.ClassDef]:
        values = self._evaluator.values(node)
        return {v.cls for v in values if isinstance(v, (Instance, Made)) and v.cls is not None}

    def _method_of_self(self, node: cst.BaseExpression) -> cst.FunctionDef | None:
        """The method whose first parameter the name is."""
        if not isinstance(node, cst.Name):
            return None
        function = self._tree.function_of(node).node
        if isinstance(function, cst.FunctionDef) and self._self_name(function) == node.value:
            return function
        return None

    def _self_name(self, function: cst.FunctionDef) -> str:
        """What a method calls its object; empty for functions and static methods."""
        if self._evaluator.classes.of_method(function) is None:
            return ""
        names = positional_names(function.params)
        if not names or {"staticmethod", "classmethod"} & set(
            decorator_names(self._tree, function)
        ):
            return ""
        return names[0]

    # -- contents ------------------------------------------------------------------------------

    def held(
        self, owner: Owner, name: str, receiver: cst.BaseExpression | None, at: cst.CSTNode
    ) -> list[Content]:
        """What ``receiver.name`` may be when ``at`` is reached.

        ``receiver`` is the expression that stands for ``owner`` there, if there is a simple one.
        """
        key = self._key(owner, receiver, at)
        used = self._used(owner, name, key, at)
        return used or list(dict.fromkeys(self._state(owner, name, key, at, 0)))

    def _used(self, owner: Owner, name: str, key: str, at: cst.CSTNode) -> list[Content]:
        """For ``self.pool.map(…)``: what it is called on is there, whoever made it."""
        func = at.func if isinstance(at, cst.Call) else None
        holder = func.value if isinstance(func, cst.Attribute) else None
        if not isinstance(holder, cst.Attribute) or holder.attr.value != name:
            return []
        if not isinstance(holder.value, cst.Name) or holder.value.value != key:
            return []
        values = {
            value
            for value in self._evaluator.values(holder)
            if isinstance(value, Made) and value.kind not in api.THREAD_KINDS
        }
        contents = self.anywhere(owner, name)
        return [content for content in contents if not values.isdisjoint(content.values)]

    def is_added_before(
        self, content: Content, addition: cst.CSTNode, at: cst.CSTNode | None
    ) -> bool:
        """Is ``addition`` put into the container that the attribute holds when ``at`` comes?

        Shown to be so are what the function adds that sets the attribute, and what is added in
        the function of ``at`` on a way to it.
        """
        if at is None:
            return True
        scope = self._tree.function_of(addition)
        if scope is self._tree.function_of(at):
            mark = Binding("", Bound.OTHER, addition, scope)
            return bool(self._evaluator.names.flow(scope).reaching(at, [mark]))
        return scope is self._tree.function_of(content.node)

    def _key(self, owner: Owner, receiver: cst.BaseExpression | None, at: cst.CSTNode) -> str:
        """The name that the object has around ``at``; empty where it has none."""
        if isinstance(receiver, cst.Name):
            return receiver.value
        if owner.site is None or isinstance(owner.site, cst.ClassDef):
            for scope in self._scopes(at):
                if isinstance(scope.node, cst.FunctionDef):
                    name = self._self_name(scope.node)
                    if name:
                        return name
        return ""

    def _scopes(self, at: cst.CSTNode) -> Iterator[Scope]:
        scope: Scope | None = self._tree.function_of(at)
        while scope is not None:
            yield scope
            scope = scope.parent

    def _state(
        self, owner: Owner, name: str, key: str, at: cst.CSTNode, depth: int
    ) -> Iterator[Content]:
        if not key or depth > DEEPEST:
            yield from self._made(owner, name, depth)
            return
        scope = self._tree.function_of(at)
        place: cst.CSTNode | None = at
        while key not in scope.bindings and scope.is_function and scope.parent is not None:
            place, scope = None, scope.parent.function()  # a closure over the object
        events = list(self._events(owner, name, key, scope, depth))
        for content in self._reaching(scope, events, place):
            if isinstance(content, Content):
                yield content
            else:
                yield from self._at_entry(owner, name, key, scope, depth)

    def _at_entry(
        self, owner: Owner, name: str, key: str, scope: Scope, depth: int
    ) -> Iterator[Content]:
        function = scope.node
        if not isinstance(function, cst.FunctionDef) or self._self_name(function) != key:
            yield from self._made(owner, name, depth)
            return
        if function.name.value in CONSTRUCTORS:
            yield from self._field_contents(owner, name)
            return
        calls = self._references.calls(function) if depth < DEEPEST else []
        for site in calls:
            receiver = site.call.func.value if isinstance(site.call.func, cst.Attribute) else None
            for value in self._evaluator.values(receiver):
                if isinstance(value, (Instance, Made)) and value.cls is not None:
                    if not self._related(value.cls, owner.cls):
                        continue
                    inner = owner if value.site is None else value
                    yield from self._state(
                        inner, name, self._key(inner, receiver, site.call), site.call, depth + 1
                    )
        if not calls:
            yield from self._made(owner, name, depth)

    def _related(self, cls: cst.ClassDef, other: cst.ClassDef | None) -> bool:
        mro = self._evaluator.classes.mro
        return other is not None and (other in mro(cls) or cls in mro(other))

    def _made(self, owner: Owner, name: str, depth: int) -> Iterator[Content]:
        """What the constructor leaves in the attribute."""
        assert owner.cls is not None
        classes = self._evaluator.classes
        for method_name in ("__init__", "__post_init__"):
            method = classes.method(owner.cls, method_name)
            if method is not None and depth <= DEEPEST:
                for content in self._at_exit(owner, name, method, depth + 1):
                    if isinstance(content, Content):
                        yield content
                    elif method_name == "__post_init__":
                        yield from self._field_contents(owner, name)
                if method_name == "__init__":
                    return
                return
        yield from self._field_contents(owner, name)

    # -- the flow of one function ----------------------------------------------------------------

    def _at_exit(
        self, owner: Owner, name: str, method: cst.FunctionDef, depth: int
    ) -> list[Content | _Entry]:
        scope = self._tree.scopes[method]
        events = list(self._events(owner, name, self._self_name(method), scope, depth))
        return self._reaching(scope, events, None)

    def _reaching(
        self, scope: Scope, events: list[_Event], at: cst.CSTNode | None
    ) -> list[Content | _Entry]:
        """The contents that reach ``at`` (``None``: the end), and whether the entry does."""
        events = [e for e in events if e.outside is None or not self._is_in(at, e.outside)]
        if not events:
            return [_ENTRY]
        flow = self._evaluator.names.flow(scope)
        entry = Binding("", Bound.PARAMETER, scope.node, scope)
        marks = {Binding("", Bound.OTHER, event.node, scope): event for event in events}
        killing = [entry, *(mark for mark, event in marks.items() if not event.passes)]

        def reached(bindings: list[Binding]) -> list[Binding]:
            if at is None:
                return flow.reaching_exit(bindings, raised=False)
            return flow.reaching(at, bindings)

        found: list[Content | _Entry] = []
        arriving = reached(killing)
        for mark, event in marks.items():
            if mark in (reached([mark, *killing]) if event.passes else arriving):
                found += event.contents
        if entry in arriving:
            found.append(_ENTRY)
        return found

    def _events(
        self, owner: Owner, name: str, key: str, scope: Scope, depth: int
    ) -> Iterator[_Event]:
        """What changes ``key.name`` in the statements of ``scope``, and where it is not there."""
        found = list(self._changing(owner, name, key, scope, depth))
        yield from found
        yield from self._absent(name, key, scope, [e.node for e in found if not e.passes])

    def _changing(
        self, owner: Owner, name: str, key: str, scope: Scope, depth: int
    ) -> Iterator[_Event]:
        for store in self._evaluator.classes.stores_in(scope, name):
            if self._is_object(store.node.value, key, scope):
                yield _Event(store.node, (self._content(store, owner),), False)
        for deletion in self._tree.nodes(cst.Del):
            for target in _targets(deletion.target):
                if (
                    isinstance(target, cst.Attribute)
                    and target.attr.value == name
                    and self._is_object(target.value, key, scope)
                ):
                    yield _Event(deletion, (), False)
        if depth <= DEEPEST and owner.cls is not None:
            yield from self._call_events(owner, owner.cls, name, key, scope, depth)

    def _absent(
        self, name: str, key: str, scope: Scope, changed: list[cst.CSTNode]
    ) -> Iterator[_Event]:
        """Where a test has shown that ``key.name`` is ``None``: nothing goes on from there.

        After ``if self.log: self.log = None`` there is none either way.
        """
        for node, branch, holds in self._asked(name).get(scope, ()):
            if not self._is_object(node.value, key, scope):
                continue
            other = branch.orelse.body if isinstance(branch.orelse, cst.Else) else None
            present, absent = (branch.body, other) if holds else (other, branch.body)
            if absent is not None:
                if not any(self._is_in(change, absent) for change in changed):
                    yield _Event(_first_statement(absent), (), False)
            elif present is not None and branch.orelse is None:
                if any(self._is_sure_in(change, present) for change in changed):
                    yield _Event(branch.test, (), False, present)

    def _asked(self, name: str) -> dict[Scope, list[tuple[cst.Attribute, cst.If, bool]]]:
        """The ``if`` statements that ask for an attribute, and whether that is to be there."""
        known = self._tests.get(name)
        if known is None:
            known = self._tests[name] = {}
            for node in self._tree.attributes.get(name, ()):
                test, holds = self._tested(node)
                branch = self._tree.parent(test)
                if isinstance(branch, cst.If) and branch.test is test:
                    scope = self._tree.function_of(node)
                    known.setdefault(scope, []).append((node, branch, holds))
        return known

    def _tested(self, node: cst.Attribute) -> tuple[cst.CSTNode, bool]:
        """The test that asks whether an attribute is ``None``, and whether it says that it is not.

        ``self.log``, ``not self.log``, ``self.log is None``, ``self.log is not None``.
        """
        test: cst.CSTNode = node
        parent = self._tree.parent(node)
        holds = True
        if isinstance(parent, cst.Comparison) and len(parent.comparisons) == 1:
            target = parent.comparisons[0]
            nothing = isinstance(target.comparator, cst.Name) and target.comparator.value == "None"
            if nothing and isinstance(target.operator, (cst.Is, cst.Equal)):
                test, holds = parent, False
            elif nothing and isinstance(target.operator, (cst.IsNot, cst.NotEqual)):
                test = parent
        parent = self._tree.parent(test)
        if isinstance(parent, cst.UnaryOperation) and isinstance(parent.operator, cst.Not):
            test, holds = parent, not holds
        return test, holds

    def _is_in(self, node: cst.CSTNode | None, block: cst.CSTNode) -> bool:
        return node is not None and self._tree.is_within(node, block)

    def _is_sure_in(self, node: cst.CSTNode, block: cst.CSTNode) -> bool:
        """Does a block always come to ``node``, as far as no error keeps it from that?"""
        if not self._is_in(node, block):
            return False
        for parent in self._tree.ancestors(node):
            if parent is block:
                break
            if isinstance(parent, (cst.If, cst.For, cst.While, cst.Match, cst.ExceptHandler)):
                return False
        return True

    def _is_object(self, node: cst.BaseExpression, key: str, scope: Scope) -> bool:
        return (
            isinstance(node, cst.Name)
            and node.value == key
            and self._tree.function_of(node) is scope
        )

    def _call_events(
        self, owner: Owner, cls: cst.ClassDef, name: str, key: str, scope: Scope, depth: int
    ) -> Iterator[_Event]:
        """Calls of the object's own methods, and of those of its bases, that set it."""
        for method in self._setters(cls, name):
            for call in self._tree.calls_in(scope, method.name.value):
                func = call.func
                if not isinstance(func, cst.Attribute) or method is scope.node:
                    continue
                own = self._is_object(func.value, key, scope)
                if own and self._evaluator.classes.method(cls, method.name.value) is not method:
                    continue
                if own or self._is_base_call(cls, call, method, key, scope):
                    yield self._called(call, owner, name, method, depth)
            if method.name.value == "__enter__":
                for item in self._tree.nodes(cst.WithItem):
                    if self._is_object(item.item, key, scope):
                        yield self._called(item.item, owner, name, method, depth)

    def _called(
        self, node: cst.CSTNode, owner: Owner, name: str, method: cst.FunctionDef, depth: int
    ) -> _Event:
        """What a call of a method of the object leaves in the attribute."""
        state = self._at_exit(owner, name, method, depth + 1)
        contents = tuple(c for c in state if isinstance(c, Content))
        return _Event(node, contents, any(isinstance(c, _Entry) for c in state))

    def _is_base_call(
        self,
        owner: cst.ClassDef,
        call: cst.Call,
        method: cst.FunctionDef,
        key: str,
        scope: Scope,
    ) -> bool:
        """``super().m(…)`` or ``Base.m(self, …)`` in a method of a derived class."""
        classes, func = self._evaluator.classes, call.func
        cls, base = classes.of_method(scope.node), classes.of_method(method)
        if cls is None or base is None or base is cls or not isinstance(func, cst.Attribute):
            return False
        if isinstance(func.value, cst.Call):
            if self._tree.qualified(func.value.func) != "super":
                return False
            return (
                not classes.is_in_line(owner) or classes.inherited(cls, method.name.value) is method
            )
        if any(isinstance(v, Class) and v.node is base for v in self._evaluator.values(func.value)):
            first = call.args[0].value if call.args else None
            return first is not None and self._is_object(first, key, scope)
        return False

    def _setters(self, cls: cst.ClassDef, name: str) -> list[cst.FunctionDef]:
        """The methods of the class that set the attribute, or call one that does."""
        known = self._setters_of.get((cls, name))
        if known is None:
            order = self._evaluator.classes.methods(cls)
            found = order.keys() & self._setting.get(name, {}).keys()
            for _ in range(DEEPEST):
                names = {m.name.value for m in found}
                calling = (order.keys() & self._calling.get(n, {}).keys() for n in names)
                more = set[cst.FunctionDef]().union(*calling) - found
                if not more:
                    break
                found |= more
            known = self._setters_of[cls, name] = sorted(found, key=order.__getitem__)
        return known

    @cached_property
    def _setting(self) -> dict[str, dict[cst.FunctionDef, None]]:
        """The methods that set or delete an attribute of their object, by its name."""
        found: dict[str, dict[cst.FunctionDef, None]] = {}
        for method, names in self._stores().items():
            for name in names:
                found.setdefault(name, {})[method] = None
        for deletion in self._tree.nodes(cst.Del):
            for target in _targets(deletion.target):
                if isinstance(target, cst.Attribute):
                    owner = self._method_of_self(target.value)
                    if owner is not None:
                        found.setdefault(target.attr.value, {})[owner] = None
        return found

    @cached_property
    def _calling(self) -> dict[str, dict[cst.FunctionDef, None]]:
        """The functions that call a method, by its name."""
        found: dict[str, dict[cst.FunctionDef, None]] = {}
        for name, calls in self._tree.calls_of.items():
            for call in calls:
                function = self._tree.function_of(call).node
                if isinstance(call.func, cst.Attribute) and isinstance(function, cst.FunctionDef):
                    found.setdefault(name, {})[function] = None
        return found

    # -- values --------------------------------------------------------------------------------

    def _content(self, store: Store, owner: Owner) -> Content:
        given = self._given(store, owner)
        return Content(given if given is not None else self._evaluator.stored(store), store.node)

    def _given(self, store: Store, owner: Owner) -> Values | None:
        """For ``self.x = x`` in ``__init__``: what the call that makes the object gives for x."""
        value, site = store.value, owner.site
        if not isinstance(value, cst.Name) or not isinstance(site, cst.Call) or store.path:
            return None
        if store.kind is not Bound.ASSIGN or owner.cls is None:
            return None
        function = self._tree.function_of(value).node
        if function is not self._evaluator.classes.method(owner.cls, "__init__"):
            return None
        assert isinstance(function, cst.FunctionDef)
        bindings = self._evaluator.names.bindings(value)
        if len(bindings) != 1 or not isinstance(bindings[0].node, cst.Param):
            return None
        param = bindings[0].node
        if any(arg.star for arg in site.args) or param.star in ("*", "**"):
            return None
        names = positional_names(function.params)
        given = argument(site, names, param.name.value, skip=1)
        if given is None:
            given = param.default
        return self._evaluator.values(given) if given is not None else None

    # -- dataclasses ---------------------------------------------------------------------------

    def _field_contents(self, owner: Owner, name: str) -> Iterator[Content]:
        records = self._evaluator.records
        for values in records.contents(owner, name):
            assert owner.cls is not None
            yield Content(values, records.binding(owner.cls, name).node)


def _targets(target: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    if isinstance(target, (cst.Tuple, cst.List)):
        for element in target.elements:
            yield from _targets(element.value)
    else:
        yield target


def _first_statement(suite: cst.BaseSuite) -> cst.CSTNode:
    first: cst.CSTNode = suite.body[0]
    return first.body[0] if isinstance(first, cst.SimpleStatementLine) else first
