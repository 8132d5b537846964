"""Starts: where processes are started, themselves or through functions of the module."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.runs import Runs, Step
from flake8_mppitfalls.model.execution.startmethods import METHODS, SPAWNING
from flake8_mppitfalls.model.values import (
    DEFAULT,
    Constant,
    External,
    Instance,
    Made,
    Member,
    Result,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program

_STARTED_KINDS = (
    api.Kind.POOL,
    api.Kind.EXECUTOR,
    api.Kind.PROCESS,
    api.Kind.MANAGER,
    api.Kind.MEMORY_MANAGER,
)
_USES_OF_EXECUTOR = frozenset({"submit", "map", "run_in_executor"})
_STARTED_WHEN_ENTERED = (api.Kind.MANAGER, api.Kind.MEMORY_MANAGER)


@dataclass(frozen=True, slots=True)
class Start:
    """One process, pool, manager or executor that gets to work.

    ``site`` is where it is made (its identity), ``methods`` by which start methods it may start,
    ``is_default`` whether it is made by the default context.
    """

    kind: api.Kind
    site: cst.CSTNode
    methods: frozenset[str]
    is_default: bool = False

    @property
    def fixes_context(self) -> bool:
        """True if the default context is fixed then, by whichever context it is started.

        What ``spawn`` and ``forkserver`` tell a child has the default start method in it
        (``spawn.get_preparation_data``).
        """
        return self.is_default or self.methods <= SPAWNING

    @property
    def spawns(self) -> bool:
        """True if it may be started by spawn or forkserver: **[spawn]** rules apply."""
        return bool(self.methods & SPAWNING)


class Starts:
    """Answers where the processes of one module are started."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._evaluator = program.evaluator
        self._methods = program.start_methods

    @property
    def _runs(self) -> Runs:
        return self._program.runs

    def direct(self, step: Step) -> Iterator[Start]:
        """What a step itself starts."""
        if step.entered:
            yield from self._entered(step)
        if step.entered or not isinstance(step.node, cst.Call):
            return
        receivers: list[Made] = []
        for value in step.values:
            if isinstance(value, Member):
                if value.receiver.kind in api.THREAD_KINDS:
                    return
                if self._starts_receiver(value):
                    receivers.append(value.receiver)
            elif isinstance(value, External):
                yield from self._of_function(value, step.node)
                yield from self._unbound(value, step.node)
        for made in receivers or self._of_call(step.node):
            yield self._start(made)

    @cached_property
    def at_import(self) -> Effect[Start]:
        """What is started while a child imports the file: guarded code apart."""
        return Effect(self._runs, self._spawning, self._runs.at_import)

    @cached_property
    def in_program(self) -> Effect[Start]:
        """What is started in the main program."""
        return Effect(self._runs, self._spawning, self._runs.in_program)

    @cached_property
    def spawned(self) -> list[Start]:
        """Everything in this file that spawn or forkserver may start, wherever it stands."""
        return [start for start in self.made if start.spawns]

    @cached_property
    def made(self) -> list[Start]:
        """Everything in this file that is started, by any method, wherever it stands."""
        program = self._program
        used = set(self._tree.attributes) | set(self._tree.calls_of)
        found = []
        for kind in _STARTED_KINDS:
            for made in program.made.get(kind, ()):
                if kind is api.Kind.EXECUTOR and not used & _USES_OF_EXECUTOR:
                    continue
                if kind is api.Kind.PROCESS and "start" not in used:
                    continue
                found.append(self._start(made))
        for name in ("spawn", "start_processes"):
            for call in self._tree.calls_of.get(name, ()):
                for value in self._evaluator.values(call.func):
                    if isinstance(value, External):
                        found += self._of_function(value, call)
        return found

    # -- the default context -------------------------------------------------------------------

    def fixing(self, step: Step) -> Iterator[cst.CSTNode]:
        """The step's call, if it fixes the default context: no start method can be set then."""
        call = step.node
        if step.entered or not isinstance(call, cst.Call):
            return
        if any(start.fixes_context for start in self.direct(step)):
            yield call
        else:
            yield from self.fixing_call(call)

    def fixing_call(self, call: cst.Call) -> Iterator[cst.Call]:
        """The call, if what it makes or asks for is the default context's."""
        if self.asks_start_method(call):
            given = argument(call, ("allow_none",), "allow_none")
            if given is None or all(
                isinstance(v, Constant) and not v.value for v in self._values(given)
            ):
                yield call
            return
        for value in self._evaluator.values(call):
            if isinstance(value, Instance) and self._fills_fields(value, call):
                yield call
            if not isinstance(value, Made) or value.site is not call or value.method != DEFAULT:
                continue
            if value.kind is api.Kind.PROXY or value.name not in api.MAKERS:
                continue
            limited = argument(call, api.MAKERS[value.name].parameters, "max_tasks_per_child")
            if value.kind is api.Kind.EXECUTOR and limited is not None:
                continue  # spawn is what it takes then
            if api.MAKERS[value.name].fixes_context or value.kind is api.Kind.CONTEXT:
                yield call

    def _fills_fields(self, value: Instance, call: cst.Call) -> bool:
        """Does making a dataclass make a queue or lock of the default context for a field?"""
        records = self._evaluator.records
        fields = records.fields(value.cls) if value.site is call else []
        return any(
            isinstance(made, Made)
            and made.method == DEFAULT
            and made.name in api.MAKERS
            and api.MAKERS[made.name].fixes_context
            for name in fields
            if argument(call, fields, name) is None
            for made in records.values(value, name) or ()
        )

    def asks_start_method(self, call: cst.Call) -> bool:
        """True for a call of ``get_start_method`` of the default context."""
        for value in self._evaluator.values(call.func):
            if isinstance(value, External) and value.method == DEFAULT:
                maker = api.maker(value.name)
                if maker is not None and maker.name == "get_start_method":
                    return True
        return False

    # -- one step ------------------------------------------------------------------------------

    def _spawning(self, step: Step) -> Iterator[Start]:
        return (start for start in self.direct(step) if start.spawns)

    def _start(self, made: Made) -> Start:
        methods = self._methods.of(made)
        return Start(made.kind, made.site, methods, made.method == DEFAULT)

    def _starts_receiver(self, member: Member) -> bool:
        made = member.receiver
        if made.kind is api.Kind.EXECUTOR:
            return member.name in _USES_OF_EXECUTOR
        return (
            api.STARTING_EFFECTS.get(made.kind) == member.name and not api.MAKERS[made.name].starts
        )

    def _entered(self, step: Step) -> Iterator[Start]:
        """``with SyncManager() as manager``: entering starts it."""
        for value in step.values:
            if isinstance(value, Made) and value.kind in _STARTED_WHEN_ENTERED:
                if not api.MAKERS[value.name].starts:
                    yield self._start(value)

    def _of_call(self, call: cst.Call) -> Iterator[Made]:
        """What starts when it is made, ``super().start()``, a task of an executor's event loop."""
        func = call.func
        for value in self._evaluator.values(call):
            if isinstance(value, Made) and value.site is call and value.kind in _STARTED_KINDS:
                if api.MAKERS[value.name].starts:
                    yield value
        if isinstance(func, cst.Attribute) and func.attr.value == "run_in_executor":
            task = self._program.task_of(call)
            if task is not None and task.in_processes:
                yield from task.receivers
        elif isinstance(func, cst.Attribute) and func.attr.value == "start":
            yield from self._of_super(func)

    def _of_super(self, func: cst.Attribute) -> Iterator[Made]:
        for value in self._evaluator.values(func.value):
            if isinstance(value, Result) and value.name == "super":
                cls = self._evaluator.classes.of_method(self._tree.function_of(func).node)
                made = self._evaluator.instance(cls, None) if cls is not None else None
                if isinstance(made, Made) and made.kind in api.STARTING_EFFECTS:
                    yield made

    def _of_function(self, value: External, call: cst.Call) -> Iterator[Start]:
        """``torch.multiprocessing.spawn(…)`` starts processes by itself, by default by spawn."""
        maker = api.maker(value.name)
        if maker is None or not maker.starts or maker.makes is not None:
            return
        given = argument(call, maker.parameters, "start_method")
        methods = frozenset({"spawn"})
        if given is not None:
            names = {v.value if isinstance(v, Constant) else None for v in self._values(given)}
            methods = frozenset(name for name in METHODS if name in names)
            methods = methods or self._methods.configured
        yield Start(api.Kind.PROCESS, call, methods)

    def _unbound(self, called: External, call: cst.Call) -> Iterator[Start]:
        """``Process.start(p)`` and ``map(Process.start, processes)``."""
        values: tuple[object, ...] = (called,)
        if called.name == "map" and call.args:
            values = self._values(call.args[0].value)
        for value in values:
            if isinstance(value, External) and value.name.endswith(".start"):
                maker = api.maker(value.name.removesuffix(".start"))
                if maker is not None and maker.makes is api.Kind.PROCESS:
                    made = Made(maker.makes, call, maker.name, maker.method or value.method)
                    yield self._start(made)

    def _values(self, node: cst.CSTNode) -> tuple[object, ...]:
        return self._evaluator.values(node)
