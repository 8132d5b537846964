"""Amounts: what is known of a number, and what arithmetic makes of it.

An expression may have several amounts, one for each way that the program may take to it. Each is
an interval with a type. Where nothing is known it is :data:`ANYTHING`.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

INF = float("inf")
MOST_AMOUNTS = 24
"""With more ways than that, some of them are forgotten."""
_LARGEST_EXPONENT = 64


class Type(enum.Enum):
    """What kind of thing an amount is."""

    INTEGER = "an integer"
    FLOAT = "a float"
    TEXT = "a string"
    NONE = "None"
    ANY = "anything"


class Range(NamedTuple):
    """Both ends belong to it; they are infinite where there is no bound."""

    low: float = -INF
    high: float = INF

    @property
    def is_exact(self) -> bool:
        """True for a single number."""
        return self.low == self.high

    @property
    def is_empty(self) -> bool:
        """True where no number fits."""
        return self.low > self.high

    @property
    def has_zero(self) -> bool:
        """True if 0 is in it."""
        return self.low <= 0 <= self.high


EVERYTHING = Range()


@dataclass(frozen=True, slots=True)
class Amount:
    """One thing that an expression may be.

    Attributes:
        type: integer, float, string, ``None``, or not known.
        shown: the range that the computation itself shows, whatever tests it passes.
        possible: the same, narrowed by the tests on the way.
        source: the text of the machine's or the data's number that it grows with, without an
            upper bound: ``os.cpu_count()``, ``len(files)``.
        processors: true if that is the number of processors.
        reduced: something was taken away from the number of processors.
        text: the string itself, where it is one and known.
    """

    type: Type = Type.ANY
    shown: Range = EVERYTHING
    possible: Range = EVERYTHING
    source: str = ""
    processors: bool = False
    reduced: bool = False
    text: str | None = None

    @property
    def is_number(self) -> bool:
        """False for strings and ``None``."""
        return self.type not in (Type.TEXT, Type.NONE)

    @property
    def exact(self) -> float | None:
        """The number, where it is one and known."""
        return self.shown.low if self.is_number and self.shown.is_exact else None

    def within(self, possible: Range) -> Amount:
        """The same amount where a test has narrowed what is possible."""
        return replace(self, possible=possible)


Amounts: TypeAlias = "tuple[Amount, ...]"

ANYTHING = Amount()
SOME_INTEGER = Amount(Type.INTEGER)
SOME_FLOAT = Amount(Type.FLOAT)
SOME_TEXT = Amount(Type.TEXT)
NOTHING = Amount(Type.NONE)
UNKNOWN: Amounts = (ANYTHING,)


def of_constant(value: object) -> Amount:
    """The amount that a literal is."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return Amount(Type.TEXT, text=value)
    if isinstance(value, (bool, int)):
        return between(int(value), int(value))
    if isinstance(value, float) and math.isfinite(value):
        return Amount(Type.FLOAT, Range(value, value), Range(value, value))
    return SOME_FLOAT if isinstance(value, float) else ANYTHING


def between(low: float, high: float = INF, *, source: str = "", processors: bool = False) -> Amount:
    """An integer between two bounds."""
    ends = Range(low, high)
    return Amount(Type.INTEGER, ends, ends, source, processors)


def merged(*groups: Amounts) -> Amounts:
    """All amounts of the groups, each once; of too many the smallest and the largest."""
    if len(groups) == 1 and len(groups[0]) <= MOST_AMOUNTS:
        return groups[0]
    found: dict[Amount, None] = {}
    for group in groups:
        found.update(dict.fromkeys(group))
    if len(found) <= MOST_AMOUNTS:
        return tuple(found)
    in_order = sorted(found, key=lambda amount: (amount.shown.low, amount.shown.high))
    return (*in_order[: MOST_AMOUNTS // 3], *in_order[-MOST_AMOUNTS // 3 :], ANYTHING)


# -- operators -------------------------------------------------------------------------------------


def operation(name: str, lefts: Amounts, rights: Amounts) -> Amounts:
    """What an operator makes of two operands; ``name`` is LibCST's (``FloorDivide``)."""
    if len(lefts) * len(rights) > MOST_AMOUNTS**2:
        return UNKNOWN
    results = (_operated(name, left, right) for left in lefts for right in rights)
    return merged(tuple(amount for amount in results if amount is not None))


def _operated(name: str, left: Amount, right: Amount) -> Amount | None:
    """One operation; ``None`` where Python raises a ``TypeError`` or divides by zero."""
    if left.type is Type.NONE or right.type is Type.NONE:
        return None
    if left.type is Type.TEXT or right.type is Type.TEXT:
        return SOME_TEXT
    work = _OPERATORS.get(name)
    if work is None:
        return ANYTHING
    try:
        shown = work(left.shown, right.shown)
        possible = work(left.possible, right.possible)
    except (OverflowError, ValueError, ZeroDivisionError):
        return None if name in _DIVISIONS else ANYTHING
    kind = _type_of(name, left, right)
    grows = _grows(name, left, right)
    source = (left.source or right.source) if grows else ""
    takes = name == "Subtract" and right.shown.low > 0 and not right.source
    adds_less = name == "Add" and (right.shown.high < 0 or left.shown.high < 0)
    reduced = left.reduced or right.reduced
    processors = left.processors or right.processors
    if (left.processors and takes) or (processors and adds_less):
        reduced = True
    return Amount(kind, shown, possible, source, processors, reduced)


def _type_of(name: str, left: Amount, right: Amount) -> Type:
    if name == "Divide" or Type.FLOAT in (left.type, right.type):
        return Type.FLOAT
    if name == "Power" and right.shown.low < 0:
        return Type.ANY
    return Type.INTEGER if left.type is right.type is Type.INTEGER else Type.ANY


def _grows(name: str, left: Amount, right: Amount) -> bool:
    """Does the result grow with the source of one operand, the other being known?"""
    if left.source and right.source:
        return name in {"Add", "Multiply"}
    if left.source:
        exact = right.exact
        return exact is not None and (name in {"Add", "Subtract"} or exact > 0)
    exact = left.exact
    return exact is not None and (name == "Add" or (name == "Multiply" and exact > 0))


def _add(a: Range, b: Range) -> Range:
    return Range(a.low + b.low, a.high + b.high)


def _subtract(a: Range, b: Range) -> Range:
    return Range(a.low - b.high, a.high - b.low)


def _multiply(a: Range, b: Range) -> Range:
    ends = [_product(x, y) for x in a for y in b]
    return Range(min(ends), max(ends))


def _product(x: float, y: float) -> float:
    return 0 if x == 0 or y == 0 else x * y


def _divide(a: Range, b: Range) -> Range:
    return _divided(a, b, lambda x, y: 0 if abs(y) == INF else x / y)


def _floor_divide(a: Range, b: Range) -> Range:
    return _divided(a, b, _floored)


def _floored(x: float, y: float) -> float:
    if abs(y) == INF:
        return 0 if x == 0 or (x > 0) == (y > 0) else -1
    return x / y if abs(x) == INF else x // y


def _divided(a: Range, b: Range, work: Callable[[float, float], float]) -> Range:
    if b.low == b.high == 0:
        raise ZeroDivisionError
    if b.has_zero or (INF in (abs(a.low), abs(a.high)) and INF in (abs(b.low), abs(b.high))):
        return EVERYTHING
    ends = [work(x, y) for x in a for y in b]
    return Range(min(ends), max(ends))


def _modulo(a: Range, b: Range) -> Range:
    if a.is_exact and b.is_exact:
        return Range(a.low % b.low, a.low % b.low)
    if b.low > 0:
        return Range(0, b.high if b.high == INF else b.high - 1)
    return EVERYTHING


def _power(a: Range, b: Range) -> Range:
    if a.is_exact and b.is_exact and abs(b.low) <= _LARGEST_EXPONENT and abs(a.low) <= 1e6:
        result = a.low**b.low
        return Range(result, result)
    return EVERYTHING


def _shift_left(a: Range, b: Range) -> Range:
    return _power_of_two(a, b, _multiply)


def _shift_right(a: Range, b: Range) -> Range:
    return _power_of_two(a, b, _floor_divide)


def _power_of_two(a: Range, b: Range, work: Callable[[Range, Range], Range]) -> Range:
    if b.is_exact and 0 <= b.low <= _LARGEST_EXPONENT:
        factor = 2 ** int(b.low)
        return work(a, Range(factor, factor))
    return EVERYTHING


_DIVISIONS = frozenset({"Divide", "FloorDivide", "Modulo"})
_OPERATORS: dict[str, Callable[[Range, Range], Range]] = {
    "Add": _add,
    "Subtract": _subtract,
    "Multiply": _multiply,
    "Divide": _divide,
    "FloorDivide": _floor_divide,
    "Modulo": _modulo,
    "Power": _power,
    "LeftShift": _shift_left,
    "RightShift": _shift_right,
}


def negated(amounts: Amounts) -> Amounts:
    """What ``-x`` is."""
    return operation("Subtract", (between(0, 0),), amounts)


# -- functions -------------------------------------------------------------------------------------


def smallest(groups: list[Amounts]) -> Amounts:
    """What ``min(…)`` of the arguments gives."""
    return _extreme(groups, min)


def largest(groups: list[Amounts]) -> Amounts:
    """What ``max(…)`` of the arguments gives."""
    return _extreme(groups, max)


def _extreme(groups: list[Amounts], pick: Callable[..., float]) -> Amounts:
    if not groups or math.prod(len(group) for group in groups) > MOST_AMOUNTS**2:
        return UNKNOWN
    chosen = (_extreme_of(amounts, pick) for amounts in itertools.product(*groups))
    return merged(*chosen)


def _extreme_of(amounts: Amounts, pick: Callable[..., float]) -> Amounts:
    """One choice; an integer and a float that may both win give two amounts."""
    if not all(amount.is_number for amount in amounts):
        return ()  # Python raises a TypeError
    shown = _extreme_range([a.shown for a in amounts], pick)
    possible = _extreme_range([a.possible for a in amounts], pick)
    winners = [a for a in amounts if not _never_wins(a.possible, possible, pick)]
    source = _source_of_extreme(amounts, pick)
    return tuple(
        Amount(
            kind,
            shown,
            possible,
            source,
            any(a.processors for a in amounts),
            any(a.reduced for a in amounts),
        )
        for kind in dict.fromkeys(a.type for a in winners)
    )


def _extreme_range(ranges: list[Range], pick: Callable[..., float]) -> Range:
    return Range(pick(r.low for r in ranges), pick(r.high for r in ranges))


def _never_wins(own: Range, result: Range, pick: Callable[..., float]) -> bool:
    return own.low > result.high if pick is min else own.high < result.low


def _source_of_extreme(amounts: Amounts, pick: Callable[..., float]) -> str:
    """A maximum grows with any of its arguments; a minimum if no unknown one may bound it."""
    if pick is min and not all(a.source or a.exact is not None for a in amounts):
        return ""
    return next((a.source for a in amounts if a.source), "")


def rounded(amounts: Amounts, how: Callable[[float], int]) -> Amounts:
    """What ``int``, ``round``, ``math.floor``, ``math.ceil`` make of it: an integer."""
    return merged(tuple(a for amount in amounts if (a := _rounded(amount, how)) is not None))


def _rounded(amount: Amount, how: Callable[[float], int]) -> Amount | None:
    if amount.type is Type.NONE:
        return None
    if amount.type is Type.TEXT:
        try:
            return between(int(amount.text or ""), int(amount.text or ""))
        except ValueError:
            return SOME_INTEGER
    return replace(
        amount,
        type=Type.INTEGER,
        shown=_rounded_range(amount.shown, how),
        possible=_rounded_range(amount.possible, how),
    )


def _rounded_range(ends: Range, how: Callable[[float], int]) -> Range:
    return Range(*(end if abs(end) == INF else how(end) for end in ends))


def absolute(amounts: Amounts) -> Amounts:
    """What ``abs(x)`` is."""
    return merged(
        tuple(
            replace(a, shown=_absolute(a.shown), possible=_absolute(a.possible))
            for a in amounts
            if a.is_number
        )
    )


def _absolute(ends: Range) -> Range:
    high = max(abs(ends.low), abs(ends.high))
    return Range(0 if ends.has_zero else min(abs(ends.low), abs(ends.high)), high)


def as_float(amounts: Amounts) -> Amounts:
    """What ``float(x)`` is."""
    return merged(
        tuple(
            SOME_FLOAT if a.type is Type.TEXT else replace(a, type=Type.FLOAT)
            for a in amounts
            if a.type is not Type.NONE
        )
    )


# -- truth -----------------------------------------------------------------------------------------


def if_true(amount: Amount) -> Amount | None:
    """The amount where it is true in a test, or ``None`` where it never is."""
    if amount.type is Type.NONE or amount.text == "":
        return None
    if amount.type is Type.TEXT:
        return amount
    return without(amount, 0)


def if_false(amount: Amount) -> Amount | None:
    """The amount where it is false in a test, or ``None`` where it never is."""
    if amount.type is Type.TEXT:
        return None if amount.text else amount
    if amount.type is Type.NONE:
        return amount
    if not amount.possible.has_zero:
        return None
    return amount if amount.type is Type.ANY else amount.within(Range(0, 0))


def without(amount: Amount, number: float) -> Amount | None:
    """The amount where it is not a certain number, or ``None`` if it always is."""
    possible, whole = amount.possible, amount.type is Type.INTEGER
    if possible.low == possible.high == number:
        return None
    if whole and possible.low == number:
        return amount.within(possible._replace(low=number + 1))
    if whole and possible.high == number:
        return amount.within(possible._replace(high=number - 1))
    return amount
