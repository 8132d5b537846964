"""Threads: where the threads of this process are started, and where they have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.pending import Pending
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    External,
    Made,
    Member,
    Result,
    ResultMember,
    is_made_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.execution.runs import Caller, Step
    from flake8_mppitfalls.model.program import Program

_STARTING = {
    api.Kind.THREAD: frozenset({"start"}),
    api.Kind.THREAD_EXECUTOR: frozenset({"submit", "map"}),
}
_ENDING = {
    api.Kind.THREAD: frozenset({"join"}),
    api.Kind.THREAD_EXECUTOR: frozenset({"shutdown"}),
    api.Kind.THREAD_POOL: frozenset({"join", "terminate"}),
}
_OTHERS = {
    "threading.Timer": frozenset({"join", "cancel"}),
    "logging.handlers.QueueListener": frozenset({"stop"}),
}
"""Other classes whose ``start()`` starts a thread, and the methods that end it."""
_FUNCTIONS = frozenset({"_thread.start_new_thread", "asyncio.to_thread"})
_ALL = None


class Threads:
    """Answers about the threads of one module. A thread is known by where it is made."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        passes = program.runs.in_program
        self._starts: Effect[cst.CSTNode] = Effect(program.runs, self.started, passes)
        self._ends: Effect[cst.CSTNode | None] = Effect(program.runs, self._ended, passes)

    def exist(self) -> bool:
        """Whether the file has anything that starts threads."""
        made = self._program.made
        if any(made.get(kind) for kind in api.THREAD_KINDS):
            return True
        names = ("Timer", "QueueListener", "start_new_thread", "to_thread")
        return any(self._tree.calls_to(name) for name in names) or any(
            value.makes is api.Kind.THREAD
            for cls in self._tree.nodes(cst.ClassDef)
            if (value := self._program.evaluator.classes.maker(cls)) is not None
        )

    def alive_at(self, node: cst.CSTNode) -> Step | None:
        """A step that has started a thread which may run when the program comes to ``node``."""
        for site in self._sites():
            found = self._pending(site).at(node)
            if found is not None:
                return found
        return None

    def runs_in_thread(self, node: cst.CSTNode) -> Step | None:
        """The step that starts a thread in which ``node`` runs."""
        work = [self._program.paths.owner(node)]
        seen: set[cst.CSTNode] = set()
        while work:
            owner = work.pop()
            if owner in seen or owner is self._tree.module:
                continue
            seen.add(owner)
            callers: list[Caller] = self._program.runs.callers(owner)
            for caller in callers:
                if any(True for _ in self.started(caller.step)) or self._is_task(caller.step):
                    return caller.step
                work.append(caller.owner)
        return None

    # -- steps ---------------------------------------------------------------------------------

    def started(self, step: Step) -> Iterator[cst.CSTNode]:
        """The threads that a step itself starts."""
        if step.entered or not isinstance(step.node, cst.Call):
            return
        for value in step.values:
            if isinstance(value, Member):
                if value.name in _STARTING.get(value.receiver.kind, ()):
                    yield value.receiver.site
            elif isinstance(value, ResultMember):
                if value.name == "start" and value.receiver.name in _OTHERS:
                    yield value.receiver.site
            elif isinstance(value, External):
                maker = api.maker(value.name)
                makes_pool = maker is not None and maker.makes is api.Kind.THREAD_POOL
                if makes_pool or value.name in _FUNCTIONS:
                    yield step.node

    def _is_task(self, step: Step) -> bool:
        """A task of a pool of threads, whose threads have been there before."""
        return any(
            isinstance(value, Member) and value.receiver.kind is api.Kind.THREAD_POOL
            for value in step.values
        )

    def _ended(self, step: Step) -> Iterator[cst.CSTNode | None]:
        call = step.node
        if step.entered or not isinstance(call, cst.Call):
            return
        func = call.func
        if not isinstance(func, cst.Attribute):
            return
        name = func.attr.value
        for value in self._program.values(func.value) if name in _NAMES else ():
            if isinstance(value, Made) and name in _ENDING.get(value.kind, ()):
                yield value.site
            elif isinstance(value, Result) and name in _OTHERS.get(value.name, ()):
                yield value.site
            elif value is UNKNOWN and name == "join" and all(arg.keyword for arg in call.args):
                yield _ALL

    def _sites(self) -> list[cst.CSTNode]:
        """Where the threads of the file are made that something starts."""
        found: dict[cst.CSTNode, None] = {}
        owners = (self._tree.module, *self._tree.nodes(cst.FunctionDef))
        for owner in (*owners, *self._tree.nodes(cst.Lambda)):
            for step in self._program.runs.steps(owner):
                found.update(dict.fromkeys(self.started(step)))
        return list(found)

    def _pending(self, site: cst.CSTNode) -> Pending:
        def ends(step: Step) -> bool:
            ended = self._ends.at(step)
            return bool(ended) and (site in ended or _ALL in ended)

        def leaves(item: cst.WithItem) -> bool:
            return is_made_at(self._program.values(item.item), site)

        return Pending(self._program, lambda step: site in self._starts.at(step), ends, leaves)


_NAMES = frozenset().union(*_ENDING.values(), *_OTHERS.values())
