"""Activities: when the processes of a module work, and who has waited for their end.

An :class:`Activity` is a process, from its ``start()`` to the ``join()``, or a task of a pool, from
the call that hands it over to where its result is fetched or the pool is joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.pending import Pending
from flake8_mppitfalls.model.values import UNKNOWN, External, Made, Member, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_ENDING_PROCESS = frozenset({"join", "terminate", "kill", "close"})
_ENDING_POOL = frozenset({"join", "terminate", "shutdown"})
_FETCHING = frozenset({"get", "wait", "result", "exception", "next", "__next__"})
_BLOCKING = frozenset({"apply", "map", "starmap"})
_ALL = None
"""Every process is meant, or any may be."""


@dataclass(frozen=True, slots=True)
class Activity:
    """A process (``site`` is where it is made) or a task (the call that hands it over)."""

    site: cst.CSTNode
    task: Task | None = None
    """The task, for the worker of a pool or executor."""


class Activities:
    """Answers about the activities of one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        passes = program.runs.in_program
        self._joins: Effect[cst.CSTNode | None] = Effect(program.runs, self._joined, passes)
        self._told = Effect(program.runs, self._waited, passes)
        self._begins: Effect[cst.CSTNode] = Effect(program.runs, self._begun, passes)

    def of(self, entry: Entry) -> list[Activity]:
        """The processes that begin with an entry, or the task that does."""
        task = entry.task
        if task is None:
            sites = self._program.concurrency.instances_of(entry.function)
            return [Activity(site) for site in sites]
        if task.shape.role == "process":
            return [Activity(task.call)]
        return [Activity(task.call, task)]

    def may_run_at(self, activity: Activity, node: cst.CSTNode, *, fetched: bool) -> Step | None:
        """The step that has begun it, if no path to ``node`` shows that it has ended.

        ``fetched``: a task has ended when its result is fetched; else when its worker has.
        """
        fetches = self._fetches(activity) if fetched else frozenset()
        receivers = activity.task.receivers if activity.task is not None else ()
        pools = {made.site for made in receivers}

        def ends(step: Step) -> bool:
            if fetched and (self._is_fetched_by(step, fetches) or self._told.at(step)):
                return True
            joined = self._joins.at(step)
            return bool(joined) and not (pools or {activity.site}).union({_ALL}).isdisjoint(joined)

        pending = Pending(
            self._program,
            lambda step: activity.site in self._begins.at(step),
            ends,
            lambda item: bool(pools) and self._is_one_of(item.item, pools),
        )
        return pending.at(node)

    def is_awaited_by(self, step: Step) -> bool:
        """True for a step that waits for some process, or for a word of one."""
        return bool(self._joins.at(step) or self._told.at(step))

    def begins_within(self, activity: Activity, block: cst.CSTNode) -> bool:
        """Is it begun by the code of a block?"""
        return any(
            activity.site in self._begins.at(step)
            for step in self._program.runs.steps(self._program.paths.owner(block))
            if self._tree.is_within(step.node, block)
        )

    # -- steps ---------------------------------------------------------------------------------

    def _begun(self, step: Step) -> Iterator[cst.CSTNode]:
        for start in self._program.starts.direct(step):
            if start.kind is api.Kind.PROCESS:
                yield start.site
        if not step.entered and isinstance(step.node, cst.Call):
            task = self._program.task_of(step.node)
            if task is not None and task.in_processes and task.shape.role == "task":
                yield step.node

    def _joined(self, step: Step) -> Iterator[cst.CSTNode | None]:
        """The sites of what a step ends or waits for; ``None`` for everything."""
        call = step.node
        if step.entered or not isinstance(call, cst.Call):
            return
        for value in step.values:
            if isinstance(value, External):
                name = api.canonical(value.name)
                if name in _ENDING_ALL or (name in _WAITING and self._names_sentinels(call)):
                    yield _ALL
        func = call.func
        if not isinstance(func, cst.Attribute):
            return
        name = func.attr.value
        polls = name == "is_alive" and self._is_in_test_of_loop(call)
        if not polls and name not in _ENDING_PROCESS | _ENDING_POOL:
            return
        for value in self._program.values(func.value):
            if isinstance(value, Made):
                if polls or name in _ENDING.get(value.kind, ()):
                    yield value.site
            elif value is UNKNOWN and name == "join" and _may_be_process(call):
                yield _ALL
            elif isinstance(value, Result) and value.name == "multiprocessing.active_children":
                yield _ALL

    def _names_sentinels(self, call: cst.Call) -> bool:
        return any(self._tree.is_within(s, call) for s in self._tree.attributes.get("sentinel", ()))

    def _is_in_test_of_loop(self, node: cst.CSTNode) -> bool:
        child = node
        for parent in self._tree.ancestors(node):
            if isinstance(parent, cst.While):
                return child is parent.test
            if isinstance(parent, cst.BaseStatement):
                return False
            child = parent
        return False

    def _waited(self, step: Step) -> Iterator[cst.CSTNode]:
        """The step's call, if it waits for a word of another process."""
        if step.entered or not isinstance(step.node, cst.Call):
            return
        for value in step.values:
            if isinstance(value, Member) and value.name in _WAITS.get(value.receiver.kind, ()):
                yield step.node

    def _is_fetched_by(self, step: Step, fetches: frozenset[cst.CSTNode]) -> bool:
        if step.node in fetches:
            return True
        return bool(fetches) and any(self._reaches(f, fetches) for f in step.functions)

    def _reaches(self, function: cst.CSTNode, nodes: frozenset[cst.CSTNode]) -> bool:
        """Does a function fetch the result, itself or in what it calls?"""
        sides = self._program.sides
        reached = sides.reach((function,))
        return any(around in reached for n in nodes for around in sides.functions_around(n))

    def _fetches(self, activity: Activity) -> frozenset[cst.CSTNode]:
        """The places where the result of a task is fetched."""
        task = activity.task
        if task is None:
            return frozenset()
        if task.name in _BLOCKING and task.gives is api.Kind.RESULTS:
            return frozenset({task.call})
        found: set[cst.CSTNode] = set()
        for use in self._program.uses.of(task.call):
            if use.kind is UseKind.METHOD and use.name in _FETCHING:
                found.add(use.node)
            elif use.kind in (UseKind.AWAITED, UseKind.PASSED):
                found.add(use.node)
            elif use.kind is UseKind.ITERATED:
                found.add(use.node.iter if isinstance(use.node, cst.For) else use.node)
            elif use.kind is UseKind.TESTED and use.name.endswith(".wait"):
                found.add(use.node)
        return frozenset(found)

    def _is_one_of(self, node: cst.CSTNode, sites: set[cst.CSTNode]) -> bool:
        values: tuple[Value, ...] = self._program.values(node)
        return any(isinstance(value, Made) and value.site in sites for value in values)


_ENDING = {
    api.Kind.PROCESS: _ENDING_PROCESS,
    api.Kind.POOL: _ENDING_POOL,
    api.Kind.EXECUTOR: _ENDING_POOL,
}
_WAITS = {
    api.Kind.QUEUE: frozenset({"join"}),
    api.Kind.PROXY: frozenset({"join", "wait"}),
    api.Kind.EVENT: frozenset({"wait"}),
    api.Kind.BARRIER: frozenset({"wait"}),
    api.Kind.CONDITION: frozenset({"wait", "wait_for"}),
    api.Kind.CONNECTION: frozenset({"recv", "recv_bytes"}),
}
_ENDING_ALL = frozenset(
    {
        "multiprocessing.Process.join",
        "multiprocessing.active_children",
        "multiprocessing.process.active_children",
    }
)
_WAITING = frozenset({"multiprocessing.connection.wait", "select.select", "select.poll"})


def _may_be_process(call: cst.Call) -> bool:
    """``x.join()`` and ``x.join(timeout=5)``, and no ``", ".join(words)``."""
    return all(arg.keyword is not None for arg in call.args)
