"""Facts: what a test that came out so says of the numbers in it.

``if 0 < jobs <= limit:`` says two things of ``jobs`` where it is true, and nothing where it is
not. A fact names what it speaks of by its text; who uses it has to see that nothing is assigned to
that in between.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.numbers import amounts
from flake8_mppitfalls.model.numbers.amounts import Amount, Amounts, Range, Type
from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.tree import dotted_name


class Fact(NamedTuple):
    """What is known of the expression ``key``: its relation to a number, or to a type.

    ``relation`` is one of ``< <= > >= == != in``, ``is None``, ``is not None``, ``true``,
    ``false``, ``is a``, ``is no``; ``other`` are the amounts on the right of a comparison.
    ``bound`` is the right side itself where it may be another number in a certain call.
    """

    key: str
    relation: str
    other: Amounts = ()
    bound: cst.BaseExpression | None = None


class Said(NamedTuple):
    """A fact, and the node in the test that it speaks of."""

    fact: Fact
    node: cst.BaseExpression


class Origin(NamedTuple):
    """The test that an expression stands for.

    ``names`` says what its names are called where it stands: nothing for those that are not known
    there; a name that is missing is called the same.
    """

    test: cst.BaseExpression
    names: Mapping[str, str]

    def key(self, key: str) -> str:
        """What a key of the test is where the expression stands; empty if it has none."""
        base = base_of(key)
        head, dot, rest = base.partition(".")
        here = self.names.get(head, head)
        return key.replace(base, here + dot + rest) if here else ""


_RELATIONS: dict[type[cst.BaseCompOp], tuple[str, str]] = {
    cst.LessThan: ("<", ">="),
    cst.LessThanEqual: ("<=", ">"),
    cst.GreaterThan: (">", "<="),
    cst.GreaterThanEqual: (">=", "<"),
    cst.Equal: ("==", "!="),
    cst.NotEqual: ("!=", "=="),
    cst.Is: ("==", "!="),
    cst.IsNot: ("!=", "=="),
    cst.In: ("in", "not in"),
    cst.NotIn: ("not in", "in"),
}
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_TYPES = {"int": Type.INTEGER, "float": Type.FLOAT, "str": Type.TEXT}


def key_of(node: cst.CSTNode) -> str:
    """The text by which facts name an expression; empty where they can't.

    Names and attributes have one, ``len(x)``, and calls without arguments (``os.cpu_count()``).
    """
    if isinstance(node, cst.NamedExpr):
        return key_of(node.target)
    if isinstance(node, cst.Call):
        name = dotted_name(node.func)
        if not node.args:
            return f"{name}()" if name else ""
        inner = dotted_name(node.args[0].value) if name == "len" and len(node.args) == 1 else ""
        return f"len({inner})" if inner else ""
    return dotted_name(node)


def base_of(key: str) -> str:
    """The name or attribute whose assignment makes a fact about ``key`` void."""
    return key[4:-1] if key.startswith("len(") else key


def implied(
    test: cst.CSTNode,
    truth: bool,
    evaluate: Callable[[cst.BaseExpression], Amounts],
    origin: Callable[[cst.BaseExpression], Origin | None],
    decided: Callable[[cst.BaseExpression], bool | None],
) -> Iterator[Said]:
    """What holds where ``test`` comes out as ``truth``.

    ``evaluate`` gives the amounts of what a test compares with; ``origin`` the test that a name
    (``parallel = jobs > 1``) stands for; ``decided`` how the platform has a test come out.
    """
    for said, origins in _implied(test, truth, evaluate, origin, decided):
        key = said.fact.key
        for one in reversed(origins):
            key = one.key(key) if key else ""
        if key:
            yield said if key == said.fact.key else Said(said.fact._replace(key=key), said.node)


def _implied(
    test: cst.CSTNode,
    truth: bool,
    evaluate: Callable[[cst.BaseExpression], Amounts],
    origin: Callable[[cst.BaseExpression], Origin | None],
    decided: Callable[[cst.BaseExpression], bool | None],
) -> Iterator[tuple[Said, tuple[Origin, ...]]]:
    """As :func:`implied`: the facts as they stand, and through which origins."""
    work: list[tuple[cst.CSTNode, bool, tuple[Origin, ...]]] = [(test, truth, ())]
    while work:
        node, wanted, origins = work.pop()
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
            work.append((node.expression, not wanted, origins))
        elif isinstance(node, cst.BooleanOperation):
            neutral = isinstance(node.operator, cst.And)
            if neutral is wanted or decided(node.right) is neutral:
                work.append((node.left, wanted, origins))
            if neutral is wanted or decided(node.left) is neutral:
                work.append((node.right, wanted, origins))
        elif isinstance(node, cst.Comparison):
            yield from ((said, origins) for said in _compared(node, wanted, evaluate))
        elif isinstance(node, cst.Call) and dotted_name(node.func) == "isinstance":
            yield from ((said, origins) for said in _checked(node, wanted))
        elif isinstance(node, cst.BaseExpression):
            key = key_of(node)
            if key:
                yield Said(Fact(key, "true" if wanted else "false"), node), origins
            stands_for = origin(node) if len(origins) < 3 else None
            if stands_for is not None:
                work.append((stands_for.test, wanted, (*origins, stands_for)))


def matched(
    subject: cst.BaseExpression,
    case: cst.MatchCase,
    truth: bool,
    evaluate: Callable[[cst.BaseExpression], Amounts],
) -> Iterator[Said]:
    """What holds of the subject of a ``match`` where a case is taken, or is not."""
    pattern = case.pattern
    if isinstance(pattern, cst.MatchAs) and pattern.pattern is not None:
        pattern = pattern.pattern
    parts: Sequence[cst.MatchPattern] = [pattern]
    if isinstance(pattern, cst.MatchOr):
        parts = [element.pattern for element in pattern.patterns]
    if not truth and case.guard is not None:
        return
    if truth and len(parts) > 1:
        key = key_of(subject)
        if key and all(isinstance(part, cst.MatchValue) for part in parts):
            groups = [evaluate(part.value) for part in parts if isinstance(part, cst.MatchValue)]
            yield Said(Fact(key, "in", amounts.merged(*groups)), subject)
        return
    for part in parts:
        if isinstance(part, (cst.MatchValue, cst.MatchSingleton)):
            yield from _related(subject, "==" if truth else "!=", part.value, evaluate)


def _compared(
    node: cst.Comparison, wanted: bool, evaluate: Callable[[cst.BaseExpression], Amounts]
) -> Iterator[Said]:
    if len(node.comparisons) > 1 and not wanted:
        return  # one of several is false: nobody knows which
    left = node.left
    for comparison in node.comparisons:
        right = comparison.comparator
        both = _RELATIONS.get(type(comparison.operator))
        if both is not None:
            relation = both[0 if wanted else 1]
            if relation in ("in", "not in"):
                yield from _contained(left, right, relation, evaluate)
            else:
                yield from _related(left, relation, right, evaluate)
                yield from _related(right, _MIRRORED[relation], left, evaluate)
        left = right


def _related(
    node: cst.BaseExpression,
    relation: str,
    other: cst.BaseExpression,
    evaluate: Callable[[cst.BaseExpression], Amounts],
) -> Iterator[Said]:
    node = _without_default(node, relation, other)
    key = key_of(node)
    if not key or (isinstance(node, cst.Name) and node.value in {"None", "True", "False"}):
        return
    if isinstance(other, cst.Name) and other.value == "None":
        if relation in ("==", "!="):
            yield Said(Fact(key, "is None" if relation == "==" else "is not None"), node)
        return
    values = evaluate(other)
    if relation in ("<", "<=", ">", ">="):
        values = tuple(value for value in values if value.is_number)  # None < 1 raises an error
    if values and all(value.is_number or value.text is not None for value in values):
        depends = any(value.type is Type.ANY for value in values)
        named = isinstance(other, (cst.Name, cst.Attribute))
        yield Said(Fact(key, relation, values, other if depends and named else None), node)


def _without_default(
    node: cst.BaseExpression, relation: str, other: cst.BaseExpression
) -> cst.BaseExpression:
    """``jobs`` of ``(jobs or 0) > 1``, which ``0`` can't be what makes true."""
    if isinstance(node, cst.BooleanOperation) and isinstance(node.operator, cst.Or):
        default = node.right
        if isinstance(default, cst.Integer) and isinstance(other, cst.Integer):
            holds = _HOLDS.get(relation)
            if holds is not None and not holds(literal(default), literal(other)):
                return node.left
    return node


def _contained(
    node: cst.BaseExpression,
    display: cst.BaseExpression,
    relation: str,
    evaluate: Callable[[cst.BaseExpression], Amounts],
) -> Iterator[Said]:
    key = key_of(node)
    if not key or not isinstance(display, (cst.Tuple, cst.List, cst.Set)):
        return
    if any(isinstance(element, cst.StarredElement) for element in display.elements):
        return
    groups = [evaluate(element.value) for element in display.elements]
    if relation == "in":
        yield Said(Fact(key, "in", amounts.merged(*groups)), node)
        return
    for group in groups:
        if group == (amounts.NOTHING,):
            yield Said(Fact(key, "is not None"), node)
        else:
            yield Said(Fact(key, "!=", group), node)


def _checked(call: cst.Call, wanted: bool) -> Iterator[Said]:
    """``isinstance(jobs, int)``."""
    if len(call.args) != 2:
        return
    node, classes = call.args[0].value, call.args[1].value
    names = [dotted_name(classes)]
    if isinstance(classes, cst.Tuple):
        names = [dotted_name(element.value) for element in classes.elements]
    key = key_of(node)
    if key and all(name in _TYPES for name in names):
        kinds = tuple(Amount(_TYPES[name]) for name in names)
        yield Said(Fact(key, "is a" if wanted else "is no", kinds), node)


# -- narrowing -------------------------------------------------------------------------------------


def narrowed(values: Amounts, facts: frozenset[Fact], key: str) -> Amounts:
    """The amounts that agree with the facts about ``key``."""
    for fact in facts:
        if fact.key == key:
            values = tuple(a for value in values if (a := _narrow(value, fact)) is not None)
    return values


def _narrow(value: Amount, fact: Fact) -> Amount | None:
    """The amount where the fact holds, or ``None`` where it never does."""
    relation = fact.relation
    if relation == "true":
        return amounts.if_true(value)
    if relation == "false":
        return amounts.if_false(value)
    if relation == "is None":
        return value if value.type in (Type.NONE, Type.ANY) else None
    if relation == "is not None":
        return None if value.type is Type.NONE else value
    if relation in ("is a", "is no"):
        return _typed(value, {other.type for other in fact.other}, relation == "is a")
    if relation == "in":
        return value if any(_narrow(value, Fact("", "==", (o,))) for o in fact.other) else None
    return _compare(value, relation, fact.other)


def _typed(value: Amount, types: set[Type], wanted: bool) -> Amount | None:
    if value.type is Type.ANY:
        return value
    return value if (value.type in types) is wanted else None


def _compare(value: Amount, relation: str, others: Amounts) -> Amount | None:
    if relation == "==":
        agreeing = [o for o in others if _may_equal(value, o)]
        if not agreeing:
            return None
        if not value.is_number or not all(o.is_number for o in agreeing):
            return value
        ends = _hull(agreeing)
        return _limited(value, ends.low, ends.high)
    if relation == "!=":
        only = others[0] if len(others) == 1 else None
        if only is None or only.type is Type.ANY:
            return value
        if value.type is Type.TEXT:
            return None if only.text is not None and only.text == value.text else value
        exact = only.exact
        return amounts.without(value, exact) if exact is not None and value.is_number else value
    if not value.is_number or not all(other.is_number for other in others):
        return None  # None < 1 raises a TypeError
    if relation in ("<", "<=") and any(not o.source and o.exact is None for o in others):
        value = replace(value, source="")  # something unknown bounds it
    return _ordered(value, relation, _hull(others))


def _ordered(value: Amount, relation: str, ends: Range) -> Amount | None:
    whole = value.type is Type.INTEGER
    if relation == "<":
        high = math.ceil(ends.high) - 1 if whole and abs(ends.high) != amounts.INF else ends.high
        return _limited(value, -amounts.INF, high)
    if relation == "<=":
        return _limited(value, -amounts.INF, ends.high)
    if relation == ">":
        low = math.floor(ends.low) + 1 if whole and abs(ends.low) != amounts.INF else ends.low
        return _limited(value, low, amounts.INF)
    return _limited(value, ends.low, amounts.INF)


def _limited(value: Amount, low: float, high: float) -> Amount | None:
    possible = Range(max(value.possible.low, low), min(value.possible.high, high))
    return None if possible.is_empty else value.within(possible)


def _may_equal(value: Amount, other: Amount) -> bool:
    if Type.ANY in (value.type, other.type):
        return True
    if value.is_number and other.is_number:
        low = max(value.possible.low, other.possible.low)
        return low <= min(value.possible.high, other.possible.high)
    if value.type is not other.type:
        return False
    return value.text is None or other.text is None or value.text == other.text


def _hull(others: Amounts | list[Amount]) -> Range:
    return Range(min(o.possible.low for o in others), max(o.possible.high for o in others))
