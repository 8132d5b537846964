"""Worker counts: which expressions say how many workers a pool or executor gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument, has_stars
from flake8_mppitfalls.model.values import Class, Container, External, Made, Partial, Result

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

KINDS = (api.Kind.POOL, api.Kind.EXECUTOR)


class Constructor(NamedTuple):
    """A call that makes a pool or executor of processes, as far as the file shows its arguments.

    ``calls`` hold them: the call itself, or the ``partial`` that it calls, with the number of
    parameters that are given before its first argument.
    """

    made: Made
    call: cst.Call
    maker: api.Maker
    calls: tuple[tuple[cst.Call, int], ...]
    is_complete: bool

    def given(self, program: Program, parameter: str) -> Given | None:
        """The expression for a parameter of the constructor."""
        for call, skip in self.calls:
            found = argument(call, self.maker.parameters, parameter, skip=skip)
            if found is not None:
                return Given(found, found)
            for arg in call.args:
                if arg.star == "**":
                    value = _in_dict(program, arg.value, parameter)
                    if value is not None:
                        return Given(value, arg.value)
        return None


class Given(NamedTuple):
    """An argument: what is evaluated, and where it is given (for ``**options`` the dict)."""

    value: cst.BaseExpression
    place: cst.BaseExpression


def constructors(program: Program) -> Iterator[Constructor]:
    """The pools and executors of processes that this file makes."""
    for kind in KINDS:
        for made in program.made.get(kind, ()):
            if isinstance(made.site, cst.Call):
                yield from _of_call(program, made, made.site)
    yield from _of_bases(program)


def is_on_windows(program: Program, constructor: Constructor) -> bool:
    """False where a platform test, a pinned start method or a handler leaves Windows out."""
    if "spawn" not in program.start_methods.of(constructor.made):
        return False
    given = constructor.given(program, "context")
    contexts = program.values(given.value) if given is not None else ()
    if {v.method for v in contexts if isinstance(v, Made)} == {"fork"}:
        return False  # it may be another one, if a caller says so
    counts = program.counts_on_windows
    if not counts.may_run(constructor.call) or not counts.is_possible(constructor.call):
        return False
    return constructor.made.kind is not api.Kind.EXECUTOR or not program.conditions.expects(
        constructor.call, "ValueError"
    )


def _of_call(program: Program, made: Made, call: cst.Call) -> Iterator[Constructor]:
    maker = api.MAKERS[made.name]
    if made.cls is not None and program.evaluator.classes.method(made.cls, "__init__"):
        return  # what its __init__ hands on counts
    for value in program.values(call.func):
        calls: list[tuple[cst.Call, int]] = []
        if isinstance(value, Partial):
            filled = sum(1 for a in value.site.args[1:] if a.keyword is None and not a.star)
            calls = [(call, filled), (value.site, -1)]
        elif isinstance(value, (External, Class)):
            calls = [(call, 0)]
        if calls:
            complete = not any(has_stars(c) for c, _ in calls)
            yield Constructor(made, call, maker, tuple(calls), complete)
            return


def _of_bases(program: Program) -> Iterator[Constructor]:
    """``super().__init__(64)`` in a subclass of a pool or executor."""
    for call in program.tree.calls_of.get("__init__", ()):
        function = program.tree.function_of(call).node
        cls = program.evaluator.classes.of_method(function)
        made = program.evaluator.instance(cls, None) if cls is not None else None
        if not isinstance(made, Made) or made.kind not in KINDS:
            continue
        if not isinstance(call.func, cst.Attribute):
            continue
        maker = api.MAKERS[made.name]
        for value in program.values(call.func.value):
            complete = not has_stars(call)
            if isinstance(value, Result) and value.name == "super":
                yield Constructor(made, call, maker, ((call, 0),), complete)
            elif isinstance(value, External) and api.maker(value.name) is not None:
                yield Constructor(made, call, maker, ((call, -1),), complete)


def _in_dict(
    program: Program, mapping: cst.BaseExpression, parameter: str
) -> cst.BaseExpression | None:
    """For ``Pool(**OPTIONS)`` with a dict of this module: the value under the parameter's name."""
    for value in program.values(mapping):
        if not isinstance(value, Container):
            return None
        if isinstance(value.site, cst.Dict):
            for pair in value.site.elements:
                if isinstance(pair, cst.DictElement):
                    if program.evaluator.text(pair.key) == parameter:
                        return pair.value
        elif isinstance(value.site, cst.Call):
            for arg in value.site.args:
                if arg.keyword is not None and arg.keyword.value == parameter:
                    return arg.value
    return None
