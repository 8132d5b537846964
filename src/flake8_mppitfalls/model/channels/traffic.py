"""Traffic: who puts what into the queues and pipes of a module, and who takes it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.values import Made

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program

Channel: TypeAlias = "tuple[cst.CSTNode, str]"
"""A queue: where it is made; one end of a pipe: that, and which end."""

GETTING = frozenset({"get", "get_nowait", "recv", "recv_bytes", "recv_bytes_into"})
PUTTING = frozenset({"put", "put_nowait", "send", "send_bytes"})
_NEUTRAL = frozenset({"print", "id", "repr", "str", "type", "isinstance", "iter", "super", "len"})
"""Functions that do nothing to what they are given."""
_CHANNELS = (api.Kind.QUEUE, api.Kind.CONNECTION)


def channel_of(made: Made) -> Channel:
    """What identifies a queue or pipe end."""
    return made.site, made.name if made.kind is api.Kind.CONNECTION else ""


def other_end(channel: Channel) -> Channel:
    """The end of the pipe at which what is sent arrives; a queue itself."""
    site, end = channel
    return site, {"end 0": "end 1", "end 1": "end 0"}.get(end, end)


class Traffic:
    """Answers for the queues and pipes of one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._receivers: dict[cst.CSTNode, tuple[Channel, ...]] = {}
        self._calls: dict[str, dict[Channel, list[cst.Call]]] = {}
        self._members: dict[str, dict[Channel, list[cst.Attribute]]] = {}
        passes = program.runs.in_program
        self.taken: Effect[Channel] = Effect(program.runs, self._taken, passes)
        """What a step takes from."""
        self.put: Effect[Channel] = Effect(program.runs, self._put, passes)
        """What a step puts into."""

    def _taken(self, step: Step) -> Iterator[Channel]:
        if step.entered or not isinstance(step.node, cst.Call):
            return
        yield from self.used_by(step.node, GETTING)
        if self._tree.qualified(step.node.func) == "iter" and step.node.args:
            first = step.node.args[0].value
            if isinstance(first, cst.Attribute) and first.attr.value in GETTING:
                yield from self.channels(first.value)

    def _put(self, step: Step) -> Iterator[Channel]:
        if not step.entered and isinstance(step.node, cst.Call):
            yield from self.used_by(step.node, PUTTING)

    def used_by(self, call: cst.Call, names: Iterable[str]) -> tuple[Channel, ...]:
        """The queues and pipe ends that a call of one of these methods is for."""
        func = call.func
        if isinstance(func, cst.Attribute) and func.attr.value in names:
            return self.channels(func.value)
        return ()

    def channels(self, node: cst.CSTNode) -> tuple[Channel, ...]:
        """The queues and pipe ends that an expression may be."""
        known = self._receivers.get(node)
        if known is None:
            values = self._program.values(node)
            known = self._receivers[node] = tuple(
                dict.fromkeys(
                    channel_of(v) for v in values if isinstance(v, Made) and v.kind in _CHANNELS
                )
            )
        return known

    def calls(self, channel: Channel, names: Iterable[str]) -> list[cst.Call]:
        """The calls of these methods for one queue or pipe end, wherever they stand."""
        return [call for name in names for call in self._calls_by_channel(name).get(channel, ())]

    def _calls_by_channel(self, name: str) -> dict[Channel, list[cst.Call]]:
        known = self._calls.get(name)
        if known is None:
            known = self._calls[name] = {}
            for call in self._tree.calls_of.get(name, ()):
                for channel in self.used_by(call, (name,)):
                    known.setdefault(channel, []).append(call)
        return known

    def given_away(
        self, function: cst.CSTNode, is_it: Callable[[cst.CSTNode], bool]
    ) -> Iterator[cst.Call]:
        """The calls in a function that give something to code which the file does not show."""
        for node in self._tree.walk(function):
            arg = self._tree.parent(node)
            if isinstance(node, (cst.Name, cst.Attribute)) and isinstance(arg, cst.Arg):
                call = self._tree.parent(arg) if is_it(node) else None
                if isinstance(call, cst.Call) and self._tree.qualified(call.func) not in _NEUTRAL:
                    if not self._program.sides.functions(self._program.values(call.func)):
                        yield call

    def members(self, channel: Channel, names: Iterable[str]) -> list[cst.Attribute]:
        """The same methods where they are not called, but named: ``iter(queue.get, None)``."""
        return [node for name in names for node in self._members_by_channel(name).get(channel, ())]

    def _members_by_channel(self, name: str) -> dict[Channel, list[cst.Attribute]]:
        known = self._members.get(name)
        if known is None:
            known = self._members[name] = {}
            for node in self._tree.attributes.get(name, ()):
                parent = self._tree.parent(node)
                if isinstance(parent, cst.Call) and parent.func is node:
                    continue
                for channel in self.channels(node.value):
                    known.setdefault(channel, []).append(node)
        return known
