"""MPP506."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.loops import COMPREHENSIONS
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.values import Made
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.loops import Loop
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.program import Program

_AWAITING = {"apply_async": ("get", "wait"), "submit": ("result", "exception")}
_ON_PURPOSE = frozenset({"exitcode", "terminate", "kill"})
"""What is done with a process that is to run by itself: its end is judged, or forced."""


class SerialisedTasks(Rule):
    """Each task is waited for before the next one is handed out.

    What it does:
        Finds a loop or comprehension in which the only task of a turn is awaited in the same turn:
        ``apply_async(…).get()``, ``submit(…).result()``, or a process that is started and joined.

    Why it is bad:
        At every moment one process works and the others are idle. There is no speed-up; the
        program is slower than without processes, as each task is pickled and sent away.

    Example:
        ::

            for name in names:
                future = executor.submit(measure, name)
                sizes[name] = future.result()

    Use instead:
        ::

            futures = {name: executor.submit(measure, name) for name in names}
            for name, future in futures.items():
                sizes[name] = future.result()

    Known limits:
        Silent where the loop has to wait: it tries one task again until it is done, the arguments
        come from the result of an earlier turn, or the result decides whether there is another
        turn; where several threads run the loop, or the loop does work of its own meanwhile; where
        the pool has one worker; and for a process whose ``exitcode`` is read, that may be
        terminated, or whose ``join()`` has a timeout: one fresh process for each item is the
        purpose then.

    References:
        Python documentation, ``multiprocessing.pool.AsyncResult.get``,
        ``concurrent.futures.Future.result`` and ``multiprocessing.Process.join``.
    """

    code = "MPP506"
    name = "serialised-tasks"
    message = (
        "{waits} waits for the only {thing} of this turn, so that one runs after the other;"
        " {remedy}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each call that waits for the only task of its turn."""
        for task in program.tasks:
            if task.name in _AWAITING and task.receivers and task.in_processes:
                node = self._awaited_task(program, task)
                if node is not None:
                    yield self.finding(
                        node,
                        waits=f"{_method(node)}()",
                        thing="task",
                        remedy="hand out all tasks first, and fetch the results in a second loop",
                    )
        for made in program.made.get(api.Kind.PROCESS, ()):
            node = self._joined_process(program, made)
            if node is not None:
                yield self.finding(
                    node,
                    waits=f"{program.source(node, 'join()')}",
                    thing="process",
                    remedy="start all processes first, and join them in a second loop",
                )

    def _awaited_task(self, program: Program, task: Task) -> cst.Call | None:
        turns = program.turns
        if any(made.kind not in (api.Kind.POOL, api.Kind.EXECUTOR) for made in task.receivers):
            return None
        loop = turns.loop_of(task.call, task.receivers)
        if loop is None or turns.has_one_worker(task) or turns.others(loop, task.call):
            return None
        awaiting = [
            (use.node, use.at)
            for use in program.uses.of(task.call)
            if use.kind is UseKind.METHOD
            and use.name in _AWAITING[task.name]
            and isinstance(use.node, cst.Call)
        ]
        outer = _lazily_consumed(program, loop)
        for node, handle in awaiting:
            here = outer if outer is not None and program.tree.is_within(node, outer) else loop
            if next(program.loops.around(node), None) is not here:
                continue
            if here is loop and _is_in_container(program, task.call, node, loop):
                continue
            if not turns.is_of_this_turn(handle, here):
                continue
            if turns.works_meanwhile(here, task.call, node):
                continue
            given = list(turns.given_to(task))
            if not turns.must_be_serial(here, task.call, node, given):
                return node
        return None

    def _joined_process(self, program: Program, made: Made) -> cst.Call | None:
        if not isinstance(made.site, cst.Call):
            return None
        turns, site = program.turns, made.site
        loop = next(program.loops.around(site), None)
        if loop is None or isinstance(loop, COMPREHENSIONS):
            return None
        uses = program.uses.of(site)
        if any(use.through_container or use.name in _ON_PURPOSE for use in uses):
            return None
        starts = _calls(uses, "start")
        joins = _calls(uses, "join")
        if not starts or any(join.args for join in joins) or turns.others(loop, site):
            return None
        joins = [join for join in joins if next(program.loops.around(join), None) is loop]
        if not all(program.loops.goes_round(join, loop) for join in joins):
            return None  # it is tried until it is done
        for join in joins:
            if not any(_is_in_turn(program, start, join, loop) for start in starts):
                continue
            if isinstance(join.func, cst.Attribute):
                if not turns.is_of_this_turn(join.func.value, loop):
                    continue
            if any(turns.works_meanwhile(loop, start, join) for start in starts):
                continue
            given = [arg.value for arg in site.args]
            if not turns.must_be_serial(loop, site, join, given):
                return join
        return None


def _method(call: cst.Call) -> str:
    return call.func.attr.value if isinstance(call.func, cst.Attribute) else "this call"


def _calls(uses: list[Use], name: str) -> list[cst.Call]:
    return [
        use.node
        for use in uses
        if use.kind is UseKind.METHOD and use.name == name and isinstance(use.node, cst.Call)
    ]


def _is_in_turn(program: Program, start: cst.Call, join: cst.Call, loop: Loop) -> bool:
    return (
        next(program.loops.around(start), None) is loop
        and start is not join
        and program.tree.before(start, join)
    )


def _is_in_container(program: Program, call: cst.Call, awaiting: cst.Call, loop: Loop) -> bool:
    """Does the wait get its task out of a container, which may hold those of other turns?"""
    return any(
        use.node is awaiting and use.through_container for use in program.uses.of(call)
    ) and not isinstance(loop, COMPREHENSIONS)


def _lazily_consumed(program: Program, loop: Loop) -> Loop | None:
    """The loop that takes one item at a time from a generator expression."""
    if not isinstance(loop, cst.GeneratorExp):
        return None
    for use in program.uses.of(loop):
        if use.kind is UseKind.ITERATED and isinstance(use.node, cst.For):
            return use.node
    parent = program.tree.parent(loop)
    if isinstance(parent, cst.For) and loop is parent.iter:
        return parent
    if isinstance(parent, cst.CompFor) and loop is parent.iter:
        holder = program.tree.parent(parent)
        return holder if isinstance(holder, COMPREHENSIONS) else None
    return None
