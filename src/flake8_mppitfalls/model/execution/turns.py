"""Turns: tasks that a loop hands out one by one, and why it may have to.

A loop that waits for each task before it hands out the next gains nothing from its processes;
unless the next task needs the result of the last one, the loop tries one task until it is done,
or several threads run the loop side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.loops import COMPREHENSIONS
from flake8_mppitfalls.model.numbers.worker_counts import constructors
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.loops import Loop
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Made

DEEPEST = 3
"""How many calls up a loop is looked for."""
_PLAIN = frozenset({"staticmethod", "classmethod", "wraps", "override", "final", "no_type_check"})
"""Decorators that leave a function what it is."""
_CONCURRENT = (
    "create_task ensure_future gather as_completed wait TaskGroup start_soon start_server "
    "run_coroutine_threadsafe add_reader call_later call_soon".split()
)
_RUNNING = frozenset({"run", "run_until_complete"})
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


class Turn(NamedTuple):
    """A loop that at every turn hands out a task and waits for it.

    ``start`` leads from the call that hands it out to the loop, by the calls of the functions in
    between; ``awaiting`` likewise from where it is waited for. In most loops both are one call.
    """

    loop: Loop
    start: tuple[cst.CSTNode, ...]
    awaiting: tuple[cst.CSTNode, ...]

    @property
    def is_direct(self) -> bool:
        """True if the loop does both itself."""
        return len(self.start) == 1 and len(self.awaiting) == 1

    @property
    def is_one_call(self) -> bool:
        """True if one call in the loop does both."""
        return self.start[-1] is self.awaiting[-1]


class Turns:
    """Answers about the tasks that the loops of one module hand out."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._loops = program.loops
        self._alone: dict[cst.CSTNode, bool] | None = None
        self._begun: dict[cst.CSTNode, list[cst.Call]] = {}
        self._slow: dict[cst.CSTNode, list[cst.CSTNode]] = {}
        self._calls: dict[tuple[cst.CSTNode, int], list[tuple[cst.CSTNode, ...]]] = {}

    # -- which loop ----------------------------------------------------------------------------

    def of(
        self, start: cst.CSTNode, awaiting: cst.CSTNode, receivers: Iterable[Made] = ()
    ) -> Iterator[Turn]:
        """The loops that run both places at every turn, themselves or in what they call.

        Those apart that make the pool itself at every turn.
        """
        starts = {way[-1]: way for way in self._ways(start)}
        loops: dict[cst.CSTNode, list[tuple[cst.CSTNode, ...]]] = {}
        for place, way in starts.items():
            loops.setdefault(next(self._loops.around(place)), []).append(way)
        for way in self._ways(awaiting):
            loop = next(self._loops.around(way[-1]))
            for other in loops.get(loop, ()):
                turn = Turn(loop, other, way)
                if self._calls_another(turn):
                    continue
                if len(loops[loop]) == 1 or turn.is_one_call:
                    if not any(self._is_made_in(turn, made) for made in receivers):
                        yield turn

    def repeated(self, calls: Iterable[cst.Call]) -> list[cst.Call]:
        """Those that some loop runs at every turn, itself or in what it calls."""
        return [call for call in calls if any(True for _ in self._ways(call))]

    def _calls_another(self, turn: Turn) -> bool:
        """``for step in (read, write): step()``: each function is called in a turn of its own."""
        return any(
            len(way) > 1
            and isinstance(way[-1], cst.Call)
            and self._loops.varies(way[-1].func, turn.loop)
            for way in (turn.start, turn.awaiting)
        )

    def _ways(self, node: cst.CSTNode, depth: int = 0) -> Iterator[tuple[cst.CSTNode, ...]]:
        """From a place by the calls of its function out to a loop, if it is in none itself."""
        if self._loops.repeat(node):
            yield (node,)
            return
        function = self._tree.function_of(node).node
        if depth >= DEEPEST or not isinstance(function, cst.FunctionDef):
            return
        known = self._calls.get((function, depth))
        if known is None:
            known = self._calls[function, depth] = []
            if self._is_plain(function):
                for site in self._program.references.calls(function):
                    if function.asynchronous is None or self._is_awaited(site.call):
                        known += self._ways(site.call, depth + 1)
        for way in known:
            yield (node, *way)

    def _is_plain(self, function: cst.FunctionDef) -> bool:
        """Does its body run each time that it is called (and awaited)?"""
        if self._tree.scopes[function].is_generator:
            return False
        decorators = {name.rpartition(".")[2] for name in decorator_names(self._tree, function)}
        return decorators <= _PLAIN

    def _is_awaited(self, call: cst.Call) -> bool:
        return isinstance(self._tree.parent(call), cst.Await)

    def _is_made_in(self, turn: Turn, made: Made) -> bool:
        loop = turn.loop
        if self._tree.is_within(made.site, loop):
            return not self._is_iterable(made.site, loop)
        function = self._tree.function_of(made.site).node
        return not turn.is_direct and function in self._loops.called_in(loop)

    def _is_iterable(self, node: cst.CSTNode, loop: Loop) -> bool:
        return isinstance(loop, cst.For) and self._tree.is_within(node, loop.iter)

    def is_only_coroutine(self, node: cst.CSTNode) -> bool:
        """True if nothing else can run while the coroutine that holds ``node`` waits.

        The program runs it by ``asyncio.run()``, and makes no other tasks for the event loop.
        """
        if any(self._tree.calls_of.get(name) for name in _CONCURRENT):
            return False
        function = self._tree.function_of(node).node
        for _ in range(DEEPEST):
            if not isinstance(function, cst.FunctionDef):
                return False
            sites = self._program.references.calls(function)
            if len(sites) != 1 or len(self._program.references.of(function)) != 1:
                return False
            parent = self._tree.parent(sites[0].call)
            if isinstance(parent, cst.Arg):
                run = self._tree.parent(parent)
                return isinstance(run, cst.Call) and (
                    dotted_name(run.func).rpartition(".")[2] in _RUNNING
                )
            if not isinstance(parent, cst.Await):
                return False
            function = self._tree.function_of(parent).node
        return False

    # -- reasons to wait -----------------------------------------------------------------------

    def must_be_serial(self, turn: Turn, given: Iterable[cst.CSTNode]) -> bool:
        """True if the loop has a reason to wait for the task before the next turn.

        ``given`` are the arguments of the task.
        """
        loop, start, awaiting = turn.loop, turn.start[-1], turn.awaiting[-1]
        if not self._loops.goes_round(awaiting, loop):
            return True  # it is tried until it is done
        if self._loops.is_in_several_threads(turn.start[0]):
            return True
        if self._has_own_pool(turn) or self._asks_user(loop):
            return True
        fed = self._loops.fed_by(awaiting, loop)
        if start is not awaiting:
            fed |= self._loops.fed_by(start, loop)
        given = list(given)
        if not turn.is_direct and self._reads_changes(given, loop):
            return True
        if isinstance(start, cst.Call) and len(turn.start) > 1:
            given = [arg.value for arg in start.args]
            if not any(self._loops.varies(node, loop) for node in given):
                return True  # the same thing at every turn: a measurement, or one after the other
        if any(self._loops.is_fed(node, fed) for node in given):
            return True
        return self._loops.is_ended_by(awaiting, loop, fed)

    def _asks_user(self, loop: Loop) -> bool:
        """``while True: line = input()``: who is asked has to see the answer first."""
        return any(
            self._tree.is_within(call, loop) and self._tree.qualified(call.func) == "input"
            for call in self._tree.calls_of.get("input", ())
        )

    def _has_own_pool(self, turn: Turn) -> bool:
        """``for pool in pools:``"""
        call = turn.start[0]
        return (
            turn.is_direct
            and isinstance(call, cst.Call)
            and isinstance(call.func, cst.Attribute)
            and self._program.task_of(call) is not None
            and isinstance(call.func.value, cst.Name)
            and self._loops.varies(call.func.value, turn.loop)
        )

    def _reads_changes(self, given: list[cst.CSTNode], loop: Loop) -> bool:
        """Do the arguments come from what the loop, or a function in it, changes?"""
        called = self._loops.called_in(loop)
        seen: set[cst.CSTNode] = set()
        work = list(given)
        while work:
            for node in self._tree.walk(work.pop(), into_functions=True):
                if node in seen:
                    continue
                seen.add(node)
                if isinstance(node, cst.Attribute):
                    if self._loops.is_attribute_changed(node.attr.value, loop):
                        return True
                elif isinstance(node, cst.Name):
                    for binding in self._tree.lookup(node):
                        where = self._tree.function_of(binding.node)
                        if where is binding.scope and where.is_function:
                            if binding.value is not None:
                                work.append(binding.value)
                        elif where.node in called or self._tree.is_within(binding.node, loop):
                            return True
        return False

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

    def others(self, turn: Turn, task: cst.Call) -> bool:
        """True if other processes or tasks are started in the same turn."""
        blocks: list[cst.CSTNode] = [turn.loop]
        if not turn.is_direct:
            blocks += self._loops.called_in(turn.loop)
        return any(
            node is not task and not self._is_start_of(node, task)
            for block in blocks
            for node in self._beginnings(block)
        )

    def _beginnings(self, block: cst.CSTNode) -> list[cst.Call]:
        """The calls of a loop or function that start a process or hand out a task."""
        known = self._begun.get(block)
        if known is None:
            known = self._begun[block] = []
            for node in self._nodes_of(block):
                if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
                    name = node.func.attr.value
                    if name == "start" or (
                        name in _SUBMITTING and self._program.task_of(node) is not None
                    ):
                        known.append(node)
        return known

    def _nodes_of(self, block: cst.CSTNode) -> Iterator[cst.CSTNode]:
        if isinstance(block, (cst.For, cst.While, *COMPREHENSIONS)):
            return self._loops.body_of(block)
        return self._tree.walk(block)

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
            places = [b.node for b in self._program.names.bindings(handle)]
        else:
            stores = self._program.evaluator.classes.stores(handle.attr.value)
            places = [s.node for s in stores if dotted_name(s.node) == dotted_name(handle)]
        block: cst.CSTNode = loop
        if not self._tree.is_within(handle, loop):
            block = self._tree.function_of(handle).node
        return any(
            self._tree.is_within(place, block) and self._tree.before(place, handle)
            for place in places
        )

    def works_meanwhile(self, turn: Turn) -> bool:
        """True if other work is done between handing out the task and waiting for it."""
        for start in turn.start:
            function = self._tree.function_of(start)
            for awaiting in turn.awaiting:
                if self._tree.function_of(awaiting) is function:
                    within = start is turn.start[-1] and awaiting is turn.awaiting[-1]
                    block = turn.loop if within else function.node
                    return self._works_between(block, start, awaiting)
        return True

    def _works_between(self, block: cst.CSTNode, start: cst.CSTNode, awaiting: cst.CSTNode) -> bool:
        if isinstance(block, COMPREHENSIONS):
            return False
        first, last = self._tree.statement_of(start), self._tree.statement_of(awaiting)
        if first is last:
            return False
        for node in self._slow_in(block):
            if self._tree.before(node, start):
                continue
            if not self._tree.before(node, awaiting):
                break
            if not (self._tree.is_within(node, first) or self._tree.is_within(node, last)):
                return True
        return False

    def _slow_in(self, block: cst.CSTNode) -> list[cst.CSTNode]:
        """The calls of a loop or function that take time, in order."""
        known = self._slow.get(block)
        if known is None:
            known = self._slow[block] = [
                node
                for node in self._nodes_of(block)
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
