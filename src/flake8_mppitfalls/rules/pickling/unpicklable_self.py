"""MPP204."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.pickling.refusals import Transport
from flake8_mppitfalls.model.values import BoundMethod, Made
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.pickling.telling import fails

if TYPE_CHECKING:
    from flake8_mppitfalls.model.pickling.crossing import Culprit
    from flake8_mppitfalls.model.program import Program

_STARTING = "the process can't be started by spawn or forkserver"


class UnpicklableSelf(Rule):
    """An object that holds something unpicklable goes to another process.

    What it does:
        Finds a bound method (``self.work``, ``job.work``), an object itself, also one that is
        called through ``__call__``, and a ``Process`` subclass at its ``start()``, whose class in
        this module keeps in an attribute what can't be pickled: a lambda, a local function, a
        lock of threads, an open file, a database connection, a widget, a camera, the pool itself
        and so on; for pools and executors, a lock or queue of ``multiprocessing``, too.
        Attributes of base classes and fields of dataclasses count, and so does a class that
        derives from such a thing: a window of ``tkinter`` or Qt. A bound method of a
        ``unittest.TestCase`` counts as well: while it runs, the test case holds the stream of its
        result.

    Why it is bad:
        A bound method is pickled with its object, and the object with all its attributes::

            TypeError: cannot pickle '_thread.lock' object
            TypeError: cannot pickle '_io.TextIOWrapper' object
            NotImplementedError: pool objects cannot be passed between processes or pickled
            RuntimeError: Lock objects should only be shared between processes through inheritance

        The method need not use the attribute. For a ``Process`` this happens under ``spawn`` and
        ``forkserver``: the code works on Linux and fails on Windows, on macOS, and with Python
        3.14.

    Example:
        ::

            class Converter:
                def __init__(self):
                    self.pool = multiprocessing.Pool()

                def convert(self, name):
                    ...

                def convert_all(self, names):
                    return self.pool.map(self.convert, names)

    Use instead:
        A function of the module, or a static method, that gets what it needs as arguments; or say
        what is to be pickled::

            class Converter:
                def __init__(self):
                    self.pool = multiprocessing.Pool()

                def __getstate__(self):
                    return {**vars(self), "pool": None}

    Known limits:
        What counts is what the code shows to be in the attribute when the object is sent:
        attributes that are set to ``None`` or deleted before, or set only after ``start()``, are
        no finding, and neither is a class with a ``__getstate__`` or ``__reduce__``, even an
        incomplete one, or with a base class from a module that is not known here. Locks and queues
        of threads in a ``Process`` subclass are MPP305.

    References:
        Python documentation, ``pickle``, "Handling Stateful Objects"; ``multiprocessing``,
        "The spawn and forkserver start methods".
    """

    code = "MPP204"
    name = "unpicklable-self"
    message = "{sent} can't be pickled: {held}; {consequence}; {instead}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the objects that hold something unpicklable when they are sent."""
        if not program.tree.nodes(cst.ClassDef):
            return
        for task in program.tasks:
            told = set()
            for culprit in program.crossing.culprits(task):
                if not culprit.in_object or (culprit.store, culprit.value) in told:
                    continue
                told.add((culprit.store, culprit.value))
                yield self._found(program, culprit, culprit.node, fails(program, task, "an error"))
        yield from self._started(program)

    def _started(self, program: Program) -> Iterator[Finding]:
        """Processes of this module's subclasses, where they are started."""
        if not any(made.cls for made in program.made.get(api.Kind.PROCESS, ())):
            return
        for call in program.tree.calls_of.get("start", ()):
            if not isinstance(call.func, cst.Attribute):
                continue
            for made in program.values(call.func.value):
                culprit = self._in_process(program, made, call.func.value, call)
                if culprit is not None:
                    yield self._found(program, culprit, call, _STARTING)
                    break

    def _in_process(
        self, program: Program, made: object, receiver: cst.BaseExpression, call: cst.Call
    ) -> Culprit | None:
        if not isinstance(made, Made) or made.kind is not api.Kind.PROCESS or made.cls is None:
            return None
        if not program.start_methods.spawns(made) or program.crossing.local_process(made):
            return None
        transport = Transport(starting=True, dill=made.flavour == "multiprocess")
        for culprit in program.crossing.of_object(made, receiver, call, transport):
            if not (culprit.thread and _is_set_by_constructor(program, culprit)):
                return culprit  # else: MPP305
        return None

    def _found(
        self, program: Program, culprit: Culprit, node: cst.CSTNode, consequence: str
    ) -> Finding:
        value = culprit.part.value
        text = program.source(culprit.node, "")
        owner = value.receiver if isinstance(value, BoundMethod) else value
        cls = getattr(owner, "cls", None)
        kind = cls.name.value if isinstance(cls, cst.ClassDef) else "the object"
        name = text.rpartition(".")[0] if isinstance(value, BoundMethod) else text
        if isinstance(node, cst.Call) and culprit.node is not node:
            text = name = text or "the process"
        if not name.isidentifier():
            name = kind
        if culprit.attribute:
            where = _where(program, culprit)
            place = f", set in {where}{program.at_line(culprit.store)}" if where else ""
            held = f"{name}.{culprit.attribute} ({culprit.what}{place}) goes with it"
            instead = (
                f"leave {culprit.attribute} out in __getstate__(), or send only what is needed"
            )
        else:
            held = f"{name} ({culprit.what}) goes with it"
            instead = "pass a function of the module"
        return self.finding(
            node,
            sent=text or f"an object of {kind}",
            held=held,
            consequence=consequence,
            instead=instead,
        )


def _is_set_by_constructor(program: Program, culprit: Culprit) -> bool:
    """Is it the attribute itself, as ``__init__`` sets it?"""
    if not isinstance(culprit.store, cst.Attribute) or _where(program, culprit) != "__init__":
        return False
    store = program.evaluator.classes.store_of(culprit.store)
    return store is not None and culprit.value in program.evaluator.stored(store)


def _where(program: Program, culprit: Culprit) -> str:
    """The name of the method (for a field: the class) that sets the attribute."""
    if culprit.store is None:
        return ""
    scope = program.tree.function_of(culprit.store).node
    return scope.name.value if isinstance(scope, (cst.FunctionDef, cst.ClassDef)) else "the module"
