"""Handovers: which queues, pipe ends, locks and the like go to a process with its start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.pickling.parts import Parts
from flake8_mppitfalls.model.values import BoundMethod, Instance, Made

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

SHARED = api.SHARED_BY_INHERITANCE | {api.Kind.CONNECTION, api.Kind.PROXY, api.Kind.PIPE}
"""What several processes may use together."""


class Handovers:
    """Answers for the processes of one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._parts = Parts(program.evaluator)
        self._known: dict[cst.CSTNode, list[Made]] = {}

    def of(self, process: Made) -> list[Made]:
        """The shared things that go with a process: its arguments, and its attributes."""
        known = self._known.get(process.site)
        if known is None:
            known = self._known[process.site] = list(dict.fromkeys(self._given(process)))
        return known

    def _given(self, process: Made) -> Iterator[Made]:
        if not isinstance(process.site, cst.Call):
            return
        task = self._program.task_of(process.site)
        if task is not None:
            for part in self._parts.of(task):
                yield from self._shared(part.value)
                if part.is_callable and isinstance(part.value, BoundMethod):
                    yield from self._of_object(part.value)
        else:
            for arg in process.site.args:
                for part in self._parts.of_expression(arg.value):
                    yield from self._shared(part.value)
        if process.cls is not None:
            yield from self._made_by_constructor(process.cls)

    def _shared(self, value: Value) -> Iterator[Made]:
        if isinstance(value, Made) and value.kind in SHARED:
            yield value

    def _of_object(self, method: BoundMethod) -> Iterator[Made]:
        """What the object of a bound method holds, and the method (or what it calls) uses."""
        receiver = method.receiver
        cls = receiver.cls if isinstance(receiver, (Instance, Made)) else None
        if cls is None:
            return
        reached = self._program.sides.reach((method.node,))
        for name, attributes in self._tree.attributes.items():
            stores = self._program.evaluator.members.stores(cls, name)
            if not stores:
                continue
            used = any(
                function in reached
                for node in attributes
                for function in self._program.sides.functions_around(node)
            )
            for store in stores if used else ():
                for value in self._program.evaluator.stored(store):
                    yield from self._shared(value)

    def _made_by_constructor(self, cls: cst.ClassDef) -> Iterator[Made]:
        """``self.results = Queue()`` in ``__init__()`` of a subclass of ``Process``."""
        classes = self._program.evaluator.classes
        for c in classes.mro(cls):
            for binding in self._tree.scopes[c].bindings.get("__init__", ()):
                if not isinstance(binding.node, cst.FunctionDef):
                    continue
                for call in self._tree.walk(binding.node):
                    if isinstance(self._tree.parent(call), cst.Assign):
                        for value in self._program.values(call):
                            if isinstance(value, Made) and value.site is call:
                                yield from self._shared(value)
