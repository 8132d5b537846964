"""MPP506."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.loops import COMPREHENSIONS
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.execution.turns import Turn
from flake8_mppitfalls.model.values import Made
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.loops import Loop
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.program import Program

_AWAITING = {
    "apply_async": ("get", "wait"),
    "submit": ("result", "exception"),
    "run_in_executor": (),
}
_ON_PURPOSE = frozenset({"exitcode", "terminate", "kill"})
"""What is done with a process that is to run by itself: its end is judged, or forced."""


class SerialisedTasks(Rule):
    """Each task is waited for before the next one is handed out.

    What it does:
        Finds a loop or comprehension in which the only task of a turn is awaited in the same turn:
        ``apply_async(…).get()``, ``submit(…).result()``, or a process that is started and joined;
        in the loop itself or in functions of this module that it calls.

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
        the pool has one worker; where a function is called with the same arguments at every turn,
        a ``while`` loop starts the same process again, or each turn has another start method;
        where a coroutine awaits and others may run meanwhile; and for a process whose ``exitcode``
        is read, that may be terminated, or whose ``join()`` has a timeout: one fresh process for
        each item is the purpose then.

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
                        waits=_words(node),
                        thing="task",
                        remedy="hand out all tasks first, and fetch the results in a second loop",
                    )
        joined: set[cst.CSTNode] = set()
        for made in program.made.get(api.Kind.PROCESS, ()):
            node = self._joined_process(program, made)
            if node is not None and node not in joined:
                joined.add(node)
                yield self.finding(
                    node,
                    waits=f"{program.source(node, 'join()')}",
                    thing="process",
                    remedy="start all processes first, and join them in a second loop",
                )

    def _awaited_task(self, program: Program, task: Task) -> cst.CSTNode | None:
        turns = program.turns
        if any(made.kind not in (api.Kind.POOL, api.Kind.EXECUTOR) for made in task.receivers):
            return None
        if turns.has_one_worker(task):
            return None
        given = list(turns.given_to(task))
        order = program.tree.order_of_completion
        for node, handle in sorted(_awaitings(program, task), key=lambda pair: order(pair[0])):
            for turn in _turns(program, task, node):
                if turns.others(turn, task.call):
                    continue
                if _is_from_container(program, task.call, node):
                    continue
                if not turns.is_of_this_turn(handle, turn.loop):
                    continue
                if not turns.works_meanwhile(turn) and not turns.must_be_serial(turn, given):
                    return node
        return None

    def _joined_process(self, program: Program, made: Made) -> cst.Call | None:
        if not isinstance(made.site, cst.Call):
            return None
        turns, site = program.turns, made.site
        uses = program.uses.of(site)
        if any(use.name in _ON_PURPOSE for use in uses):
            return None
        starts, joins = _calls(uses, "start"), _calls(uses, "join")
        if any(join.args for join in joins):
            return None
        starts, joins = turns.repeated(starts), turns.repeated(joins)
        if _is_also_called(program, site):
            return None
        given = [arg.value for arg in site.args]
        in_list = any(use.through_container for use in uses)
        for start, join in itertools.product(starts, joins):
            if not isinstance(join.func, cst.Attribute) or start is join:
                continue
            for turn in turns.of(start, join):
                if turns.others(turn, site):
                    continue
                if _compares_contexts(program, site, turn.loop) or (
                    turn.is_one_call and _runs_anything(program, given)
                ):
                    continue
                if isinstance(turn.loop, cst.While) and not any(
                    program.loops.varies(node, turn.loop) for node in given
                ):
                    continue  # it starts the same thing again when that has ended
                if in_list:
                    if not _are_both_of_loop(program, start, join, turn.loop):
                        continue
                elif not any(turns.of(site, join)):
                    continue
                elif not turns.is_of_this_turn(join.func.value, turn.loop):
                    continue
                if not turns.works_meanwhile(turn) and not turns.must_be_serial(turn, given):
                    return join
        return None


def _is_also_called(program: Program, site: cst.Call) -> bool:
    """Does ``else:`` do the same work right here? A process of its own is the purpose then."""
    task = program.task_of(site)
    functions = program.sides.functions(program.values(task.callable)) if task is not None else []
    for parent in program.tree.ancestors(site):
        if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
            return False
        if isinstance(parent, cst.If) and isinstance(parent.orelse, cst.Else):
            other = parent.orelse if program.tree.is_within(site, parent.body) else parent.body
            for node in program.tree.walk(other):
                if isinstance(node, cst.Call):
                    if set(program.sides.functions(program.values(node.func))) & set(functions):
                        return True
    return False


def _words(node: cst.CSTNode) -> str:
    if isinstance(node, cst.Call):
        return f"{dotted_name(node.func).rpartition('.')[2] or _method(node)}()"
    return "await"


def _method(call: cst.Call) -> str:
    return call.func.attr.value if isinstance(call.func, cst.Attribute) else "this call"


def _awaitings(program: Program, task: Task) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """Where a task is waited for, and what stands for it there."""
    for use in program.uses.of(task.call):
        if use.kind is UseKind.METHOD and use.name in _AWAITING[task.name]:
            yield use.node, use.at
        elif use.kind is UseKind.AWAITED:
            if program.turns.is_only_coroutine(use.node):
                yield use.node, use.at
        elif use.kind is UseKind.TESTED and use.name == "concurrent.futures.wait":
            if isinstance(use.at, cst.List) and len(use.at.elements) == 1:
                yield use.node, use.at.elements[0].value


def _turns(program: Program, task: Task, awaiting: cst.CSTNode) -> Iterator[Turn]:
    loop = next(program.loops.around(task.call), None)
    outer = _lazily_consumed(program, loop) if loop is not None else None
    if outer is not None and program.tree.is_within(awaiting, outer):
        if next(program.loops.around(awaiting), None) is outer:
            yield Turn(outer, (task.call,), (awaiting,))
    else:
        yield from program.turns.of(task.call, awaiting, task.receivers)


def _runs_anything(program: Program, given: list[cst.BaseExpression]) -> bool:
    """``def apart(f, *args): Process(target=f, args=args)``: in a process of its own on purpose."""
    return any(
        binding.kind is Bound.PARAMETER
        for node in given
        if isinstance(node, cst.Name)
        for binding in program.tree.lookup(node)
    )


def _compares_contexts(program: Program, site: cst.Call, loop: Loop) -> bool:
    """``for method in methods: get_context(method).Process(…)``: one after the other on purpose."""
    func = site.func
    if not isinstance(func, cst.Attribute):
        return False
    return program.loops.varies(func.value, loop) or any(
        binding.kind is Bound.PARAMETER and program.tree.parent(name) is func
        for name in program.tree.walk(func.value)
        if isinstance(name, cst.Name)
        for binding in program.tree.lookup(name)
    )


def _are_both_of_loop(program: Program, start: cst.Call, join: cst.Call, loop: Loop) -> bool:
    """``for p in processes: p.start(); p.join()``"""
    if not isinstance(loop, cst.For):
        return False
    for call in (start, join):
        assert isinstance(call.func, cst.Attribute)
        name = call.func.value
        if not isinstance(name, cst.Name):
            return False
        bindings = program.names.bindings(name)
        if not bindings or any(b.kind is not Bound.FOR for b in bindings):
            return False
        if not all(program.tree.is_within(b.node, loop.target) for b in bindings):
            return False
    return program.tree.before(start, join)


def _calls(uses: list[Use], name: str) -> list[cst.Call]:
    return [
        use.node
        for use in uses
        if use.kind is UseKind.METHOD and use.name == name and isinstance(use.node, cst.Call)
    ]


def _is_from_container(program: Program, call: cst.Call, awaiting: cst.CSTNode) -> bool:
    """Does the wait get its task out of a container, which may hold those of other turns?"""
    if isinstance(next(program.loops.around(call), None), COMPREHENSIONS):
        return False
    return any(
        use.node is awaiting and use.kind is UseKind.METHOD and use.through_container
        for use in program.uses.of(call)
    )


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
