"""Counts: which numbers an expression may be.

An interval evaluation on demand, along the paths of the program: a name has the amounts that its
assignments give it, where they reach the place, narrowed by the tests that are passed on the way
(``if workers < 1: workers = 1``). Calls of functions of this module are evaluated with the
arguments of that call. What is bound, returned or passed on other platforms only does not count
where the question is about one platform.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import amounts, count_calls
from flake8_mppitfalls.model.amounts import UNKNOWN, Amounts, merged
from flake8_mppitfalls.model.arrivals import NO_FACTS, Arrivals
from flake8_mppitfalls.model.facts import Fact, base_of, key_of, narrowed
from flake8_mppitfalls.model.signatures import argument, has_stars, positional_names
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Computed,
    Constant,
    Container,
    Coroutine,
    External,
    Function,
    Instance,
    Lambda,
    Made,
    Result,
    ResultMember,
)
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.arrivals import Arrival, Definition
    from flake8_mppitfalls.model.conditions import World
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.references import Reference
    from flake8_mppitfalls.model.values import Value, Values
    from flake8_mppitfalls.syntax.scopes import Binding, Scope

DEEPEST = 40
"""How many expressions deep an evaluation goes before nothing is known."""
MOST_FRAMES = 4
MOST_STEPS = 20_000
_CREATION = frozenset({"__init__", "__new__", "__post_init__"})
_PROPERTIES = frozenset({"property", "functools.cached_property", "cached_property"})


class Frame(NamedTuple):
    """The call for which a function of this module is evaluated."""

    function: cst.CSTNode
    call: cst.Call
    skip: int
    outer: Frame | None

    @property
    def depth(self) -> int:
        """How many calls there are around it."""
        return 1 + (self.outer.depth if self.outer is not None else 0)


class At(NamedTuple):
    """Under which call, and with which facts at hand, an expression is evaluated."""

    frame: Frame | None = None
    facts: frozenset[Fact] = NO_FACTS


ANYWHERE = At()


class Counts:
    """Answers which numbers the expressions of one module may be.

    Args:
        program: the model of the file.
        world: the platform that is asked about; ``None`` for any.
    """

    def __init__(self, program: Program, world: World | None = None) -> None:
        self._tree = program.tree
        self._evaluator = program.evaluator
        self._references = program.references
        self._conditions = program.conditions
        self._world = world
        self._arrivals = Arrivals(program, world, self.of)
        self._known: dict[tuple[cst.CSTNode, At], Amounts] = {}
        self._active: set[tuple[object, object]] = set()
        self._depth = 0
        self._cut = 0
        self._steps = 0

    # -- questions -----------------------------------------------------------------------------

    def of(self, node: cst.CSTNode) -> Amounts:
        """What an expression may be where it stands; empty where no path leads there."""
        return self.value(node, ANYWHERE)

    def may_run(self, node: cst.CSTNode, depth: int = 0) -> bool:
        """False if ``node`` is not reached on the platform that is asked about.

        Its function may be called on other platforms only.
        """
        if self._world is None:
            return True
        if self._conditions.runs(node, self._world) is False:
            return False
        function = self._tree.function_of(node).node
        if depth > MOST_FRAMES or not isinstance(function, cst.FunctionDef):
            return True
        references = self._references.of(function)
        return not references or any(self.may_run(r.node, depth + 1) for r in references)

    def is_possible(self, node: cst.CSTNode, frame: Frame | None = None) -> bool:
        """False if the tests around ``node`` never come out so that it is reached."""
        return all(
            self._may_come_out(test, truth, frame) for test, truth in self._conditions.holding(node)
        )

    def values(self, node: cst.CSTNode) -> Values:
        """What kind of thing an expression may be."""
        return self._evaluator.values(node)

    def text(self, node: cst.CSTNode) -> str:
        """The source text of an expression."""
        return self._tree.module.code_for_node(node)

    def size(self, container: Container) -> int | None:
        """How many elements a display has that is never changed; else ``None``."""
        site = container.site
        if not isinstance(site, (cst.List, cst.Tuple, cst.Set, cst.Dict)):
            return None
        if any(isinstance(e, (cst.StarredElement, cst.StarredDictElement)) for e in site.elements):
            return None
        size = len(site.elements)
        grown = len(self._evaluator.containers.contributions(container)) > size
        return None if grown or (size == 0 and not isinstance(site, cst.Tuple)) else size

    # -- expressions ---------------------------------------------------------------------------

    def value(self, node: cst.CSTNode, at: At) -> Amounts:
        """What an expression may be under a certain call."""
        literal = _LITERALS.get(type(node))
        if literal is not None:
            return (amounts.of_constant(node.evaluated_value),)  # type: ignore[attr-defined]
        known = self._known.get((node, at))
        if known is not None:
            return known
        key = (node, at.frame)
        self._steps += 1
        if key in self._active or self._depth >= DEEPEST or self._steps > MOST_STEPS:
            self._cut += 1
            return UNKNOWN
        self._active.add(key)
        self._depth += 1
        cuts = self._cut
        try:
            answer = self._evaluate(node, at)
        finally:
            self._depth -= 1
            self._active.discard(key)
        if self._cut == cuts or self._depth == 0 or self._steps > MOST_STEPS:
            self._known[node, at] = answer
        return answer

    def _evaluate(self, node: cst.CSTNode, at: At) -> Amounts:
        method = _EXPRESSIONS.get(type(node))
        return method(self, node, at) if method is not None else UNKNOWN

    def _unary(self, node: cst.UnaryOperation, at: At) -> Amounts:
        inner = self.value(node.expression, at)
        if isinstance(node.operator, cst.Minus):
            return amounts.negated(inner)
        return inner if isinstance(node.operator, cst.Plus) else UNKNOWN

    def _binary(self, node: cst.BinaryOperation, at: At) -> Amounts:
        left, right = self.value(node.left, at), self.value(node.right, at)
        return amounts.operation(type(node.operator).__name__, left, right)

    def _boolean(self, node: cst.BooleanOperation, at: At) -> Amounts:
        left, right = self.value(node.left, at), self.value(node.right, at)
        test = amounts.if_true if isinstance(node.operator, cst.Or) else amounts.if_false
        other = amounts.if_false if isinstance(node.operator, cst.Or) else amounts.if_true
        taken = tuple(a for amount in left if (a := test(amount)) is not None)
        goes_on = any(other(amount) is not None for amount in left)
        return merged(taken, right) if goes_on else taken

    def _conditional(self, node: cst.IfExp, at: At) -> Amounts:
        groups = []
        for branch, truth in ((node.body, True), (node.orelse, False)):
            if self._comes_out(node.test) is not (not truth):
                if self._may_come_out(node.test, truth, at.frame):
                    groups.append(self.value(branch, at))
        return merged(*groups)

    def _comes_out(self, test: cst.CSTNode) -> bool | None:
        """How a test comes out on the platform that is asked about."""
        return None if self._world is None else self._conditions.truth(test, self._world)

    def _may_come_out(self, test: cst.CSTNode, truth: bool, frame: Frame | None) -> bool:
        for fact, node in self._arrivals.said(test, truth):
            values = self.value(node, At(frame))
            if values and not narrowed(values, frozenset({fact}), fact.key):
                return False
        return True

    def _subscript(self, node: cst.Subscript, at: At) -> Amounts:
        if len(node.slice) != 1 or not isinstance(node.slice[0].slice, cst.Index):
            return UNKNOWN
        name = self._tree.qualified(node.value)
        if name in count_calls.TEXTS:
            return (amounts.SOME_TEXT,)
        index = node.slice[0].slice.value
        found = self.looked_up(node.value, index, at)
        return found or self.of_values(self._evaluator.values(node))

    def looked_up(
        self, mapping: cst.BaseExpression, index: cst.BaseExpression, at: At
    ) -> Amounts | None:
        """What a dict of this module holds under a constant key, if that can be told."""
        key = self._evaluator.text(index)
        if key is None:
            return None
        groups: list[Amounts] = []
        for value in self._evaluator.values(mapping):
            if not isinstance(value, Container) or not isinstance(value.site, cst.Dict):
                return None
            groups += [
                self.value(pair.value, ANYWHERE)
                for pair in value.site.elements
                if isinstance(pair, cst.DictElement) and self._evaluator.text(pair.key) == key
            ]
            groups += [self.value(stored, ANYWHERE) for stored in self._stored_under(value, key)]
        return merged(*groups) if groups else None

    def _stored_under(self, container: Container, key: str) -> list[cst.BaseExpression]:
        """The values of ``d["key"] = …`` for a dict."""
        found = []
        for assign in self._tree.nodes(cst.Assign):
            for target in assign.targets:
                place = target.target
                if (
                    isinstance(place, cst.Subscript)
                    and len(place.slice) == 1
                    and isinstance(place.slice[0].slice, cst.Index)
                    and self._evaluator.text(place.slice[0].slice.value) == key
                    and container in self._evaluator.values(place.value)
                ):
                    found.append(assign.value)
        return found

    def of_values(self, values: Values) -> Amounts:
        """The amounts of what the evaluation of values gives."""
        return merged(*(self._of_value(value) for value in values)) if values else ()

    def _of_value(self, value: Value) -> Amounts:
        if isinstance(value, Constant):
            return (amounts.of_constant(value.value),)
        if isinstance(value, Computed) and isinstance(value.site, cst.BaseExpression):
            return self.value(value.site, ANYWHERE)
        if isinstance(value, Result) and isinstance(value.site, cst.Call):
            return count_calls.of_external(self, value.name, value.site, ANYWHERE)
        if isinstance(value, ResultMember):
            return count_calls.of_parsed(self, self._tree, value)
        return UNKNOWN

    # -- calls ---------------------------------------------------------------------------------

    def _call(self, node: cst.Call, at: At) -> Amounts:
        groups = []
        for value in self._evaluator.values(node.func):
            if isinstance(value, External):
                groups.append(count_calls.of_external(self, value.name, node, at))
            elif isinstance(value, (Function, BoundMethod, Lambda)):
                groups.append(self._of_function(value, node, at))
            else:
                groups.append(count_calls.of_method(self, node, at))
        found = merged(*groups) if groups else UNKNOWN
        return self._narrowed_at(node, found, at)

    def _narrowed_at(self, node: cst.BaseExpression, found: Amounts, at: At) -> Amounts:
        """What the tests on the way say of a call: ``if os.cpu_count() > 1:``."""
        key = key_of(node)
        if not key:
            return found
        arrivals = self._arrivals.to(node, key, at.facts)
        if arrivals is None:
            return found
        return merged(*(narrowed(found, arrival.facts, key) for arrival in arrivals))

    def _of_function(
        self, value: Function | BoundMethod | Lambda, call: cst.Call, at: At
    ) -> Amounts:
        function = value.node
        frame = Frame(function, call, 1 if isinstance(value, BoundMethod) else 0, at.frame)
        if frame.depth > MOST_FRAMES:
            return UNKNOWN
        if isinstance(function, cst.Lambda):
            return self.value(function.body, At(frame))
        if function.asynchronous is not None or self._evaluator.calls.is_opaque(function):
            return UNKNOWN
        return self.returned(function, frame)

    def returned(self, function: cst.FunctionDef, frame: Frame | None) -> Amounts:
        """What the ``return`` statements of a function give for a call."""
        scope = self._tree.scopes[function]
        if scope.is_generator:
            return UNKNOWN
        groups: list[Amounts] = []
        for node in scope.returns:
            if self._world is not None and self._conditions.runs(node, self._world) is False:
                continue
            if not self.is_possible(node, frame):
                continue
            nothing = (amounts.NOTHING,)
            groups.append(self.value(node.value, At(frame)) if node.value is not None else nothing)
        return merged(*groups) if scope.returns else (amounts.NOTHING,)

    def _awaited(self, node: cst.Await, at: At) -> Amounts:
        groups = [
            self.returned(value.function, None)
            if isinstance(value, Coroutine) and value.function is not None
            else UNKNOWN
            for value in self._evaluator.values(node.expression)
        ]
        return merged(*groups)

    # -- names ---------------------------------------------------------------------------------

    def _name(self, node: cst.Name, at: At) -> Amounts:
        name = node.value
        if name in _SINGLETONS:
            return (amounts.of_constant(_SINGLETONS[name]),)
        scope = self._tree.scope_of(node)
        owner = scope.owner_of(name)
        if owner is None:
            return UNKNOWN
        if owner.kind in (ScopeKind.COMPREHENSION, ScopeKind.CLASS):
            bindings = owner.bindings[name]
            return merged(*(self._defined(b, owner, name, at) for b in bindings))
        here = scope.function()
        outside = [b for b in owner.bindings[name] if self._tree.function_of(b.node) is not owner]
        outside = [b for b in outside if b.kind is not Bound.PARAMETER]

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
            groups.append(narrowed(values, facts, key))
        return merged(*groups)

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
        references = self._references.of(function)
        if not references or values == UNKNOWN:
            return values
        head = key.partition(".")[0]
        groups: list[Amounts] = []
        for reference in references:
            if not self.may_run(reference.node):
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
        if not self.is_possible(node, at.frame):
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
            return self.value(definition.value, at)
        value, path = definition.value, definition.path
        if isinstance(value, (cst.Tuple, cst.List)) and 0 <= path[0] < len(value.elements):
            if len(path) == 1 and not any(
                isinstance(e, cst.StarredElement) for e in value.elements[: path[0] + 1]
            ):
                return self.value(value.elements[path[0]].value, at)
        values = self._evaluator.values(value)
        for index in path:
            values = self._evaluator.containers.element(values, index)
        return self.of_values(values)

    def _augmented(self, definition: Definition, scope: Scope, key: str, at: At) -> Amounts:
        statement = self._tree.statement_of(definition.node)
        if not isinstance(statement, cst.AugAssign):
            return UNKNOWN
        active = (definition.node, at.frame)
        if active in self._active:
            self._cut += 1
            return UNKNOWN
        self._active.add(active)
        try:
            before = self._reaching(definition.node, key, scope, at, lambda: UNKNOWN)
        finally:
            self._active.discard(active)
        name = type(statement.operator).__name__.removesuffix("Assign")
        return amounts.operation(name, before, self.value(statement.value, at))

    def _iterated(self, definition: Definition, at: At) -> Amounts:
        iterable = definition.value
        if isinstance(iterable, cst.Call) and not definition.path:
            if self._tree.qualified(iterable.func) == "range":
                return count_calls.of_range([self.value(a.value, at) for a in iterable.args])
        values = self._evaluator.containers.iterated(self._evaluator.values(iterable))
        for index in definition.path:
            values = self._evaluator.containers.element(values, index)
        return self.of_values(values)

    # -- parameters ----------------------------------------------------------------------------

    def _parameter(self, function: cst.CSTNode, param: cst.Param, frame: Frame | None) -> Amounts:
        if isinstance(param.star, str) and param.star:
            return UNKNOWN
        if frame is not None and frame.function is function:
            return self._argument(function, param, frame)
        groups: list[Amounts] = []
        calls = 0
        for reference in self._references.of(function):
            if self._world is not None and not self.may_run(reference.node):
                continue
            given = list(self._references.given_by(reference, function, param))
            for one in given:
                if one.path:
                    groups.append(self.of_values(self._evaluator.given(one)))
                else:
                    groups.append(self.value(one.expression, ANYWHERE))
            if given:
                calls += 1
            elif self._leaves_out(reference):
                groups.append(self._default(param))
                calls += 1
        if not calls:
            groups.append(self._default(param))
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
            return self.value(given, At(frame.outer))
        if has_stars(frame.call):
            return UNKNOWN
        return self._default(param)

    def _default(self, param: cst.Param) -> Amounts:
        return self.value(param.default, ANYWHERE) if param.default is not None else ()

    # -- attributes ----------------------------------------------------------------------------

    def _attribute(self, node: cst.Attribute, at: At) -> Amounts:
        receivers = self._evaluator.values(node.value)
        classes = {cls: None for v in receivers if (cls := _class_of(v)) is not None}
        key = dotted_name(node)
        if not classes:
            found = self.of_values(self._evaluator.values(node))
            return self._narrowed_at(node, found, at) if key else found
        here = self._tree.function_of(node)

        def from_elsewhere() -> Amounts:
            name = node.attr.value
            values = merged(*(self._of_attribute(cls, name, here) for cls in classes))
            return self._allowed(here.node, key, values, 0)

        if not key:
            return from_elsewhere()
        return self._reaching(node, key, here, at, from_elsewhere)

    def _of_attribute(self, cls: cst.ClassDef, name: str, here: Scope) -> Amounts:
        """What an attribute is when another method has run."""
        scopes: dict[tuple[Scope, str], None] = {}
        for store in self._evaluator.stores(cls, name):
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
        return isinstance(scope.node, cst.FunctionDef) and scope.node.name.value in _CREATION

    def _of_class(self, owner: cst.ClassDef, cls: cst.ClassDef, binding: Binding) -> Amounts:
        if isinstance(binding.node, cst.FunctionDef):
            names = (dotted_name(d.decorator) for d in binding.node.decorators)
            return self.returned(binding.node, None) if _PROPERTIES & set(names) else UNKNOWN
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
                groups.append(self.value(given, ANYWHERE))
            else:
                groups.append(UNKNOWN if has_stars(call) else default)
        return merged(*groups) if groups else default


def _class_of(value: Value) -> cst.ClassDef | None:
    if isinstance(value, (Instance, Made)):
        return value.cls
    return value.node if isinstance(value, Class) else None


_SINGLETONS = {"None": None, "True": True, "False": False}
_LITERALS: dict[type[cst.CSTNode], bool] = {
    cst.Integer: True,
    cst.Float: True,
    cst.SimpleString: True,
    cst.ConcatenatedString: True,
}
_EXPRESSIONS: dict[type[cst.CSTNode], Callable[..., Amounts]] = {
    cst.Name: Counts._name,
    cst.Attribute: Counts._attribute,
    cst.Call: Counts._call,
    cst.Subscript: Counts._subscript,
    cst.UnaryOperation: Counts._unary,
    cst.BinaryOperation: Counts._binary,
    cst.BooleanOperation: Counts._boolean,
    cst.IfExp: Counts._conditional,
    cst.Await: Counts._awaited,
    cst.NamedExpr: lambda self, node, at: self.value(node.value, at),
    cst.FormattedString: lambda self, node, at: (amounts.SOME_TEXT,),
}
