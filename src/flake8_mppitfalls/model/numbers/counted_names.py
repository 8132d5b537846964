"""Counted names: which numbers names, parameters and attributes may be where they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.classes import CONSTRUCTORS
from flake8_mppitfalls.model.evaluation.frames import ANYWHERE, MOST_FRAMES, At, Frame
from flake8_mppitfalls.model.evaluation.signatures import argument, has_stars, positional_names
from flake8_mppitfalls.model.numbers import amounts, count_calls
from flake8_mppitfalls.model.numbers.amounts import UNKNOWN, Amounts, merged
from flake8_mppitfalls.model.numbers.facts import Fact, base_of, narrowed
from flake8_mppitfalls.model.values import Class, class_of
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.arrivals import Arrival, Arrivals, Definition
    from flake8_mppitfalls.model.evaluation.references import Reference
    from flake8_mppitfalls.model.execution.worlds import World
    from flake8_mppitfalls.model.numbers.counts import Counts
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value, Values
    from flake8_mppitfalls.syntax.scopes import Binding, Scope

MOST_CLASSES = 8
"""The attribute of an object of more classes than that may be any number."""


class CountedNames:
    """The part of :class:`Counts` that follows names and attributes to their assignments."""

    def __init__(
        self, counts: Counts, program: Program, world: World | None, arrivals: Arrivals
    ) -> None:
        self._counts = counts
        self._tree = program.tree
        self._evaluator = program.evaluator
        self._references = program.references
        self._conditions = program.conditions
        self._world = world
        self._arrivals = arrivals
        self._with_callers: dict[tuple[cst.FunctionDef, str, Amounts, int], Amounts] = {}
        self._outside: dict[tuple[Scope, str], list[Binding]] = {}
        self._setters: dict[str, dict[Value, set[Scope]]] = {}
        self._active: set[tuple[object, object]] = set()

    # -- names ---------------------------------------------------------------------------------

    def of_name(self, node: cst.Name, at: At) -> Amounts:
        name = node.value
        scope = self._tree.scope_of(node)
        owner = scope.owner_of(name)
        if owner is None:
            return UNKNOWN
        if owner.kind in (ScopeKind.COMPREHENSION, ScopeKind.CLASS):
            bindings = owner.bindings[name]
            return merged(*(self._defined(b, owner, name, at) for b in bindings))
        here = scope.function()
        outside = self._set_outside(owner, name)

        def from_elsewhere() -> Amounts:
            if owner is here:
                return ()
            if outside:
                # Set by functions through ``global``; the value at module level is a placeholder.
                return merged(*(self._defined(b, owner, name, ANYWHERE) for b in outside))
            values = self._at_end(owner, name)
            return self._allowed(here.node, name, values, 0)

        found = self._reaching(node, name, here, at, from_elsewhere)
        if owner is here and outside:
            found = merged(found, UNKNOWN)
        return found

    def _set_outside(self, owner: Scope, name: str) -> list[Binding]:
        """Where functions bind a name of a scope outside of them."""
        known = self._outside.get((owner, name))
        if known is None:
            known = self._outside[owner, name] = [
                b
                for b in owner.bindings[name]
                if b.kind is not Bound.PARAMETER and self._tree.function_of(b.node) is not owner
            ]
        return known

    def _reaching(
        self,
        node: cst.CSTNode,
        key: str,
        scope: Scope,
        at: At,
        from_elsewhere: Callable[[], Amounts],
    ) -> Amounts:
        """The amounts of a name or attribute that reach ``node``."""
        arrivals = self._arrivals.to(node, key, at.facts)
        if arrivals is None:
            return UNKNOWN
        return self._arrived(arrivals, key, scope, at.frame, from_elsewhere)

    def _arrived(
        self,
        arrivals: Iterable[Arrival],
        key: str,
        scope: Scope,
        frame: Frame | None,
        from_elsewhere: Callable[[], Amounts],
    ) -> Amounts:
        groups: list[Amounts] = []
        for definition, facts in arrivals:
            if definition is None:
                values = from_elsewhere()
            else:
                others = frozenset(f for f in facts if base_of(f.key) != key)
                values = self._defined(definition, scope, key, At(frame, others))
            groups.append(narrowed(values, self._bounded(facts, frame), key))
        return merged(*groups)

    def _bounded(self, facts: frozenset[Fact], frame: Frame | None) -> frozenset[Fact]:
        """The facts, with the numbers that their bounds are in a certain call."""
        if frame is None or all(fact.bound is None for fact in facts):
            return facts
        found = [fact for fact in facts if fact.bound is None]
        for fact in facts:
            if fact.bound is not None:
                values = self._counts.value(fact.bound, At(frame))
                if values and all(value.is_number for value in values):
                    found.append(Fact(fact.key, fact.relation, values))
        return frozenset(found)

    def _at_end(self, scope: Scope, key: str) -> Amounts:
        """What a name or attribute is when a scope has run."""
        arrivals = self._arrivals.to_end(scope, key)
        if arrivals is None:
            return UNKNOWN
        return self._arrived(arrivals, key, scope, None, lambda: ())

    def _allowed(self, function: cst.CSTNode, key: str, values: Amounts, depth: int) -> Amounts:
        """The amounts with which a function is called: ``if JOBS > 0: run_parallel()``."""
        if depth > MOST_FRAMES or not isinstance(function, cst.FunctionDef):
            return values
        if values == UNKNOWN or not self._references.of(function):
            return values
        asked = (function, key, values, depth)
        known = self._with_callers.get(asked)
        if known is None:
            known = self._with_callers[asked] = self._allowed_by_callers(*asked)
        return known

    def _allowed_by_callers(
        self, function: cst.FunctionDef, key: str, values: Amounts, depth: int
    ) -> Amounts:
        head = key.partition(".")[0]
        groups: list[Amounts] = []
        for reference in self._references.of(function):
            if not self._counts.may_run(reference.node):
                continue
            if "." in key and not dotted_name(reference.node).startswith(f"{head}."):
                return values
            arrivals = self._arrivals.to(reference.node, key)
            if arrivals is None or any(a.definition is not None for a in arrivals):
                return values
            around = self._tree.function_of(reference.node).node
            for _, facts in arrivals:
                left = narrowed(values, facts, key)
                groups.append(self._allowed(around, key, left, depth + 1))
        return merged(*groups)

    # -- definitions ---------------------------------------------------------------------------

    def _defined(self, definition: Definition, scope: Scope, key: str, at: At) -> Amounts:
        """What one assignment gives."""
        node, kind = definition.node, definition.kind
        if kind is Bound.PARAMETER:
            assert isinstance(node, cst.Param)
            return self._parameter(scope.node, node, at.frame)
        if self._world is not None and self._conditions.runs(node, self._world) is False:
            return ()
        if not self._counts.is_possible(node, at.frame):
            return ()
        if definition.value is None:
            return UNKNOWN
        if kind is Bound.AUGMENTED:
            return self._augmented(definition, scope, key, at)
        if kind is Bound.FOR:
            return self._iterated(definition, at)
        if kind is not Bound.ASSIGN:
            return UNKNOWN
        if not definition.path:
            return self._counts.value(definition.value, at)
        value, path = definition.value, definition.path
        if isinstance(value, (cst.Tuple, cst.List)) and 0 <= path[0] < len(value.elements):
            if len(path) == 1 and not any(
                isinstance(e, cst.StarredElement) for e in value.elements[: path[0] + 1]
            ):
                return self._counts.value(value.elements[path[0]].value, at)
        values = self._evaluator.values(value)
        for index in path:
            values = self._evaluator.containers.element(values, index)
        return self._counts.of_values(values)

    def _augmented(self, definition: Definition, scope: Scope, key: str, at: At) -> Amounts:
        statement = self._tree.statement_of(definition.node)
        if not isinstance(statement, cst.AugAssign):
            return UNKNOWN
        active = (definition.node, at.frame)
        if active in self._active:
            return UNKNOWN
        self._active.add(active)
        try:
            before = self._reaching(definition.node, key, scope, at, lambda: UNKNOWN)
        finally:
            self._active.discard(active)
        name = type(statement.operator).__name__.removesuffix("Assign")
        return amounts.operation(name, before, self._counts.value(statement.value, at))

    def _iterated(self, definition: Definition, at: At) -> Amounts:
        iterable = definition.value
        if isinstance(iterable, cst.Call) and not definition.path:
            if self._tree.qualified(iterable.func) == "range":
                return count_calls.of_range(
                    [self._counts.value(a.value, at) for a in iterable.args]
                )
        values = self._evaluator.containers.iterated(self._evaluator.values(iterable))
        for index in definition.path:
            values = self._evaluator.containers.element(values, index)
        return self._counts.of_values(values)

    # -- parameters ----------------------------------------------------------------------------

    def _parameter(self, function: cst.CSTNode, param: cst.Param, frame: Frame | None) -> Amounts:
        if isinstance(param.star, str) and param.star:
            return UNKNOWN
        if frame is not None and frame.function is function:
            return self._argument(function, param, frame)
        groups: list[Amounts] = []
        calls = 0
        for reference in self._references.of(function):
            if self._world is not None and not self._counts.may_run(reference.node):
                continue
            given = list(self._references.given_by(reference, function, param))
            for one in given:
                if one.path:
                    groups.append(self._counts.of_values(self._evaluator.given(one)))
                else:
                    groups.append(self._counts.value(one.expression, ANYWHERE))
            if given:
                calls += 1
            elif self._leaves_out(reference):
                groups.append(self._default(function, param))
                calls += 1
        if not calls:
            groups.append(self._default(function, param))
        return merged(*groups, UNKNOWN)

    def _leaves_out(self, reference: Reference) -> bool:
        """True for a call without stars: a parameter that it does not give has its default."""
        call = self._tree.parent(reference.node)
        if isinstance(call, cst.Arg):
            call = self._tree.parent(call)
            return isinstance(call, cst.Call) and not has_stars(call)
        return isinstance(call, cst.Call) and call.func is reference.node and not has_stars(call)

    def _argument(self, function: cst.CSTNode, param: cst.Param, frame: Frame) -> Amounts:
        assert isinstance(function, (cst.FunctionDef, cst.Lambda))
        names = positional_names(function.params)
        given = argument(frame.call, names, param.name.value, skip=frame.skip)
        if given is not None:
            return self._counts.value(given, At(frame.outer))
        if has_stars(frame.call):
            return UNKNOWN
        return self._default(function, param)

    def _default(self, function: cst.CSTNode, param: cst.Param) -> Amounts:
        if param.default is not None:
            return self._counts.value(param.default, ANYWHERE)
        return count_calls.of_option(self._counts, self._tree, function, param.name.value)

    # -- attributes ----------------------------------------------------------------------------

    def of_attribute(self, node: cst.Attribute, at: At) -> Amounts:
        receivers = self._evaluator.values(node.value)
        classes = {cls: None for v in receivers if (cls := class_of(v)) is not None}
        key = dotted_name(node)
        here = self._tree.function_of(node)
        if not classes:

            def from_outside() -> Amounts:
                if self._is_set_outside(here, node.attr.value, receivers):
                    return UNKNOWN
                return self._counts.of_values(self._evaluator.values(node))

            if key and self._evaluator.classes.stores_in(here, node.attr.value):
                return self._reaching(node, key, here, at, from_outside)
            found = from_outside()
            return self._counts.narrowed_at(node, found, at) if key else found
        if len(classes) > MOST_CLASSES:
            return UNKNOWN

        def from_elsewhere() -> Amounts:
            name = node.attr.value
            values = merged(*(self._in_class(cls, name) for cls in classes))
            return self._allowed(here.node, key, values, 0)

        if not key:
            return from_elsewhere()
        return self._reaching(node, key, here, at, from_elsewhere)

    def _is_set_outside(self, here: Scope, name: str, objects: Values) -> bool:
        """Does another function set this attribute: ``if args.jobs < 1: args.jobs = 4``?"""
        setters = self._setters.get(name)
        if setters is None:
            setters = self._setters[name] = {}
            for store in self._evaluator.classes.stores(name):
                for value in self._evaluator.values(store.node.value):
                    setters.setdefault(value, set()).add(self._tree.function_of(store.node))
        found = (setters.get(value, ()) for value in objects)
        return any(len(scopes) > (here in scopes) for scopes in found)

    def _in_class(self, cls: cst.ClassDef, name: str) -> Amounts:
        """What an attribute is when another method has run."""
        scopes: dict[tuple[Scope, str], None] = {}
        for store in self._evaluator.members.stores(cls, name):
            scopes[self._tree.function_of(store.node), dotted_name(store.node)] = None
        later = [pair for pair in scopes if not self._is_creation(pair[0])]
        groups = [self._at_end(scope, key) for scope, key in (later or scopes)]
        if groups:
            return merged(*groups)
        for owner in self._evaluator.classes.mro(cls):
            bindings = self._tree.scopes[owner].bindings.get(name, ())
            if bindings:
                values = [self._of_class(owner, cls, binding) for binding in bindings]
                return merged(*values)
        return UNKNOWN

    def _is_creation(self, scope: Scope) -> bool:
        return isinstance(scope.node, cst.FunctionDef) and scope.node.name.value in CONSTRUCTORS

    def _of_class(self, owner: cst.ClassDef, cls: cst.ClassDef, binding: Binding) -> Amounts:
        if isinstance(binding.node, cst.FunctionDef):
            is_property = self._evaluator.classes.is_property(binding.node)
            return self._counts.returned(binding.node, None) if is_property else UNKNOWN
        default = UNKNOWN
        if binding.value is not None:
            default = self._defined(binding, binding.scope, binding.name, ANYWHERE)
        if binding.annotation is None or not (owner.decorators or cls.bases):
            return default
        return self._of_field(cls, binding, default)

    def _of_field(self, cls: cst.ClassDef, binding: Binding, default: Amounts) -> Amounts:
        """A field of a dataclass or ``NamedTuple``: what its constructor is given."""
        fields = [
            b.name
            for owner in reversed(self._evaluator.classes.mro(cls))
            for bindings in self._tree.scopes[owner].bindings.values()
            for b in bindings[:1]
            if b.annotation is not None
        ]
        groups: list[Amounts] = []
        for call in self._tree.calls_of.get(cls.name.value, ()):
            if Class(cls) not in self._evaluator.values(call.func):
                continue
            given = argument(call, fields, binding.name)
            if given is not None:
                groups.append(self._counts.value(given, ANYWHERE))
            else:
                groups.append(UNKNOWN if has_stars(call) else default)
        return merged(*groups) if groups else default
