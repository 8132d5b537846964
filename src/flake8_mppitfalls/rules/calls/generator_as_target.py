"""MPP706."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Function,
    Instance,
    Made,
    Partial,
    with_article,
)
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value


class GeneratorAsTarget(Rule):
    """The target of a process is a generator or coroutine function.

    What it does:
        Finds a function with ``yield``, or an ``async def``, as the target of a ``Process``, also
        through ``functools.partial``, bound methods and ``__call__``; and a ``run()`` of a
        ``Process`` subclass that is one.

    Why it is bad:
        Calling such a function only makes a generator or coroutine object. The child throws it
        away: the body never runs, and the process ends with exit code 0. For a coroutine the
        child may still write ``RuntimeWarning: coroutine 'serve' was never awaited``.

    Example:
        ::

            async def serve(port):
                ...

            p = multiprocessing.Process(target=serve, args=(8080,))

    Use instead:
        ::

            def serve_forever(port):
                asyncio.run(serve(port))

            p = multiprocessing.Process(target=serve_forever, args=(8080,))

        and for a generator a function that loops over it.

    Known limits:
        Decorated functions are not followed: what the decorator makes of them may run the body.
        For tasks of pools and executors, whose result can't be pickled, see MPP208.

    References:
        Python documentation, ``multiprocessing.Process.run``; language reference, "Yield
        expressions" and "Coroutine function definition".
    """

    code = "MPP706"
    name = "generator-as-target"
    message = (
        "{name} is {what}: the process only makes the {kind}, its body never runs and"
        " the exit code is 0; {cure}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the targets whose body never runs."""
        for task in program.tasks:
            if task.in_processes and task.shape.role == "process" and task.callable is not None:
                for function in _lazy_functions(program, program.values(task.callable)):
                    yield self._found(program, task.callable, function)
                    break
        for cls in program.tree.nodes(cst.ClassDef):
            maker = program.evaluator.classes.maker(cls)
            if maker is None or maker.makes is not api.Kind.PROCESS:
                continue
            for binding in program.tree.scopes[cls].bindings.get("run", ()):
                if isinstance(binding.node, cst.FunctionDef) and _is_lazy(program, binding.node):
                    yield self._found(program, binding.node, binding.node)

    def _found(self, program: Program, node: cst.CSTNode, function: cst.FunctionDef) -> Finding:
        generates = program.tree.scopes[function].is_generator
        kind = "generator" if generates else "coroutine"
        called = program.fit.qualified_name(function)
        cure = f"give a function that loops over {function.name.value}()"
        if function.asynchronous is not None:
            cure = f"give a function that calls asyncio.run({function.name.value}(…))"
            if node is function:
                cure = "make it a plain method that calls asyncio.run()"
            kind = "coroutine" if not generates else "asynchronous generator"
        elif node is function:
            cure = "make it a plain method without yield"
        what = with_article(f"{kind} function")
        return self.finding(node, name=f"{called}()", what=what, kind=kind, cure=cure)


def _lazy_functions(program: Program, values: Iterable[Value]) -> Iterator[cst.FunctionDef]:
    for value in values:
        if isinstance(value, (Function, BoundMethod)):
            if _is_lazy(program, value.node):
                yield value.node
        elif isinstance(value, Partial):
            yield from _lazy_functions(program, value.targets)
        elif isinstance(value, (Instance, Made)) and value.cls is not None:
            method = program.evaluator.classes.method(value.cls, "__call__")
            if method is not None and _is_lazy(program, method):
                yield method


def _is_lazy(program: Program, function: cst.FunctionDef) -> bool:
    if program.evaluator.calls.is_opaque(function):
        return False
    return function.asynchronous is not None or program.tree.scopes[function].is_generator
