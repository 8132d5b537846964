"""Abstract evaluation: what an expression may be.

``Evaluator.values(expression)`` follows names through scopes, imports, assignments and parameters
to what they stand for. Where a name has several bindings the answer is a set, narrowed to those
that reach the place by the control flow; ``UNKNOWN`` among the values says that there may be
others. Nothing is computed before it is asked for, and every answer is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.annotations import Annotations
from flake8_mppitfalls.model.evaluation.calls import Calls, class_of
from flake8_mppitfalls.model.evaluation.classes import Classes, Store
from flake8_mppitfalls.model.evaluation.containers import CONTAINER_METHODS, Containers
from flake8_mppitfalls.model.evaluation.members import Members
from flake8_mppitfalls.model.evaluation.parameters import Parameters
from flake8_mppitfalls.model.evaluation.records import Records
from flake8_mppitfalls.model.values import (
    DEFAULT,
    UNKNOWN,
    BoundMethod,
    Class,
    Computed,
    Constant,
    Container,
    Coroutine,
    External,
    Function,
    Generator,
    Instance,
    Lambda,
    Made,
    Member,
    Partial,
    Result,
    Value,
    Values,
    is_none,
    union,
)
from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.names import MOST_BINDINGS, Names
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from flake8_mppitfalls.model.evaluation.references import References
    from flake8_mppitfalls.model.evaluation.tasks import Given
    from flake8_mppitfalls.syntax.scopes import Binding
    from flake8_mppitfalls.syntax.tree import Tree

MANY_VALUES = 100
"""Answers with more values than this are given until they add up to the size of the file."""

DEEPEST = 60
"""How many expressions deep an evaluation goes before the answer is *unknown*."""

ROOM = 15
"""So much less deep an expression is asked again whose answer the depth cut short."""

_ENTERING = frozenset({"enter_context", "enter_async_context"})
"""Methods of ``contextlib.ExitStack`` that give what the context manager's entry gives."""


class Evaluator:
    """Answers what the expressions of one module may be."""

    references: References

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.names = Names(tree)
        self.classes = Classes(tree)
        self.annotations = Annotations(self)
        self.containers = Containers(self)
        self.calls = Calls(self)
        self.parameters = Parameters(self)
        self.members = Members(self)
        self.records = Records(self)
        self._known: dict[object, Values] = {}
        self._bound: dict[object, Values] = {}
        self._given: dict[Given, tuple[Values, Values]] = {}
        self._depth = 0
        self._active: set[object] = set()
        self._cut = 0
        self._too_deep = 0
        self._shallow: dict[object, tuple[int, Values]] = {}
        self._steps = 0
        self._most_steps = 4_000 + len(tree.parents) // 4
        self._left_for_many = 20_000 + len(tree.parents)

    @property
    def cuts(self) -> int:
        """How often an answer was cut short so far."""
        return self._cut + self._too_deep

    # -- expressions ---------------------------------------------------------------------------

    def values(self, node: cst.CSTNode | None) -> Values:
        """What ``node`` may be; ``(UNKNOWN,)`` where the file does not say."""
        if node is None:
            return (UNKNOWN,)
        known = self._known.get(node)
        if known is not None:
            return known
        plain = _PLAIN.get(type(node))
        if plain is not None:
            known = self._known[node] = plain(self, node)
            return known
        return self.once(node, self._known, lambda: self._evaluate(node))

    def once(self, key: object, memo: dict[object, Values], ask: Callable[[], Values]) -> Values:
        """Answer ``ask`` once; a question met again while it is asked has no values.

        An answer that was found while a question further out was cut short is not kept, unless
        the work for this file is used up: then it is kept, with *unknown* beside it. One that the
        depth cut short is good for as deep a place; it is asked again from where there is more
        room.
        """
        if key in self._active:
            self._cut += 1
            return ()
        if self._depth >= DEEPEST:
            self._too_deep += 1
            return (UNKNOWN,)
        shallow = self._shallow.get(key)
        if shallow is not None and self._depth + ROOM > shallow[0]:
            self._too_deep += 1
            return shallow[1]
        self._steps += 1
        self._active.add(key)
        self._depth += 1
        cuts, too_deep = self._cut, self._too_deep
        try:
            answer = ask()
        finally:
            self._depth -= 1
            self._active.discard(key)
        if self.are_too_many(len(answer)):
            answer = (UNKNOWN,)
        if self._depth == 0:
            memo[key] = answer
        elif self._steps > self._most_steps:
            whole = self._cut == cuts and self._too_deep == too_deep
            memo[key] = answer if whole else union(answer, (UNKNOWN,))
        elif self._cut == cuts:
            if self._too_deep == too_deep:
                memo[key] = answer
            else:
                self._shallow[key] = (self._depth, answer)
        return answer

    def are_too_many(self, count: int) -> bool:
        """Is an answer with so many values more than this file gets?"""
        if count > MANY_VALUES:
            self._left_for_many -= count
        return count > MANY_VALUES and self._left_for_many < 0

    def _evaluate(self, node: cst.CSTNode) -> Values:
        method = _EXPRESSIONS.get(type(node))
        return method(self, node) if method is not None else (UNKNOWN,)

    def _name(self, node: cst.Name) -> Values:
        if node.value in _SINGLETONS:
            return (Constant(_SINGLETONS[node.value], node),)
        bindings = self.names.bindings(node)
        if not bindings:
            owner = self.tree.scope_of(node).owner_of(node.value)
            if owner is not None:
                return ()
            return (External(self.classes.starred(node.value) or node.value),)
        if len(bindings) > MOST_BINDINGS:
            return (UNKNOWN,)
        return union(*(self.bound(binding) for binding in bindings))

    def bound(self, binding: Binding) -> Values:
        """The values that one binding gives its name."""
        known = self._bound.get(binding)
        if known is not None:
            return known
        return self.once(binding, self._bound, lambda: self._bound_values(binding))

    def _bound_values(self, binding: Binding) -> Values:
        kind = binding.kind
        node = binding.node
        if kind is Bound.IMPORT:
            return (External(binding.qualified),)
        if kind is Bound.FUNCTION and isinstance(node, cst.FunctionDef):
            return (Function(node),)
        if kind is Bound.CLASS and isinstance(node, cst.ClassDef):
            return (Class(node),)
        if kind is Bound.PARAMETER:
            return self.parameters.of(binding)
        if kind is Bound.ANNOTATED:
            return self.annotations.of(binding.annotation)
        if kind is Bound.AUGMENTED:
            before = self.values(node)
            containers = tuple(v for v in before if isinstance(v, Container))
            return containers or (Computed(self.tree.statement_of(node)),)
        values = self._stored(binding.kind, binding.value, binding.path, binding.annotation)
        starred = self.tree.parent(node)
        if isinstance(starred, cst.StarredElement) and binding.path:
            return self.containers.rest(starred, values)
        return values

    def stored(self, store: Store) -> Values:
        """What one assignment to an attribute gives it."""
        return self._stored(store.kind, store.value, store.path, store.annotation)

    def _stored(
        self,
        kind: Bound,
        value: cst.BaseExpression | None,
        path: tuple[int, ...],
        annotation: cst.BaseExpression | None,
    ) -> Values:
        if value is None:
            return self.annotations.of(annotation) if annotation is not None else (UNKNOWN,)
        if kind is Bound.AUGMENTED:
            return (Computed(value),)
        values = self.values(value)
        if kind is Bound.FOR:
            values = self.containers.iterated(values)
        elif kind is Bound.WITH:
            values = self.calls.entered(values)
        for index in path:
            values = self.containers.element(values, index)
        if annotation is not None and all(v is UNKNOWN or is_none(v) for v in values):
            declared = self.annotations.of(annotation)
            if declared != (UNKNOWN,):
                return union(tuple(v for v in values if v is not UNKNOWN), declared)
        return values

    def given(self, given: Given) -> Values:
        """What an argument may be that a call or a worker API call gives."""
        values = self.values(given.expression)
        if not given.path:
            return values
        known = self._given.get(given)
        if known is not None and known[0] is values:
            return known[1]
        found, cuts = values, self.cuts
        for step in given.path:
            found = self.containers.at(found, step)
        if self.cuts == cuts:
            self._given[given] = (values, found)
        return found

    def instance(self, cls: cst.ClassDef, site: cst.CSTNode | None) -> Value:
        """An instance of ``cls``: a made thing where it derives from a class of the process API."""
        maker = self.classes.maker(cls)
        if maker is not None and maker.makes is not None:
            name = next((n for n in self.classes.external_bases(cls) if api.maker(n)), "")
            method = maker.method or self._method_of_bases(cls)
            return Made(maker.makes, site or cls, maker.name, method, api.flavour(name), cls)
        return Instance(cls, site)

    def _method_of_bases(self, cls: cst.ClassDef) -> str:
        """The start method of the context whose class a class derives from: ``ctx.Process``."""
        for c in self.classes.mro(cls):
            for arg in c.bases:
                if arg.keyword is None and isinstance(arg.value, (cst.Attribute, cst.Name)):
                    for value in self.values(arg.value):
                        if isinstance(value, External) and value.method != DEFAULT:
                            return value.method
        return DEFAULT

    # -- attributes ----------------------------------------------------------------------------

    def _attribute(self, node: cst.Attribute) -> Values:
        name = node.attr.value
        if name == "__class__":
            return class_of(self.values(node.value)) or (UNKNOWN,)
        groups = [self.members.of(value, name, node) for value in self.values(node.value)]
        return union((), *groups) if groups else ()

    # -- calls ---------------------------------------------------------------------------------

    def _call(self, node: cst.Call) -> Values:
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in _ENTERING:
            if len(node.args) == 1 and not node.args[0].star:
                return self.calls.entered(self.values(node.args[0].value))
        groups: list[Values] = []
        func = node.func
        if isinstance(func, cst.Attribute) and func.attr.value in CONTAINER_METHODS:
            values = self.values(func.value)
            containers = [v for v in values if isinstance(v, Container)]
            if containers:
                groups = [self.containers.called(v, func.attr.value, node) for v in containers]
                others = [v for v in values if not isinstance(v, Container)]
                members = (self.members.of(v, func.attr.value, func) for v in others)
                groups += [self.calls.of(v, node) for v in union((), *members)]
                return union((), *groups)
        groups = [self.calls.of(value, node) for value in self.values(func)]
        return union((), *groups) if groups else ()

    def returned(self, function: cst.FunctionDef) -> Values:
        """What the ``return`` statements of a function give; ``None`` where there is none."""
        key = ("returned", function)
        known = self._known.get(key)
        if known is not None:
            return known
        return self.once(key, self._known, lambda: self._returned(function))

    def _returned(self, function: cst.FunctionDef) -> Values:
        returns = self.tree.scopes[function].returns
        if not returns:
            return (Constant(None, function),)
        return union(
            (),
            *(
                self.values(r.value) if r.value is not None else (Constant(None, r),)
                for r in returns
            ),
        )

    def yielded(self, function: cst.FunctionDef) -> Values:
        """What a generator function yields, one by one."""
        key = ("yielded", function)
        known = self._known.get(key)
        if known is not None:
            return known
        return self.once(key, self._known, lambda: self._yielded(function))

    def _yielded(self, function: cst.FunctionDef) -> Values:
        groups: list[Values] = []
        for node in self.tree.scopes[function].yields:
            if isinstance(node.value, cst.From):
                groups.append(self.containers.iterated(self.values(node.value.item)))
            else:
                groups.append(self.values(node.value))
        return union((), *groups)

    # -- other expressions ---------------------------------------------------------------------

    def _subscript(self, node: cst.Subscript) -> Values:
        if len(node.slice) != 1:
            return (UNKNOWN,)
        part = node.slice[0].slice
        values = self.values(node.value)
        if not isinstance(part, cst.Index):
            return tuple(v if isinstance(v, Container) else UNKNOWN for v in values)
        index = self.integer(part.value)
        containers = tuple(v for v in values if isinstance(v, (Container, Made)))
        if not containers:
            return (UNKNOWN,)
        if index is not None and index >= 0:
            lists = tuple(v for v in containers if not self.containers.is_dict(v))
            dicts = tuple(v for v in containers if self.containers.is_dict(v))
            return union(
                self.containers.element(lists, index), self.containers.under(dicts, part.value)
            )
        return self.containers.under(containers, part.value)

    def _boolean(self, node: cst.BooleanOperation) -> Values:
        left, right = self.values(node.left), self.values(node.right)
        if isinstance(node.operator, cst.Or):
            left = tuple(v for v in left if not (isinstance(v, Constant) and not v.value))
        else:
            left = union((), *(_if_false(v, node) for v in left))
        return union(left, right)

    def _binary(self, node: cst.BinaryOperation) -> Values:
        """The result of arithmetic; ``[lock] * 3`` and ``jobs + more`` hold what the lists do."""
        if isinstance(node.operator, (cst.Multiply, cst.Add)):
            sides = union(self.values(node.left), self.values(node.right))
            lists = tuple(v for v in sides if isinstance(v, Container))
            if lists:
                return lists
        return (Computed(node),)

    def _conditional(self, node: cst.IfExp) -> Values:
        return union(self.values(node.body), self.values(node.orelse))

    def _await(self, node: cst.Await) -> Values:
        groups: list[Values] = []
        for value in self.values(node.expression):
            if isinstance(value, Coroutine):
                groups.append(self.returned(value.function))
            else:
                groups.append((UNKNOWN,))
        return union((), *groups)

    def _display(self, node: cst.CSTNode) -> Values:
        return (Container(node, _DISPLAYS[type(node)]),)

    def _literal(self, node: cst.CSTNode) -> Values:
        return (Constant(literal(node), node),)

    def text(self, node: cst.CSTNode | None) -> str | None:
        """The one string that an expression is, if it is one."""
        values = self.values(node)
        if len(values) == 1 and isinstance(values[0], Constant):
            value = values[0].value
            return value if isinstance(value, str) else None
        return None

    def integer(self, node: cst.CSTNode | None) -> int | None:
        """The one integer that an expression is, if it is one."""
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
            inner = self.integer(node.expression)
            return None if inner is None else -inner
        values = self.values(node)
        if len(values) == 1 and isinstance(values[0], Constant):
            value = values[0].value
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        return None


def _if_false(value: Value, node: cst.CSTNode) -> Values:
    """What a value is where it is false: the result of ``value and …``."""
    if isinstance(value, Constant):
        return () if value.value else (value,)
    if isinstance(value, Result):
        return (Computed(node),)  # None, or something empty
    if isinstance(value, (Function, Lambda, Class, BoundMethod, Member, External, Partial)):
        return ()
    if isinstance(value, Made) and value.kind is not api.Kind.PROXY:
        return ()
    return (value,)


_SINGLETONS = {"None": None, "True": True, "False": False}
_DISPLAYS: dict[type[cst.CSTNode], str] = {
    cst.List: "list",
    cst.ListComp: "list",
    cst.Tuple: "tuple",
    cst.Set: "set",
    cst.SetComp: "set",
    cst.Dict: "dict",
    cst.DictComp: "dict",
}
#: What an expression is by itself.
_PLAIN: dict[type[cst.CSTNode], Callable[..., Values]] = {
    cst.Lambda: lambda self, node: (Lambda(node),),
    cst.GeneratorExp: lambda self, node: (Generator(node),),
    cst.Integer: Evaluator._literal,
    cst.Float: Evaluator._literal,
    cst.SimpleString: Evaluator._literal,
    cst.ConcatenatedString: Evaluator._literal,
    cst.FormattedString: lambda self, node: (Computed(node),),
    cst.UnaryOperation: lambda self, node: (Computed(node),),
    cst.Comparison: lambda self, node: (Computed(node),),
    **dict.fromkeys(_DISPLAYS, Evaluator._display),
}
#: What it is by other expressions.
_EXPRESSIONS: dict[type[cst.CSTNode], Callable[..., Values]] = {
    cst.Name: Evaluator._name,
    cst.Attribute: Evaluator._attribute,
    cst.Call: Evaluator._call,
    cst.Subscript: Evaluator._subscript,
    cst.BooleanOperation: Evaluator._boolean,
    cst.IfExp: Evaluator._conditional,
    cst.Await: Evaluator._await,
    cst.NamedExpr: lambda self, node: self.values(node.value),
    cst.BinaryOperation: Evaluator._binary,
}
