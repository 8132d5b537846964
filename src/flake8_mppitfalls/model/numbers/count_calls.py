"""The numbers that functions from elsewhere give: ``min``, ``int``, ``os.cpu_count``, argparse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.frames import ANYWHERE, At
from flake8_mppitfalls.model.numbers import amounts
from flake8_mppitfalls.model.numbers.amounts import (
    UNKNOWN,
    Amount,
    Amounts,
    Type,
    between,
    merged,
)
from flake8_mppitfalls.model.values import Container, External, Function, Lambda, Result
from flake8_mppitfalls.syntax.literals import literal
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.numbers.counts import Counts
    from flake8_mppitfalls.model.values import ResultMember, Value
    from flake8_mppitfalls.syntax.tree import Tree

PROCESSORS = frozenset(
    "os.cpu_count os.process_cpu_count multiprocessing.cpu_count psutil.cpu_count joblib.cpu_count "
    "loky.cpu_count joblib.parallel.cpu_count".split()
)
"""Functions that give the number of processors."""
TEXTS = frozenset({"os.environ", "sys.argv"})
"""What holds strings only."""
_AFFINITY = frozenset({"os.sched_getaffinity", "psutil.Process().cpu_affinity"})
_READING = frozenset({"os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault"})
_ROUNDING: dict[str, Callable[[float], int]] = {
    "int": int,
    "math.floor": math.floor,
    "math.ceil": math.ceil,
    "math.trunc": math.trunc,
    "numpy.int32": int,
    "numpy.int64": int,
}
_ROUNDED_FLOATS: dict[str, Callable[[float], int]] = {
    "numpy.floor": math.floor,
    "numpy.ceil": math.ceil,
    "numpy.round": round,
    "numpy.rint": round,
}
_FLOATS = frozenset(
    "math.sqrt math.log math.log2 math.log10 math.exp math.pow math.fabs math.hypot random.random "
    "random.uniform time.time time.monotonic time.perf_counter statistics.mean numpy.sqrt "
    "numpy.mean numpy.log2".split()
)
_OPTIONS = frozenset({"click.option", "click.argument", "rich_click.option"})
_DEFAULTS = frozenset(
    "typer.Option typer.Argument dataclasses.field attr.ib attrs.field attr.field pydantic.Field "
    "click.Option".split()
)
"""Calls that stand for a default value: the first argument, or ``default=``."""
_FACTORIES = frozenset({"default_factory", "factory"})
_GETTING = frozenset({"get", "pop", "setdefault", "getint", "get_int", "getfloat"})


def of_external(counts: Counts, name: str, call: cst.Call, at: At) -> Amounts:
    """What a call of a function from elsewhere gives."""
    plain = api.canonical(name)
    if plain in PROCESSORS:
        return _processors(dotted_name(call.func) or plain)
    if name in _READING:
        return _environment(counts, call, at)
    if name == "input":
        return (amounts.SOME_TEXT,)
    if name in ("str", "repr", "format"):
        return (amounts.SOME_TEXT,)
    if name in _FLOATS:
        return (amounts.SOME_FLOAT,)
    if name in _DEFAULTS:
        return _default_of(counts, call, at)
    if not call.args or any(arg.star for arg in call.args):
        return UNKNOWN
    work = _FUNCTIONS.get(name)
    if work is not None:
        return work(counts, call, at)
    if name in _ROUNDING:
        if len(call.args) > 1:
            return (amounts.SOME_INTEGER,)
        return amounts.rounded(counts.value(call.args[0].value, at), _ROUNDING[name])
    if name in _ROUNDED_FLOATS:
        inner = counts.value(call.args[0].value, at)
        return amounts.as_float(amounts.rounded(inner, _ROUNDED_FLOATS[name]))
    return UNKNOWN


def _processors(function: str) -> Amounts:
    return (between(1, source=f"{function}()", processors=True),)


def _environment(counts: Counts, call: cst.Call, at: At) -> Amounts:
    """``os.environ.get("JOBS", 4)``: a string, or the default."""
    if len(call.args) > 1 and not call.args[1].star:
        return merged((amounts.SOME_TEXT,), counts.value(call.args[1].value, at))
    return (amounts.SOME_TEXT, amounts.NOTHING)


def _default_of(counts: Counts, call: cst.Call, at: At) -> Amounts:
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == "default":
            return counts.value(arg.value, at)
        if arg.keyword is not None and arg.keyword.value in _FACTORIES:
            return merged(*(_of_factory(counts, v) for v in counts.values(arg.value)))
    name = dotted_name(call.func).rpartition(".")[2]
    if name in {"Option", "Argument", "Field"} and call.args and call.args[0].keyword is None:
        return counts.value(call.args[0].value, at)
    return UNKNOWN


def _of_factory(counts: Counts, value: Value) -> Amounts:
    """What a function without arguments gives: ``field(default_factory=os.cpu_count)``."""
    if isinstance(value, External) and api.canonical(value.name) in PROCESSORS:
        return _processors(value.name)
    if isinstance(value, Lambda):
        return counts.value(value.node.body, ANYWHERE)
    if isinstance(value, Function) and value.node.asynchronous is None:
        return counts.returned(value.node, None)
    return UNKNOWN


def of_method(counts: Counts, call: cst.Call, at: At) -> Amounts:
    """``settings.get("jobs", 8)``: the default counts, whatever else there may be."""
    func = call.func
    if not isinstance(func, cst.Attribute) or func.attr.value not in _GETTING:
        return UNKNOWN
    default: cst.BaseExpression | None = None
    for i, arg in enumerate(call.args):
        if arg.star:
            return UNKNOWN
        if arg.keyword is not None and arg.keyword.value in {"fallback", "default"}:
            default = arg.value
        elif arg.keyword is None and i == 1:
            default = arg.value
    if any(isinstance(value, Container) for value in counts.values(func.value)):
        known = counts.looked_up(func.value, call.args[0].value) if call.args else None
        return known if known is not None else UNKNOWN
    if default is None:
        return UNKNOWN
    found = tuple(value for value in counts.value(default, at) if value.is_number)
    return merged(found, UNKNOWN)


def of_range(groups: list[Amounts]) -> Amounts:
    """What a loop over ``range(…)`` gives: the first turn, the last, and those in between."""
    ends = [group[0].exact if len(group) == 1 else None for group in groups]
    if not ends or len(ends) > 3 or any(end is None or end != int(end) for end in ends):
        return (amounts.SOME_INTEGER, *_last_turns(groups))
    numbers = range(*(int(end) for end in ends if end is not None)) if _steps(ends) else None
    if numbers is None or not numbers:
        return ()
    low, high = min(numbers[0], numbers[-1]), max(numbers[0], numbers[-1])
    return merged((between(low, low),), (between(high, high),), (between(low, high),))


def _last_turns(groups: list[Amounts]) -> Iterator[Amount]:
    """``range(1, cpu_count() + 1)`` comes to the number of processors in its last turn."""
    if not 1 <= len(groups) <= 2:
        return
    low = min((start.shown.low for start in groups[0]), default=0) if len(groups) == 2 else 0
    for end in groups[-1]:
        if end.source:
            high = end.shown.high - 1
            yield between(
                max(low, end.shown.low - 1), high, source=end.source, processors=end.processors
            )


def _steps(ends: list[float | None]) -> bool:
    return len(ends) < 3 or ends[2] != 0


def of_parsed(counts: Counts, value: ResultMember) -> Amounts:
    """``args.jobs``: the ``default`` that ``add_argument`` gives, whatever else the user says."""
    if not value.receiver.name.rpartition(".")[2].startswith("parse_"):
        return UNKNOWN
    calls = counts.options.get(value.name, ())
    return merged(*(_parsed_default(counts, call) for call in calls), UNKNOWN)


def options(tree: Tree) -> dict[str, list[cst.Call]]:
    """The calls of ``add_argument()``, by what they set."""
    found: dict[str, list[cst.Call]] = {}
    for call in tree.calls_of.get("add_argument", ()):
        for name in _destinations(call):
            found.setdefault(name, []).append(call)
    return found


def of_option(counts: Counts, tree: Tree, function: cst.CSTNode, name: str) -> Amounts:
    """A parameter of a click command: the ``default`` of its ``@click.option("--jobs", …)``."""
    groups: list[Amounts] = []
    for decorator in function.decorators if isinstance(function, cst.FunctionDef) else ():
        call = decorator.decorator
        if isinstance(call, cst.Call) and tree.qualified(call.func) in _OPTIONS:
            if name in _destinations(call, plain_first=True):
                groups.append(_parsed_default(counts, call))
    return merged(*groups)


def _destinations(call: cst.Call, *, plain_first: bool = False) -> set[str]:
    """What an option sets: ``dest``, the first long option, or the first short.

    ``plain_first``: for click that is a name without dashes, if there is one.
    """
    names: list[str] = []
    for arg in call.args:
        if isinstance(arg.value, cst.SimpleString):
            text = literal(arg.value)
            if isinstance(text, str):
                if arg.keyword is not None and arg.keyword.value == "dest":
                    return {text}
                if arg.keyword is None:
                    names.append(text)
    plain = [name for name in names if plain_first and not name.startswith("-")]
    long = [name for name in names if name.startswith("--")]
    chosen = (plain or long or names)[:1]
    return {name.lstrip("-").replace("-", "_") for name in chosen}


def _parsed_default(counts: Counts, call: cst.Call) -> Amounts:
    converts = False
    default: Amounts = ()
    for arg in call.args:
        if arg.keyword is None:
            continue
        if arg.keyword.value == "default":
            default = counts.value(arg.value, ANYWHERE)
        elif arg.keyword.value == "type":
            converts = dotted_name(arg.value) == "int"
    if converts:  # argparse converts a default that is a string
        return merged(
            *(amounts.rounded((a,), int) if a.type is Type.TEXT else (a,) for a in default)
        )
    return tuple(amount for amount in default if amount.is_number)


# -- builtins --------------------------------------------------------------------------------------


def _extreme(pick: Callable[[list[Amounts]], Amounts]) -> Callable[..., Amounts]:
    def work(counts: Counts, call: cst.Call, at: At) -> Amounts:
        given = [arg.value for arg in call.args if arg.keyword is None]
        if any(arg.keyword is not None and arg.keyword.value == "key" for arg in call.args):
            return UNKNOWN
        if len(given) == 1:
            display = given[0]
            if not isinstance(display, (cst.List, cst.Tuple, cst.Set)):
                return UNKNOWN
            if any(isinstance(e, cst.StarredElement) for e in display.elements):
                return UNKNOWN
            given = [element.value for element in display.elements]
        return pick([counts.value(node, at) for node in given])

    return work


def _absolute(counts: Counts, call: cst.Call, at: At) -> Amounts:
    return amounts.absolute(counts.value(call.args[0].value, at))


def _float(counts: Counts, call: cst.Call, at: At) -> Amounts:
    return amounts.as_float(counts.value(call.args[0].value, at))


def _round(counts: Counts, call: cst.Call, at: At) -> Amounts:
    inner = counts.value(call.args[0].value, at)
    return inner if len(call.args) > 1 else amounts.rounded(inner, round)


def _bool(counts: Counts, call: cst.Call, at: At) -> Amounts:
    return (between(0, 1),)


def _cast(counts: Counts, call: cst.Call, at: At) -> Amounts:
    return counts.value(call.args[1].value, at) if len(call.args) > 1 else UNKNOWN


def _getattr(counts: Counts, call: cst.Call, at: At) -> Amounts:
    if len(call.args) < 3:
        return UNKNOWN
    default = counts.value(call.args[2].value, at)
    return merged(tuple(value for value in default if value.is_number), UNKNOWN)


def _randint(counts: Counts, call: cst.Call, at: At) -> Amounts:
    groups = [counts.value(arg.value, at) for arg in call.args[:2]]
    ends = [group[0].exact for group in groups if len(group) == 1]
    if len(ends) == 2 and ends[0] is not None and ends[1] is not None:
        return (between(ends[0], ends[1]),)
    return (amounts.SOME_INTEGER,)


def _integer(counts: Counts, call: cst.Call, at: At) -> Amounts:
    return (amounts.SOME_INTEGER,)


def _length(counts: Counts, call: cst.Call, at: At) -> Amounts:
    node = call.args[0].value
    values = counts.values(node)
    if any(isinstance(v, Result) and v.name in _AFFINITY for v in values):
        return (between(1, source=counts.text(call), processors=True),)
    size = counts.length(node)
    if size:
        return (between(size, size),)
    return (between(0, source=counts.text(call)),)


_FUNCTIONS: dict[str, Callable[[Any, cst.Call, Any], Amounts]] = {
    "min": _extreme(amounts.smallest),
    "max": _extreme(amounts.largest),
    "abs": _absolute,
    "float": _float,
    "round": _round,
    "bool": _bool,
    "len": _length,
    "typing.cast": _cast,
    "getattr": _getattr,
    "random.randint": _randint,
    "random.randrange": _integer,
    "math.isqrt": _integer,
    "hash": _integer,
    "ord": _integer,
    "id": _integer,
}
