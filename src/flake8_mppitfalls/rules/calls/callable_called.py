"""MPP702."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.calling.nature import known
from flake8_mppitfalls.model.values import (
    Constant,
    Coroutine,
    Generator,
    Instance,
    Made,
    is_none,
    union,
)
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value, Values


class CallableCalled(Rule):
    """A function is called where it should be handed over.

    What it does:
        Finds ``target=f()``, ``apply_async(f(x))``, ``submit(f(x))``, ``map(f(), xs)``,
        ``initializer=f()`` and ``callback=f()`` where ``f`` is a function of this module that
        returns nothing that can be called; and a name or attribute that is shown to be bound to
        something that can't be: ``self.process = False; Process(target=self.process)``.

    Why it is bad:
        The work is done in the parent, now, before there is a process. What the child gets is the
        result. A ``Process`` with the target ``None`` does nothing and ends with exit code 0;
        anything else fails in the worker::

            TypeError: 'NoneType' object is not callable

    Example:
        ::

            p = Process(target=convert("a.png"))

    Use instead:
        ::

            p = Process(target=convert, args=("a.png",))

    Known limits:
        Functions that may return a callable (factories, ``functools.partial``) and calls that
        can't be resolved in this file are left alone. A plain ``None`` is too: it is the default.

    References:
        Python documentation, ``multiprocessing.Process``, ``multiprocessing.pool.Pool``,
        ``concurrent.futures.Executor.submit``.
    """

    code = "MPP702"
    name = "callable-called"
    message = "{what}, so {consequence}; {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each call, or value, that stands where a callable is wanted."""
        for task in program.tasks:
            if not task.in_processes or task.callable is None:
                continue
            if program.conventions.of(task.call) is None:
                yield from self._judged(program, task, task.callable, task.shape.callable)
            if task.gives is api.Kind.ASYNC_RESULT:
                for name in api.CALLBACKS:
                    callback = task.argument(name)
                    if callback is not None:
                        yield from self._judged(program, task, callback, name)
        for added in program.results.done_callbacks():
            yield from self._judged(program, None, added.callback, "")

    def _judged(
        self, program: Program, task: Task | None, node: cst.BaseExpression, slot: str
    ) -> Iterator[Finding]:
        values = _hiding(program, node) or program.values(node)
        if program.nature.may_be_called(node) is not False:
            if not values or any(program.nature.is_callable(v) is not False for v in values):
                return
        if isinstance(node, cst.Call):
            called = program.source(node.func, "the function")
            what = f"{called}() runs here, in the parent, before anything is handed over"
            if any(isinstance(value, (Coroutine, Generator)) for value in values):
                what = f"{called}() is called here, and its body never runs"
            yield self.finding(
                node,
                what=what,
                consequence=_consequence(program, values, slot),
                cure=f"write {_instead(program, task, node, slot)}",
            )
        elif not all(is_none(value) for value in values):
            text = program.source(node, "this")
            yield self.finding(
                node,
                what=f"{text} can't be called",
                consequence=_consequence(program, values, slot),
                cure="give a function",
            )


def _hiding(program: Program, node: cst.BaseExpression) -> Values:
    """What is assigned to an attribute in a constructor: it hides a method of the same name."""
    if not isinstance(node, cst.Attribute):
        return ()
    evaluator = program.evaluator
    contents: list[Values] = []
    for owner in program.values(node.value):
        if not isinstance(owner, (Instance, Made)) or owner.cls is None:
            return ()
        stores = evaluator.members.stores(owner.cls, node.attr.value)
        around = [program.tree.function_of(store.node).node for store in stores]
        if evaluator.classes.method(owner.cls, "__init__") not in around:
            return ()
        contents += [evaluator.stored(store) for store in stores]
    return union((), *contents)


def _consequence(program: Program, values: Values, slot: str) -> str:
    """What comes of handing over a value that can't be called."""
    kinds = [program.nature.type_of(value) for value in known(values)]
    kind = kinds[0] if kinds and len(set(kinds)) == 1 else None
    if slot == "target" and all(_is_false(value) for value in values):
        return "the process does nothing"
    if kind == "NoneType" and slot in ("initializer", *api.CALLBACKS):
        return "nothing is called later"
    what = f"'{kind}' object is not callable" if kind is not None else "its result is not callable"
    place = "when it is called back" if slot in ("", *api.CALLBACKS) else "in the worker"
    return f"TypeError {place}: {what}"


def _is_false(value: Value) -> bool:
    return isinstance(value, Constant) and not value.value


def _instead(program: Program, task: Task | None, call: cst.Call, slot: str) -> str:
    """How the function is handed over."""
    name = program.source(call.func, "f")
    args = [arg for arg in call.args if not arg.star and arg.keyword is None]
    texts = [program.tree.text(arg.value) for arg in args]
    plain = len(args) == len(call.args) and sum(map(len, texts)) <= 40
    short = plain and all(text and "\n" not in text for text in texts)
    listed = ", ".join(texts) if short else "…"
    inner = f"({listed},)" if len(texts) == 1 and listed != "…" else f"({listed})"
    if slot in api.CALLBACKS:
        return f"{slot}={name}"
    if slot == "initializer":
        return f"initializer={name}" + (f", initargs={inner}" if call.args else "")
    if slot == "target":
        return f"target={name}" + (f", args={inner}" if call.args else "")
    if task is None:
        return f"add_done_callback({name})"
    if task.name in ("submit", "run_in_executor"):
        first = "…, " if task.name == "run_in_executor" else ""
        return f"{task.name}({first}{name}{', ' + listed if call.args else ''})"
    if task.name in ("apply", "apply_async"):
        return f"{task.name}({name}{', ' + inner if call.args else ''})"
    return f"{task.name}({name}, …)"
