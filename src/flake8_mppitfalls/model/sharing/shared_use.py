"""Shared use: where what processes share is used, and where it is given to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.values import Made

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program

Thing: TypeAlias = "tuple[api.Kind, cst.CSTNode]"
"""A queue, lock and so on: its kind, and where it is made."""
Place: TypeAlias = "tuple[cst.CSTNode, bool]"
"""The node of a step, and whether that is entered there."""

_QUEUE = frozenset({"put", "put_nowait", "get", "get_nowait"})
_PIPE = frozenset({"send", "send_bytes", "recv", "recv_bytes", "recv_bytes_into"})
_LOCK = frozenset({"acquire", "__enter__"})
USES = {
    api.Kind.QUEUE: _QUEUE,
    api.Kind.CONNECTION: _PIPE,
    api.Kind.LOCK: _LOCK,
    api.Kind.SEMAPHORE: _LOCK,
    api.Kind.CONDITION: _LOCK | {"wait", "wait_for"},
    api.Kind.BARRIER: frozenset({"wait"}),
    api.Kind.EVENT: frozenset({"set", "wait", "clear", "is_set"}),
    api.Kind.VALUE: frozenset({"get_lock"}),
    api.Kind.ARRAY: frozenset({"get_lock"}),
}
"""What takes the lock of a thing, or touches its pipe."""

_ALL_USES = frozenset().union(*USES.values())


def thing_of(made: Made) -> Thing:
    """What identifies a thing; for a pipe either end will do."""
    return made.kind, made.site


class SharedUse:
    """Which steps use what processes share, or hand it to a process; and to which."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self.begins = Effect(program.runs, self._begun, program.runs.in_program)

    def _begun(self, step: Step) -> Iterator[cst.CSTNode]:
        return (start.site for start in self._program.starts.direct(step))

    @cached_property
    def processes(self) -> dict[Thing, list[Made]]:
        """The processes that each thing is given to."""
        found: dict[Thing, list[Made]] = {}
        for process in self._program.made.get(api.Kind.PROCESS, ()):
            for thing in dict.fromkeys(map(thing_of, self._program.handovers.of(process))):
                found.setdefault(thing, []).append(process)
        return found

    @cached_property
    def uses(self) -> dict[Thing, set[Place]]:
        """The steps that use each thing themselves."""
        found: dict[Thing, set[Place]] = {}
        for step in self._program.runs.everywhere():
            for thing in self._used_at(step):
                found.setdefault(thing, set()).add((step.node, step.entered))
        return found

    @cached_property
    def hands(self) -> dict[Thing, set[Place]]:
        """The steps that start a process which has the thing."""
        given: dict[cst.CSTNode, list[Thing]] = {}
        for thing, processes in self.processes.items():
            for process in processes:
                given.setdefault(process.site, []).append(thing)
        found: dict[Thing, set[Place]] = {}
        for step in self._program.runs.everywhere():
            for site in self._begun(step):
                for thing in given.get(site, ()):
                    found.setdefault(thing, set()).add((step.node, step.entered))
        return found

    def _used_at(self, step: Step) -> Iterator[Thing]:
        call = step.node
        if step.entered:
            yield from (thing_of(value) for value in step.values if isinstance(value, Made))
        elif isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute):
            yield from self._used_by(call.func)
        if isinstance(call, cst.Call) and self._tree.qualified(call.func) == "iter" and call.args:
            first = call.args[0].value
            if isinstance(first, cst.Attribute):
                yield from self._used_by(first)

    def _used_by(self, method: cst.Attribute) -> Iterator[Thing]:
        if method.attr.value in _ALL_USES:
            for value in self._program.values(method.value):
                if isinstance(value, Made) and method.attr.value in USES.get(value.kind, ()):
                    yield thing_of(value)
