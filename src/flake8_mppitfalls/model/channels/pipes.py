"""Pipes: to which processes the ends of a pipe go, and where they are closed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.channels.traffic import channel_of
from flake8_mppitfalls.model.evaluation.containers import ADDING
from flake8_mppitfalls.model.pickling.parts import Parts
from flake8_mppitfalls.model.values import BoundMethod, Class, Function, Made
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flake8_mppitfalls.model.channels.traffic import Channel
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program

ENDS = ("end 0", "end 1")
_USING = ("send", "send_bytes", "recv", "recv_bytes", "recv_bytes_into", "poll", "close")
_CLOSING = ("close", "fileno", "detach", "__exit__")
_HARMLESS = frozenset({"print", "repr", "str", "id", "len", "isinstance", "type", "bool"})
_KEEPING = ADDING | {"put"}


@dataclass(frozen=True, slots=True, eq=False)
class Gift:
    """An end of a pipe that a process gets with its start, or a task among its arguments.

    Attributes:
        node: the argument.
        call: the call that makes the process or hands over the task.
        task: the worker API call; ``None`` for the constructor of a ``Process`` subclass.
    """

    node: cst.CSTNode
    call: cst.Call
    task: Task | None


class Pipes:
    """Answers about the pipes of one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree

    def made(self) -> list[Made]:
        """The calls of ``Pipe()``."""
        return [m for m in self._program.made.get(api.Kind.PIPE, ()) if not m.is_declared]

    def name_of(self, channel: Channel) -> str:
        """What the code calls an end where it makes the pipe; ``one end`` where it has no name."""
        target = self.target_of(channel)
        return self._program.source(target, "one end") if target is not None else "one end"

    def target_of(self, channel: Channel) -> cst.BaseExpression | None:
        """What an end is assigned to where the pipe is made."""
        assign = self._tree.parent(channel[0])
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        if isinstance(target, (cst.Tuple, cst.List)) and len(target.elements) == len(ENDS):
            return target.elements[ENDS.index(channel[1])].value
        return None

    # -- processes -----------------------------------------------------------------------------

    def gifts(self, channel: Channel) -> list[Gift]:
        """The arguments by which an end goes to other processes, in the order of the text."""
        return self._gifts.get(channel, [])

    @cached_property
    def _gifts(self) -> dict[Channel, list[Gift]]:
        found: dict[Channel, list[Gift]] = {}
        parts = Parts(self._program.evaluator)
        for task in self._program.tasks:
            if task.in_processes and task.shape.role in ("process", "initializer", "task"):
                given: list[tuple[cst.CSTNode, object]] = [
                    (p.node, p.value) for p in parts.of(task)
                ]
                given += self._of_object(task)
                self._add(found, given, task.call, task)
        for made in self._program.made.get(api.Kind.PROCESS, ()):
            call = made.site
            if isinstance(call, cst.Call) and self._program.task_of(call) is None:
                given = [
                    (p.node, p.value) for arg in call.args for p in parts.of_expression(arg.value)
                ]
                self._add(found, given, call, None)
        return found

    def _of_object(self, task: Task) -> Iterator[tuple[cst.CSTNode, object]]:
        """The ends that a method uses whose object goes to the process: ``target=self.work``."""
        if task.callable is None or task.shape.role != "process":
            return
        methods = [v for v in self._program.values(task.callable) if isinstance(v, BoundMethod)]
        if not methods or not self.made():
            return
        reached = self._program.sides.reach([method.node for method in methods])
        for name in _USING:
            for node in self._tree.attributes.get(name, ()):
                if isinstance(node.value, cst.Attribute):
                    if reached.intersection(self._program.sides.functions_around(node)):
                        for value in self._program.values(node.value):
                            yield task.callable, value

    def _add(
        self,
        found: dict[Channel, list[Gift]],
        given: Sequence[tuple[cst.CSTNode, object]],
        call: cst.Call,
        task: Task | None,
    ) -> None:
        channels: dict[Channel, cst.CSTNode] = {}
        for argument, value in given:
            if isinstance(value, Made) and value.kind is api.Kind.CONNECTION:
                channels.setdefault(channel_of(value), argument)
            elif isinstance(value, Made) and value.kind is api.Kind.PIPE:
                for end in ENDS:
                    channels.setdefault((value.site, end), argument)
        for arg in call.args:  # an end inside a call: Writer(sender)
            for node in self._tree.walk(arg.value):
                if isinstance(node, (cst.Name, cst.Attribute, cst.Subscript)):
                    for channel in self._program.traffic.channels(node):
                        if channel[1]:
                            channels.setdefault(channel, node)
        for channel, place in channels.items():
            found.setdefault(channel, []).append(Gift(place, call, task))

    def entries(self, gift: Gift) -> list[Entry]:
        """The functions of this module by which the process begins that gets the end."""
        return [
            entry
            for entry in self._program.sides.entries()
            if (entry.task is not None and entry.task is gift.task)
            or (
                entry.task is None
                and gift.call in self._program.concurrency.instances_of(entry.function)
            )
        ]

    def processes(self, gift: Gift) -> list[Made]:
        """The process, pool or executor that gets the end."""
        if gift.task is not None and gift.task.receivers:
            return list(gift.task.receivers)
        return [
            value
            for value in self._program.values(gift.call)
            if isinstance(value, Made) and value.site is gift.call
        ]

    # -- closing -------------------------------------------------------------------------------

    def closers(self, channel: Channel) -> list[cst.CSTNode]:
        """The places where an end is closed, or may be: by code that nobody knows, too."""
        gifts = {gift.call for gift in self.gifts(channel)}
        return [
            *self._closing.get(channel, ()),
            *self._rebound(channel),
            *(
                call
                for call in self._handed_on.get(channel, ())
                if not any(self._tree.is_within(call, gift) for gift in gifts)
            ),
        ]

    @cached_property
    def _closing(self) -> dict[Channel, list[cst.CSTNode]]:
        found: dict[Channel, list[cst.CSTNode]] = {}
        for name in _CLOSING:
            for node in self._tree.attributes.get(name, ()):
                call = self._tree.parent(node)
                for channel in self._program.traffic.channels(node.value):
                    found.setdefault(channel, []).append(
                        call if isinstance(call, cst.Call) else node
                    )
        for item in self._tree.nodes(cst.WithItem):
            for channel in self._program.traffic.channels(item.item):
                found.setdefault(channel, []).append(item)
        for statement in self._tree.nodes(cst.Del):
            for part in self._tree.walk(statement.target):
                if isinstance(part, (cst.Name, cst.Attribute)):
                    for channel in self._program.traffic.channels(part):
                        found.setdefault(channel, []).append(statement)
        return found

    def _rebound(self, channel: Channel) -> Iterator[cst.CSTNode]:
        """``writer = None``"""
        target = self.target_of(channel)
        if target is None:
            return
        for assign in self._forgetting.get(dotted_name(target), ()):
            if any(t.target.deep_equals(target) for t in assign.targets):
                yield assign

    @cached_property
    def _forgetting(self) -> dict[str, list[cst.Assign]]:
        """The assignments of ``None``, by what they are made to."""
        found: dict[str, list[cst.Assign]] = {}
        for assign in self._tree.nodes(cst.Assign):
            if isinstance(assign.value, cst.Name) and assign.value.value == "None":
                for name in dict.fromkeys(dotted_name(t.target) for t in assign.targets):
                    found.setdefault(name, []).append(assign)
        return found

    @cached_property
    def _handed_on(self) -> dict[Channel, list[cst.CSTNode]]:
        """Calls of functions from elsewhere that get an end as an argument."""
        found: dict[Channel, list[cst.CSTNode]] = {}
        for call in self._tree.nodes(cst.Call):
            channels: dict[Channel, None] = {}
            for arg in call.args:
                if isinstance(arg.value, (cst.Name, cst.Attribute)):
                    channels.update(dict.fromkeys(self._program.traffic.channels(arg.value)))
            if channels and not self._is_known(call):
                for channel in channels:
                    found.setdefault(channel, []).append(call)
        return found

    def _is_known(self, call: cst.Call) -> bool:
        """A call that closes nothing: of this module, or one that only looks, or keeps."""
        func = call.func
        if isinstance(func, cst.Attribute) and func.attr.value in _KEEPING:
            return True
        if self._tree.qualified(func) in _HARMLESS:
            return True
        values = self._program.values(func)
        return bool(values) and all(isinstance(v, (Function, BoundMethod, Class)) for v in values)
