"""Queue ends: where a queue that is empty now is taken for one that nothing more comes from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.channels.emptiness import Emptiness
from flake8_mppitfalls.model.channels.traffic import channel_of
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.execution import caught
from flake8_mppitfalls.model.execution.activities import Activities, Activity
from flake8_mppitfalls.model.execution.concurrency import SEVERAL
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.pending import Pending
from flake8_mppitfalls.model.values import UNKNOWN, Made, Member, is_made_at
from flake8_mppitfalls.syntax.flow import constant_truth
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.channels.emptiness import Decision
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program

_PUTTING = ("put", "put_nowait")
_TAKING = ("get", "get_nowait")
_TELLING: dict[api.Kind, tuple[str, ...]] = {
    api.Kind.CONNECTION: ("poll", "recv", "recv_bytes"),
    api.Kind.EVENT: ("wait", "is_set"),
}
"""By what a process hears from another one, other than the queue."""
_DEEPEST = 4

UNREAD = "it is so whenever the writers are slower, and what they write later is not read"
ON_ITS_WAY = "what was put may still be on its way through the queue's feeder thread"
COUNTED = "it leaves out what others have yet to put, and on macOS it raises NotImplementedError"
TAKEN = "another process may take the last item first, and get() then waits for ever"
RAISED = "another process may take the last item first, which then raises queue.Empty here"
NOT_DONE = "what was taken from it need not be done"


class QueueEnds:
    """Answers for one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._takings: dict[cst.CSTNode, dict[cst.CSTNode, list[cst.Attribute]]] = {}
        """Where a queue is taken from, by the function that does it."""
        self._activities = Activities(program)
        self._entries_of: dict[tuple[cst.CSTNode, tuple[str, ...]], list[Entry]] = {}

    @cached_property
    def premature(self) -> dict[cst.Call, str]:
        """The calls of ``empty()`` and ``qsize()`` that end the work too early, and why."""
        found: dict[cst.Call, str] = {}
        emptiness = Emptiness(self._program)
        for call in emptiness.questions():
            queues = emptiness.queues(call)
            for decision in emptiness.decisions(call):
                reasons = [self._reason(queue, decision) for queue in queues]
                if any(reasons):
                    reason = next(reason for reason in reasons if reason)
                    # ``qsize()`` counts what is on its way, too.
                    sized = reason is ON_ITS_WAY and call in self._tree.calls_of.get("qsize", ())
                    found[call] = COUNTED if sized else reason
                    break
        return found

    # -- judgement -----------------------------------------------------------------------------

    def _reason(self, queue: Made, decision: Decision) -> str:
        if not all(self._is_event(other) for other in decision.others):
            return ""
        if decision.others and _is_immediate(queue):
            return ""
        if self._is_thrown_away(decision):
            return ""
        entries = self._program.concurrency.entries_at(decision.node)
        if entries and not self._is_made_by(entries, queue):
            return self._in_worker(queue, decision, entries)
        return self._in_parent(queue, decision)

    def _in_worker(self, queue: Made, decision: Decision, entries: list[Entry]) -> str:
        if decision.loop is None and not self._is_in_entry(decision.node, entries):
            return ""
        if self._is_polled(decision, []):
            return ""
        takers = self._entries(queue, _TAKING)
        several = self._program.concurrency.total(takers, queue.site) >= SEVERAL
        missed = self._comes_too_late(queue, decision) if several else ""
        if missed:
            return missed
        if self._was_told(decision) and not self._is_filled_here(queue):
            return ""
        others = [e for e in self._entries(queue, _PUTTING) if e not in entries]
        if not _is_immediate(queue) and (others or self._parent_nodes(queue, _PUTTING)):
            if self._parent_nodes(queue, _PUTTING) or not self._had_ended(others, entries):
                return ON_ITS_WAY if not others else UNREAD
            return ""
        if _is_immediate(queue) and takers:
            if not self._had_ended(others, entries) or self._is_filled_later(queue, entries):
                return UNREAD
        if queue.is_declared and not _is_immediate(queue):
            return UNREAD
        return ""

    def _in_parent(self, queue: Made, decision: Decision) -> str:
        immediate = _is_immediate(queue)
        writers = list(self._writers(queue))
        if self._is_polled(decision, writers):
            return ""
        for writer in writers:
            if self._activities.may_run_at(writer, decision.call, fetched=immediate):
                if not self._is_held_back(queue, decision.call):
                    return "" if self._is_read_later(queue, decision) else UNREAD
        takers = self._entries(queue, _TAKING)
        if immediate:
            running = [
                activity
                for entry in takers
                for activity in self._activities.of(entry)
                if self._activities.may_run_at(activity, decision.call, fetched=True)
            ]
            several = self._program.concurrency.total(takers, queue.site) >= SEVERAL
            if running and (several or self._takes_here(queue, decision)):
                return self._comes_too_late(queue, decision) or NOT_DONE
            return ""
        if not writers and self._was_put_before(queue, decision.call):
            return NOT_DONE if takers and not self._takes_here(queue, decision) else ON_ITS_WAY
        return ""

    def _is_thrown_away(self, decision: Decision) -> bool:
        """``while not q.empty(): q.get()``: what is left over is of no use any more."""
        loop = decision.loop
        if not isinstance(loop, cst.While) or decision.node is not loop:
            return False
        only = _only(loop.body)
        if isinstance(only, cst.Try) and only.orelse is None and only.finalbody is None:
            only = _only(only.body)
        small = only.body[0] if isinstance(only, cst.SimpleStatementLine) else None
        call = small.value if isinstance(small, cst.Expr) else None
        func = call.func if isinstance(call, cst.Call) else None
        return isinstance(func, cst.Attribute) and func.attr.value in _TAKING

    def _is_read_later(self, queue: Made, decision: Decision) -> bool:
        """Does the parent go on, and read what else has come by then?"""
        if decision.loop is None:
            return False
        loop = self._tree.statement_of(decision.loop)
        taken, channel = self._program.traffic.taken, channel_of(queue)
        return self._program.paths.leads_to(
            decision.call,
            lambda step: channel in taken.at(step) and not self._tree.is_within(step.node, loop),
        )

    def _is_event(self, other: cst.BaseExpression) -> bool:
        """``stop.is_set()``, whatever is made of it."""
        calls = [node for node in self._tree.walk(other) if isinstance(node, cst.Call)]
        if len(calls) != 1 or not isinstance(calls[0].func, cst.Attribute):
            return False
        return calls[0].func.attr.value == "is_set" and any(
            isinstance(v, Made) and v.kind is api.Kind.EVENT
            for v in self._program.values(calls[0].func.value)
        )

    def _is_in_entry(self, node: cst.CSTNode, entries: list[Entry]) -> bool:
        around = set(self._program.sides.functions_around(node))
        return any(entry.function in around for entry in entries)

    def _is_made_by(self, entries: list[Entry], queue: Made) -> bool:
        """Is the queue made in the worker itself?"""
        around = set(self._program.sides.functions_around(queue.site))
        return any(
            not around.isdisjoint(self._program.sides.reach((entry.function,))) for entry in entries
        )

    def _was_told(self, decision: Decision) -> bool:
        """Does the reader come here when it hears by a pipe or event that it is time?"""
        owner = self._program.paths.owner(decision.node)
        return any(
            value.name in _TELLING.get(value.receiver.kind, ())
            for step in self._program.paths.before_in(owner, decision.call)
            if decision.loop is None or not self._tree.is_within(step.node, decision.loop)
            for value in step.values
            if isinstance(value, Member)
        )

    def _is_filled_here(self, queue: Made) -> bool:
        """Is something put in by code that is the parent's alone?"""
        entries_at = self._program.concurrency.entries_at
        return any(not entries_at(node) for node in self._parent_nodes(queue, _PUTTING))

    def _had_ended(self, writers: list[Entry], readers: list[Entry]) -> bool:
        """Had the writers ended when the readers were started?"""
        begins = [activity.site for entry in readers for activity in self._activities.of(entry)]
        starts = [
            step.node
            for owner in (self._tree.module, *self._tree.nodes(cst.FunctionDef))
            for step in self._program.runs.steps(owner)
            if any(start.site in begins for start in self._program.starts.direct(step))
        ]
        activities = [activity for entry in writers for activity in self._activities.of(entry)]
        return not any(
            self._activities.may_run_at(activity, start, fetched=False)
            for activity in activities
            for start in starts or begins
        )

    # -- polling -------------------------------------------------------------------------------

    def _is_polled(self, decision: Decision, writers: list[Activity]) -> bool:
        """Is the question asked again and again, so that it ends a round and not the work?"""
        return any(
            not any(self._activities.begins_within(writer, loop) for writer in writers)
            and (bool(writers) or _is_endless(loop) or not self._puts_within(decision, loop))
            for loop in self._loops_around(decision)
            if not self._is_of_turn(decision.call, loop)
        )

    def _is_of_turn(self, call: cst.Call, loop: cst.CSTNode) -> bool:
        """``for q in queues:`` asks another queue at each turn."""
        func = call.func
        return (
            isinstance(loop, cst.For)
            and isinstance(func, cst.Attribute)
            and self._tree.is_within(call, loop)
            and self._program.loops.varies(func.value, loop)
        )

    def _puts_within(self, decision: Decision, loop: cst.CSTNode) -> bool:
        """Does the loop itself fill the queue, too?"""
        sites = {q.site for q in Emptiness(self._program).queues(decision.call)}
        puts = Effect(self._program.runs, self._put, self._program.runs.in_program)
        return any(
            not sites.isdisjoint(puts.at(step))
            for step in self._program.runs.steps(self._program.paths.owner(loop))
            if self._tree.is_within(step.node, loop)
        )

    def _loops_around(self, decision: Decision) -> Iterator[cst.CSTNode]:
        """The loops around what is decided, here and around the calls of the function."""
        work = [(decision.loop or decision.node, 0)]
        seen: set[cst.CSTNode] = set()
        while work:
            node, depth = work.pop()
            if node in seen:
                continue
            seen.add(node)
            for loop in self._program.loops.around(node):
                if isinstance(loop, (cst.For, cst.While)):
                    yield loop
            if depth < _DEEPEST:
                work += [(c.step.node, depth + 1) for c in self._program.paths.callers(node)]

    # -- who uses the queue --------------------------------------------------------------------

    def _nodes(self, queue: Made, names: tuple[str, ...]) -> list[cst.Attribute]:
        """The places where the queue is asked for one of these methods."""
        members = self._program.evaluator.members
        return [node for name in names for node in members.of_made(queue.site, name)]

    def _entries(self, queue: Made, names: tuple[str, ...]) -> list[Entry]:
        """The entries of the workers that put into the queue, or take from it."""
        key = (queue.site, names)
        if key not in self._entries_of:
            self._entries_of[key] = self._entries_with(queue, self._nodes(queue, names))
        return self._entries_of[key]

    def _entries_with(self, queue: Made, nodes: list[cst.Attribute]) -> list[Entry]:
        found: dict[Entry, None] = {}
        for node in nodes:
            for entry in self._program.concurrency.entries_at(node):
                if not self._gets_another(entry, node, queue):
                    found[entry] = None
        is_given = self._program.concurrency.is_given
        given = dict.fromkeys(
            e for e in found if e.task is not None and is_given(e.task.call.args, queue.site)
        )
        # A function that several tasks run may get this queue from some of them alone.
        functions = {entry.function for entry in given}
        return [e for e in found if e in given or e.function not in functions]

    def _gets_another(self, entry: Entry, node: cst.Attribute, queue: Made) -> bool:
        """Is it a parameter's method, and the task gives the function another queue?"""
        bindings = self._tree.lookup(node.value) if isinstance(node.value, cst.Name) else []
        if entry.task is None or len(bindings) != 1:
            return False
        if bindings[0].kind is not Bound.PARAMETER or bindings[0].scope.node is not entry.function:
            return False
        given = [
            value
            for argument in entry.task.given()
            for value in self._program.evaluator.given(argument)
        ]
        queues = [value for value in given if isinstance(value, Made) and value.kind is queue.kind]
        return bool(queues) and UNKNOWN not in given and not is_made_at(tuple(queues), queue.site)

    def _parent_nodes(self, queue: Made, names: tuple[str, ...]) -> list[cst.Attribute]:
        """The places in parent code that do so."""
        sides = self._program.sides
        return [
            node
            for node in self._nodes(queue, names)
            if all(f in sides.parents for f in sides.functions_around(node))
        ]

    def _writers(self, queue: Made) -> Iterator[Activity]:
        """What may put into the queue: the workers that do so, and those that nobody knows."""
        for entry in self._entries(queue, _PUTTING):
            yield from self._activities.of(entry)
        for task in self._program.tasks:
            if not task.in_processes or task.shape.role not in ("process", "task"):
                continue
            if self._program.sides.functions(self._program.values(task.callable)):
                continue
            if self._program.concurrency.is_given(task.call.args, queue.site):
                yield Activity(task.call, task if task.shape.role == "task" else None)

    def _takes_here(self, queue: Made, decision: Decision) -> bool:
        """Does the code that asks also take from the queue?"""
        return any(self._taken_here(queue, decision))

    def _taken_here(self, queue: Made, decision: Decision) -> Iterator[cst.Attribute]:
        """Where the code that asks takes from the queue."""
        paths = self._program.paths
        owner = paths.owner(decision.node)
        if queue.site not in self._takings:
            found = self._takings[queue.site] = {}
            for node in self._nodes(queue, _TAKING):
                found.setdefault(paths.owner(node), []).append(node)
        reached = {owner}
        if isinstance(owner, cst.FunctionDef):
            reached |= self._program.sides.reach((owner,))
        for there in reached & self._takings[queue.site].keys():
            yield from self._takings[queue.site][there]

    def _comes_too_late(self, queue: Made, decision: Decision) -> str:
        """What happens where the item that was seen is gone when the code takes it."""
        calls = [self._tree.parent(node) for node in self._taken_here(queue, decision)]
        is_held = self._program.locking.is_held
        if is_held(decision.call) and all(is_held(call) for call in calls if call):
            return ""
        if any(isinstance(call, cst.Call) and _waits(call) for call in calls):
            return TAKEN
        taken = all(any(caught.takers(self._tree, call, self._is_empty)) for call in calls if call)
        return "" if taken else RAISED

    def _is_empty(self, error: cst.BaseExpression) -> bool:
        name = self._tree.qualified(error).rpartition(".")[2]
        return name in {"Empty", "Exception", "BaseException"}

    def _put(self, step: Step) -> Iterator[cst.CSTNode]:
        """The queues that a step puts into."""
        func = step.node.func if isinstance(step.node, cst.Call) else None
        if isinstance(func, cst.Attribute) and func.attr.value in _PUTTING and not step.entered:
            for value in self._program.values(func.value):
                if isinstance(value, Made):
                    yield value.site

    def _was_put_before(self, queue: Made, node: cst.CSTNode) -> bool:
        """Did this process put something in, and wait for nobody since?"""
        puts = Effect(self._program.runs, self._put, self._program.runs.in_program)
        pending = Pending(
            self._program,
            lambda step: queue.site in puts.at(step),
            self._activities.is_awaited_by,
        )
        return pending.at(node) is not None

    def _is_held_back(self, queue: Made, node: cst.CSTNode) -> bool:
        """Do all writers wait for an event that nobody has set when the parent asks?"""
        events = [self._awaited(put) for put in self._nodes(queue, _PUTTING)]
        if not events or not all(events):
            return False
        awaited = {site for sites in events for site in sites}
        return not any(
            isinstance(value, Member) and value.name == "set" and value.receiver.site in awaited
            for step in self._program.paths.before(node)
            for value in step.values
        )

    def _awaited(self, put: cst.CSTNode) -> set[cst.CSTNode]:
        """The events that the function waits for before it puts something in."""
        owner = self._program.paths.owner(put)
        return {
            value.receiver.site
            for step in self._program.paths.before_in(owner, put)
            for value in step.values
            if isinstance(value, Member) and value.name == "wait"
            if value.receiver.kind is api.Kind.EVENT
        }

    def _is_filled_later(self, queue: Made, entries: list[Entry]) -> bool:
        """Does the parent put something in after a reader was started?"""
        activities = [activity for entry in entries for activity in self._activities.of(entry)]
        return any(
            self._activities.may_run_at(activity, node, fetched=True)
            for node in self._parent_nodes(queue, _PUTTING)
            for activity in activities
        )


def _is_immediate(queue: Made) -> bool:
    """What is put into it is there at once: no feeder thread carries it."""
    return queue.kind is api.Kind.PROXY or queue.name == "SimpleQueue"


def _waits(call: cst.Call) -> bool:
    """Does a ``get()`` wait for as long as it takes?"""
    if not isinstance(call.func, cst.Attribute) or call.func.attr.value != "get":
        return False
    parameters = ("block", "timeout")
    block, timeout = (argument(call, parameters, parameter) for parameter in parameters)
    if timeout is not None and not (isinstance(timeout, cst.Name) and timeout.value == "None"):
        return False
    return block is None or constant_truth(block) is not False


def _is_endless(loop: cst.CSTNode) -> bool:
    return isinstance(loop, cst.While) and constant_truth(loop.test) is True


def _only(suite: cst.BaseSuite) -> cst.CSTNode | None:
    """The statement of a block that has just one."""
    return suite.body[0] if len(suite.body) == 1 else None
