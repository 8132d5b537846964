"""Turns: tasks that a loop hands out one by one, and why it may have to.

A loop that waits for each task before it hands out the next gains nothing from its processes;
unless the next task needs the result of the last one, the loop tries one task until it is done,
or several threads run the loop side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.loops import COMPREHENSIONS
from flake8_mppitfalls.model.numbers.worker_counts import constructors
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.loops import Loop
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Made

_SUBMITTING = frozenset({"apply_async", "map_async", "starmap_async", "submit", "run_in_executor"})
_QUICK = frozenset(
    "append add put put_nowait get get_nowait recv send start debug info warning error critical "
    "exception log write flush format join close items keys values setdefault update monotonic "
    "time perf_counter strip split terminate result wait is_alive echo".split()
)
"""Methods and functions that take no time worth a process of its own."""
_QUICK_BUILTINS = frozenset(
    "print len str int float repr sorted set list tuple dict min max sum zip enumerate range "
    "isinstance round abs".split()
)


class Turns:
    """Answers about the tasks that the loops of one module hand out."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._loops = program.loops
        self._alone: dict[cst.CSTNode, bool] | None = None
        self._begun: dict[cst.CSTNode, list[cst.Call]] = {}
        self._slow: dict[cst.CSTNode, list[cst.CSTNode]] = {}

    def loop_of(self, node: cst.CSTNode, receivers: Iterable[Made]) -> Loop | None:
        """The innermost loop that runs ``node`` at every turn, if its pool is made outside."""
        loop = next(self._loops.around(node), None)
        if loop is None:
            return None
        for made in receivers:
            if self._tree.is_within(made.site, loop) and not self._is_iterable(made.site, loop):
                return None  # the pool itself is made at every turn
        return loop

    def _is_iterable(self, node: cst.CSTNode, loop: Loop) -> bool:
        return isinstance(loop, cst.For) and self._tree.is_within(node, loop.iter)

    def must_be_serial(
        self, loop: Loop, call: cst.Call, awaiting: cst.Call, given: Iterable[cst.CSTNode]
    ) -> bool:
        """True if the loop has a reason to wait for the task of ``call`` before the next turn.

        ``awaiting`` is where it waits; ``given`` are the arguments of the task.
        """
        if not self._loops.goes_round(awaiting, loop):
            return True  # it is tried until it is done
        if self._loops.is_in_several_threads(call):
            return True
        fed = self._loops.fed_by(awaiting, loop)
        if call is not awaiting:
            fed |= self._loops.fed_by(call, loop)
        if any(self._loops.is_fed(node, fed) for node in given):
            return True
        return self._loops.is_ended_by(awaiting, loop, fed)

    def has_one_worker(self, task: Task) -> bool:
        """True if each pool that the task may go to has a single worker."""
        if self._alone is None:
            self._alone = {}
            for constructor in constructors(self._program):
                given = constructor.given(self._program, constructor.maker.count)
                if given is not None:
                    amounts = self._program.counts.of(given.value)
                    self._alone[constructor.made.site] = bool(amounts) and all(
                        amount.exact == 1 for amount in amounts
                    )
        return bool(task.receivers) and all(
            self._alone.get(made.site, False) for made in task.receivers
        )

    def others(self, loop: Loop, task: cst.Call) -> bool:
        """True if the loop starts other processes or tasks in the same turn."""
        return any(
            node is not task and not self._is_start_of(node, task)
            for node in self._beginnings(loop)
        )

    def _beginnings(self, loop: Loop) -> list[cst.Call]:
        """The calls of a loop that start a process or hand out a task."""
        known = self._begun.get(loop)
        if known is None:
            known = self._begun[loop] = []
            for node in self._loops.body_of(loop):
                if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
                    name = node.func.attr.value
                    if name == "start" or (
                        name in _SUBMITTING and self._program.task_of(node) is not None
                    ):
                        known.append(node)
        return known

    def _is_start_of(self, start: cst.Call, made: cst.Call) -> bool:
        func = start.func
        if not isinstance(func, cst.Attribute) or func.attr.value != "start":
            return False
        values = self._program.values(func.value)
        return any(getattr(value, "site", None) is made for value in values)

    def is_of_this_turn(self, handle: cst.CSTNode, loop: Loop) -> bool:
        """False if a name or attribute still has what an earlier turn gave it."""
        if not isinstance(handle, (cst.Name, cst.Attribute)):
            return True
        if isinstance(handle, cst.Name):
            places = [b.node for b in self._program.evaluator.bindings(handle)]
        else:
            stores = self._program.evaluator.classes.stores(handle.attr.value)
            places = [s.node for s in stores if dotted_name(s.node) == dotted_name(handle)]
        return any(
            self._tree.is_within(place, loop) and self._tree.before(place, handle)
            for place in places
        )

    def works_meanwhile(self, loop: Loop, start: cst.CSTNode, awaiting: cst.CSTNode) -> bool:
        """True if the loop does other work between handing out a task and waiting for it."""
        if isinstance(loop, COMPREHENSIONS):
            return False
        first, last = self._tree.statement_of(start), self._tree.statement_of(awaiting)
        if first is last:
            return False
        for node in self._slow_in(loop):
            if self._tree.before(node, start):
                continue
            if not self._tree.before(node, awaiting):
                break
            if not (self._tree.is_within(node, first) or self._tree.is_within(node, last)):
                return True
        return False

    def _slow_in(self, loop: Loop) -> list[cst.CSTNode]:
        """The calls of a loop that take time, in order."""
        known = self._slow.get(loop)
        if known is None:
            known = self._slow[loop] = [
                node
                for node in self._loops.body_of(loop)
                if isinstance(node, cst.Await)
                or (isinstance(node, cst.Call) and not self._is_quick(node))
            ]
        return known

    def _is_quick(self, call: cst.Call) -> bool:
        name = dotted_name(call.func)
        if isinstance(call.func, cst.Attribute):
            return call.func.attr.value in _QUICK
        return name in _QUICK_BUILTINS

    def given_to(self, task: Task) -> Iterator[cst.CSTNode]:
        """The expressions from which the arguments of a task come, and what it is called on."""
        for given in task.given():
            yield given.expression
        callable_ = task.callable
        if isinstance(callable_, cst.Call):
            yield from (arg.value for arg in callable_.args)
        elif callable_ is not None and not isinstance(callable_, (cst.Name, cst.Attribute)):
            yield callable_


PROCESS_TASKS = frozenset({api.Kind.POOL, api.Kind.EXECUTOR})
