"""Counts: which numbers an expression may be.

An interval evaluation on demand, along the paths of the program: a name has the amounts that its
assignments give it, where they reach the place, narrowed by the tests that are passed on the way
(``if workers < 1: workers = 1``). Calls of functions of this module are evaluated with the
arguments of that call. What is bound, returned or passed on other platforms only does not count
where the question is about one platform.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.arrivals import Arrivals
from flake8_mppitfalls.model.evaluation.frames import ANYWHERE, MOST_FRAMES, At, Frame
from flake8_mppitfalls.model.evaluation.signatures import argument, positional_names
from flake8_mppitfalls.model.numbers import amounts, count_calls
from flake8_mppitfalls.model.numbers.amounts import UNKNOWN, Amounts, merged
from flake8_mppitfalls.model.numbers.counted_names import CountedNames
from flake8_mppitfalls.model.numbers.facts import key_of, narrowed
from flake8_mppitfalls.model.numbers.lengths import Lengths
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Computed,
    Constant,
    Container,
    Coroutine,
    External,
    Function,
    Lambda,
    Result,
    ResultMember,
)
from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.worlds import World
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value, Values

DEEPEST = 40
"""How many expressions deep an evaluation goes before nothing is known."""
MOST_STEPS = 3_000
_PLATFORM = ("sys.platform", "os.name", "platform.system")
MOST_CASES = 20
"""Of so many cases before one it is asked whether they were not taken."""
MOST_ASKED = 3
"""So many tests deep it is asked whether a place can be reached at all."""


def asks_for_platform(program: Program) -> bool:
    """True if anything in the file asks for the platform that it runs on."""
    tree = program.tree
    for name in _PLATFORM:
        last = name.rpartition(".")[2]
        if any(tree.qualified(node) == name for node in tree.attributes.get(last, ())):
            return True
    return any(
        f"{dotted_name(node.module)}.{dotted_name(alias.name)}" in _PLATFORM
        for node in tree.nodes(cst.ImportFrom)
        if not isinstance(node.names, cst.ImportStar)
        for alias in node.names
    )


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
        self._world = world if world is None or asks_for_platform(program) else None
        self._arrivals = Arrivals(program, self._world, self.of)
        self._lengths = Lengths(program)
        self._names = CountedNames(self, program, self._world, self._arrivals)
        self._known: dict[tuple[cst.CSTNode, At], Amounts] = {}
        self._called: dict[tuple[cst.CSTNode, int], bool] = {}
        self._active: set[tuple[object, object]] = set()
        self._depth = 0
        self._cut = 0
        self._steps = 0
        self._asking = 0

    @cached_property
    def options(self) -> dict[str, list[cst.Call]]:
        """The calls that declare the options of the command line, by what they set."""
        return count_calls.options(self._tree)

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
        known = self._called.get((function, depth))
        if known is None:
            references = self._references.of(function)
            known = not references or any(self.may_run(r.node, depth + 1) for r in references)
            self._called[function, depth] = known
        return known

    def is_possible(self, node: cst.CSTNode, frame: Frame | None = None) -> bool:
        """False if the tests around ``node`` never come out so that it is reached."""
        if self._asking >= MOST_ASKED:
            return True
        self._asking += 1
        try:
            return all(
                self._may_come_out(test, truth, frame)
                for test, truth in (*self._conditions.holding(node), *self._cases(node))
            )
        finally:
            self._asking -= 1

    def _cases(self, node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, bool]]:
        """The cases of a ``match`` of its function that were taken, or not, on the way to it."""
        for parent in self._tree.ancestors(node) if self._tree.nodes(cst.Match) else ():
            if isinstance(parent, cst.FunctionDef):
                return
            match = self._tree.parent(parent)
            if isinstance(parent, cst.MatchCase) and isinstance(match, cst.Match):
                yield parent, True
                for case in match.cases[:MOST_CASES]:
                    if case is parent:
                        break
                    yield case, False

    def values(self, node: cst.CSTNode) -> Values:
        """What kind of thing an expression may be."""
        return self._evaluator.values(node)

    def text(self, node: cst.CSTNode) -> str:
        """The source text of an expression."""
        return self._tree.text(node)

    def length(self, node: cst.BaseExpression) -> int | None:
        """How many elements a tuple or list has, where the file shows it."""
        return self._lengths.exact(node)

    # -- expressions ---------------------------------------------------------------------------

    def value(self, node: cst.CSTNode, at: At) -> Amounts:
        """What an expression may be under a certain call."""
        if type(node) in _LITERALS:
            at = ANYWHERE
        known = self._known.get((node, at))
        if known is not None:
            return known
        if type(node) in _LITERALS:
            amount = (amounts.of_constant(literal(node)),)
            self._known[node, at] = amount
            return amount
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

    def _name(self, node: cst.Name, at: At) -> Amounts:
        if node.value in _SINGLETONS:
            return (amounts.of_constant(_SINGLETONS[node.value]),)
        return self._names.of_name(node, at)

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
        return None if self._world is None else self._conditions.truths.of(test, self._world)

    def _may_come_out(self, test: cst.CSTNode, truth: bool, frame: Frame | None) -> bool:
        if frame is not None and self._compared(test, frame) is (not truth):
            return False
        for fact, node in self._arrivals.said(test, truth):
            values = self.value(node, At(frame))
            if values and not narrowed(values, frozenset({fact}), fact.key):
                return False
        return True

    def _compared(self, test: cst.CSTNode, frame: Frame) -> bool | None:
        """How a comparison of two numbers comes out in a certain call, if both are known then."""
        if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
            return None
        compare = _ORDERS.get(type(test.comparisons[0].operator))
        if compare is None:
            return None
        sides = [
            self.value(side, At(frame)) for side in (test.left, test.comparisons[0].comparator)
        ]
        numbers = [values[0].exact if len(values) == 1 else None for values in sides]
        if numbers[0] is None or numbers[1] is None:
            return None
        return compare(numbers[0], numbers[1])

    def _subscript(self, node: cst.Subscript, at: At) -> Amounts:
        if len(node.slice) != 1 or not isinstance(node.slice[0].slice, cst.Index):
            return UNKNOWN
        name = self._tree.qualified(node.value)
        if name in count_calls.TEXTS:
            return (amounts.SOME_TEXT,)
        index = node.slice[0].slice.value
        found = self.looked_up(node.value, self._given(index, at.frame))
        if not found and self._evaluator.text(index) != self._key(index):
            return UNKNOWN  # the dict has no entry for the platform
        if not found and (self._is_stored(node) or self._is_of_dict(node, index)):
            return UNKNOWN
        return found or self.of_values(self._evaluator.values(node))

    def _given(self, node: cst.BaseExpression, frame: Frame | None) -> cst.BaseExpression:
        """A parameter as a certain call gives it; anything else as it is."""
        function = frame.function if frame is not None else None
        if not isinstance(node, cst.Name) or not isinstance(function, cst.FunctionDef):
            return node
        bindings = self._tree.lookup(node)
        if len(bindings) != 1 or bindings[0].scope.node is not function:
            return node
        names = positional_names(function.params)
        assert frame is not None
        return argument(frame.call, names, node.value, skip=frame.skip) or node

    def _key(self, index: cst.BaseExpression) -> str | None:
        """The string by which a dict is asked: a constant, or ``sys.platform``."""
        key = self._evaluator.text(index)
        if key is None and self._world is not None:
            key = self._conditions.truths.text(index, self._world)
        return key

    def looked_up(self, mapping: cst.BaseExpression, index: cst.BaseExpression) -> Amounts | None:
        """What a dict of this module holds under a constant key, if that can be told."""
        key = self._key(index)
        if key is None:
            return None
        groups: list[Amounts] = []
        for value in self._evaluator.values(mapping):
            if not isinstance(value, Container) or value.type != "dict":
                return None
            if isinstance(value.site, cst.Dict):
                groups += [
                    self.value(pair.value, ANYWHERE)
                    for pair in value.site.elements
                    if isinstance(pair, cst.DictElement) and self._evaluator.text(pair.key) == key
                ]
            elif isinstance(value.site, cst.Call):  # dict(small=8, large=64)
                given = argument(value.site, (), key)
                groups += [self.value(given, ANYWHERE)] if given is not None else []
            else:
                return None
            groups += [self.value(stored, ANYWHERE) for stored in self._stored_under(value, key)]
        return merged(*groups) if groups else None

    def _is_of_dict(self, node: cst.Subscript, index: cst.BaseExpression) -> bool:
        """An item of a dict that has others: what these are says nothing of it."""
        return self._evaluator.text(index) is not None and any(
            isinstance(value, Container) for value in self._evaluator.values(node.value)
        )

    def _is_stored(self, node: cst.Subscript) -> bool:
        """Is the same item set anywhere in the function?"""
        scope = self._tree.function_of(node)
        return any(
            self._tree.function_of(assign) is scope
            and any(target.target.deep_equals(node) for target in assign.targets)
            for assign in self._tree.nodes(cst.Assign)
            if any(isinstance(target.target, cst.Subscript) for target in assign.targets)
        )

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
            return count_calls.of_parsed(self, value)
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
        return self.narrowed_at(node, found, at)

    def narrowed_at(self, node: cst.BaseExpression, found: Amounts, at: At) -> Amounts:
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


_ORDERS: dict[type[cst.BaseCompOp], Callable[[float, float], bool]] = {
    cst.LessThan: operator.lt,
    cst.LessThanEqual: operator.le,
    cst.GreaterThan: operator.gt,
    cst.GreaterThanEqual: operator.ge,
    cst.Equal: operator.eq,
    cst.NotEqual: operator.ne,
}
_SINGLETONS = {"None": None, "True": True, "False": False}
_LITERALS = frozenset({cst.Integer, cst.Float, cst.SimpleString, cst.ConcatenatedString})
_EXPRESSIONS: dict[type[cst.CSTNode], Callable[..., Amounts]] = {
    cst.Name: Counts._name,
    cst.Attribute: lambda self, node, at: self._names.of_attribute(node, at),
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
