"""MPP209."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import BoundMethod, Function
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.pickling.telling import fails

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.pickling.parts import Part
    from flake8_mppitfalls.model.program import Program


class MangledMethodToWorker(Rule):
    """A method whose name Python mangles is handed to another process.

    What it does:
        Finds a method whose name begins with two underscores and does not end so, as the callable
        of a worker API: bound (``self.__work``), static or a class method, on any receiver; through
        ``partial`` or another name, too.

    Why it is bad:
        In a class ``Job``, ``self.__work`` is written for ``self._Job__work``. Pickle does not
        know: it writes the method as the name that the function has, ``__work``, and the other
        process looks for that::

            AttributeError: 'Job' object has no attribute '__work'
            PicklingError: Can't pickle <function Job.__work at 0x7f6753a23ce0>: attribute lookup
            Job.__work on __main__ failed

        A bound method is looked up in the worker, where the error ends the worker: a ``Pool`` makes
        a new one for ever and never gives a result, an executor breaks. A ``Process`` is pickled
        only by the start methods ``spawn`` and ``forkserver``.

    Example:
        ::

            class Job:
                def __work(self, item):
                    ...

                def run(self, items):
                    with multiprocessing.Pool() as pool:
                        return pool.map(self.__work, items)

    Use instead:
        One underscore::

            class Job:
                def _work(self, item):
                    ...

                def run(self, items):
                    with multiprocessing.Pool() as pool:
                        return pool.map(self._work, items)

    Known limits:
        ``multiprocess`` pickles with ``dill``, which takes such methods.

    References:
        Python documentation, "Private name mangling"; CPython issue 33007.
    """

    code = "MPP209"
    name = "mangled-method-to-worker"
    message = (
        "{method} can't be pickled: Python mangles its name, and the other process looks for"
        " {name}: {consequence}; begin the name with one underscore"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the mangled methods among the callables of worker API calls."""
        if not any(_is_mangled(f.name.value) for f in program.tree.nodes(cst.FunctionDef)):
            return
        for task in program.tasks:
            transport = program.crossing.transport(task)
            if transport is None or transport.dill:
                continue
            for part in program.crossing.parts(task):
                method = self._mangled(program, part)
                if method is not None:
                    yield self.finding(
                        part.node,
                        method=program.source(part.node, method.name.value),
                        name=method.name.value,
                        consequence=self._consequence(program, task, part),
                    )

    def _consequence(self, program: Program, task: Task, part: Part) -> str:
        if isinstance(part.value, Function):  # a static method: it is looked up before it is sent
            return fails(program, task)
        if task.shape.role == "process":
            return "the process fails before it begins, under spawn and forkserver"
        if any(made.kind is api.Kind.EXECUTOR for made in task.receivers):
            return "the executor breaks"
        return "the workers fail, and the pool waits for ever"

    def _mangled(self, program: Program, part: Part) -> cst.FunctionDef | None:
        """The mangled method that the part is, if it is one."""
        value, node = part.value, part.node
        method: cst.CSTNode | None = None
        if isinstance(value, (BoundMethod, Function)):
            method = value.node
        elif isinstance(node, cst.Attribute):
            method = self._by_its_name(program, node)
        if not isinstance(method, cst.FunctionDef) or not _is_mangled(method.name.value):
            return None
        if program.evaluator.classes.of_method(method) is None:
            return None
        return None if program.evaluator.calls.is_opaque(method) else method

    def _by_its_name(self, program: Program, node: cst.Attribute) -> cst.CSTNode | None:
        """The method for an object that is not known: a mangled name belongs to one class."""
        name = node.attr.value
        for around in program.tree.ancestors(node):
            if isinstance(around, cst.ClassDef) and _is_mangled(name):
                return self._method(program, around, name)
        for cls in program.tree.nodes(cst.ClassDef):
            prefix = f"_{cls.name.value.lstrip('_')}"
            if name.startswith(prefix + "__"):
                return self._method(program, cls, name[len(prefix) :])
        return None

    def _method(self, program: Program, cls: cst.ClassDef, name: str) -> cst.CSTNode | None:
        bindings = program.tree.scopes[cls].bindings.get(name, [])
        stores = program.evaluator.classes.stores(name)
        return bindings[0].node if len(bindings) == 1 and not stores else None


def _is_mangled(name: str) -> bool:
    return name.startswith("__") and not name.endswith("__")
