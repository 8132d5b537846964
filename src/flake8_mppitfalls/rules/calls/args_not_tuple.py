"""MPP701."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import UNKNOWN, Constant, Container, Made, Result
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_LIKE_ARGUMENTS = re.compile(r"(?i)(args?|arguments|params|parameters|tuple|argv|opts)$")
"""Names of what probably is a tuple."""


class ArgsNotTuple(Rule):
    """The arguments of a task are not given as a tuple.

    What it does:
        Finds ``args=`` and ``initargs=`` (and the second argument of ``apply()`` and
        ``apply_async()``) with a single value instead of a tuple: ``(x)``, which is just ``x``; a
        string, number, dict or set; a name that is shown to be bound to one, by a literal, an
        annotation, or a loop over ``range()`` or a literal list.

    Why it is bad:
        Parentheses don't make a tuple, the comma does. The value is taken apart as if it were the
        tuple. What can't be iterated over raises an error, of a ``Process`` in the parent and of a
        pool's task in the worker, where only ``get()`` shows it::

            TypeError: 'int' object is not iterable
            TypeError: ... argument after * must be an iterable, not int

        A string gives its characters, a dict its keys, one argument each::

            TypeError: work() takes 1 positional argument but 5 were given

        in the child, where nobody sees it.

    Example:
        ::

            p = Process(target=work, args=(name))

    Use instead:
        ::

            p = Process(target=work, args=(name,))

    Known limits:
        Names of unknown type, and names bound to a tuple or list, are no finding: the length of a
        list is MPP703's matter. ``executor.submit(work, (name))`` passes ``name``, as is meant.
        A string or set literal whose length happens to fit is left alone.

    References:
        Python documentation, ``multiprocessing.Process``: "The args argument, which is () by
        default"; Python tutorial, "Tuples and Sequences".
    """

    code = "MPP701"
    name = "args-not-tuple"
    message = "{what}: {consequence}; write {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each single value that stands for a tuple of arguments."""
        for task in program.tasks:
            if not task.in_processes:
                continue
            for parameter, spread in task.shape.arguments:
                if spread is api.Spread.TUPLE:
                    given = task.argument(parameter)
                    if given is not None and program.conventions.of(task.call) is None:
                        yield from self._judged(program, task, parameter, given)

    def _judged(
        self, program: Program, task: Task, parameter: str, given: cst.BaseExpression
    ) -> Iterator[Finding]:
        if isinstance(given, cst.Tuple):
            return
        kinds = [
            kind
            for value in program.values(given)
            if (kind := _wrong(program, task, given, value)) is not None
        ]
        if not kinds and not _is_alone_in_parentheses(program, given):
            return
        bare = given.with_changes(lpar=(), rpar=()) if _has_parentheses(given) else given
        text = program.tree.text(bare)
        if not text or len(text) > 45 or "\n" in text:
            text = "…"
        named = any(arg.value is given and arg.keyword is not None for arg in task.call.args)
        prefix = f"{parameter}=" if named else ""
        shown = f"({text})" if _has_parentheses(given) else text
        kind = kinds[0] if kinds else ""
        yield self.finding(
            given,
            what=f"{prefix}{shown} is {_article(kind) if kind else f'just {text}'}, not a tuple",
            consequence=_consequence(program, task, kind),
            cure=_cure(task, prefix, text, kind),
        )


def _has_parentheses(node: cst.BaseExpression) -> bool:
    return bool(getattr(node, "lpar", ())) and not isinstance(node, (cst.Tuple, cst.GeneratorExp))


def _wrong(program: Program, task: Task, given: cst.BaseExpression, value: Value) -> str | None:
    """The type of a value that surely is no sequence of arguments."""
    if isinstance(value, Constant):
        if value.value is None:
            return "NoneType" if value.node is given else None
        if isinstance(value.value, (str, bytes)):
            return None if _fits(program, task, len(value.value)) else type(value.value).__name__
        return type(value.value).__name__
    if isinstance(value, Container):
        return _wrong_container(program, task, value)
    if program.nature.is_iterable(value) is False:
        return program.nature.type_of(value) or "single value"
    kind = program.nature.type_of(value)
    return kind if kind in ("str", "bytes") else None


def _wrong_container(program: Program, task: Task, value: Container) -> str | None:
    site = value.site
    if value.type == "dict":
        if isinstance(site, (cst.Dict, cst.Call)):
            empty = not program.evaluator.containers.contributions(value)
            return None if empty else "dict"
        return "dict" if isinstance(site, cst.DictComp) else None
    if value.type == "annotation" and program.evaluator.containers.is_mapping(value):
        return "dict"
    if value.type == "set" and isinstance(site, cst.Set):
        return None if _fits(program, task, len(site.elements)) else "set"
    return None


def _fits(program: Program, task: Task, length: int) -> bool:
    """Is a string or set of this length just what the function takes, or may it be?"""
    if length == 0:
        return True
    assert task.callable is not None
    if any(not program.fit.targets(value) for value in program.values(task.callable)):
        return length == 1
    count = length + task.shape.leading
    if program.fit.misfit_of(task.callable, count) is not None:
        return False
    return length == 1 or program.fit.misfit_of(task.callable, count - 1) is not None


def _is_alone_in_parentheses(program: Program, given: cst.BaseExpression) -> bool:
    """``(x)`` for an ``x`` that is not known to be a sequence."""
    if not _has_parentheses(given):
        return False
    if not isinstance(given, (cst.Name, cst.Attribute, cst.Subscript)):
        return False
    name = given.value if isinstance(given, cst.Name) else ""
    if isinstance(given, cst.Attribute):
        name = given.attr.value
    if _LIKE_ARGUMENTS.search(name) or _is_slice(given):
        return False
    return all(_may_be_single(program, value) for value in program.values(given))


def _is_slice(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Subscript) and any(
        isinstance(element.slice, cst.Slice) for element in node.slice
    )


def _may_be_single(program: Program, value: Value) -> bool:
    if value is UNKNOWN:
        return True
    if isinstance(value, Result):
        return not value.name.startswith(("zip", "itertools.", "sys.argv"))
    if isinstance(value, Made):
        return value.kind not in (api.Kind.PIPE, api.Kind.RESULTS, api.Kind.LAZY_RESULTS)
    return program.nature.is_iterable(value) is not True


def _consequence(program: Program, task: Task, kind: str) -> str:
    name = program.callable_name(task)
    child = {"process": "in the child", "initializer": "in each worker"}.get(
        task.shape.role, "in the worker"
    )
    if kind == "str":
        return f"{name} gets one argument for each character {child}"
    if kind == "bytes":
        return f"{name} gets one argument for each byte {child}"
    if kind == "dict":
        return f"{name} gets its keys as arguments {child}"
    if kind == "set":
        return f"{name} gets its elements in no fixed order {child}"
    if not kind:
        return f"{name} gets the elements of it as its arguments {child}, if it has any"
    if task.shape.role == "process":
        return f"TypeError: '{kind}' object is not iterable"
    return f"{name} is never run {child}, argument after * must be an iterable, not {kind}"


def _cure(task: Task, prefix: str, text: str, kind: str) -> str:
    keywords = next((p for p, spread in task.shape.arguments if spread is api.Spread.MAPPING), "")
    if kind == "dict" and keywords:
        return f"{keywords}={text}"
    if kind == "set":
        return f"{prefix}({text[1:-1]})" if text[:1] == "{" else f"{prefix}(…, …)"
    return f"{prefix}({text},)"


def _article(kind: str) -> str:
    if kind == "NoneType":
        return "None"
    return f"{'an' if kind[0] in 'aeiouAEIO' else 'a'} {kind}"
