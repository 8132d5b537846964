"""MPP408."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.channels.traffic import GETTING, PUTTING, channel_of, other_end
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.lives.machine import Fault
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    Constant,
    Container,
    External,
    Made,
    Result,
    is_made_at,
)
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.channels.traffic import Channel
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.program import Program

_ITEM = {"put": "obj", "put_nowait": "obj", "send": "obj", "send_bytes": "buf"}


class JoinBeforeDrain(Rule):
    """A process is joined before its results are read.

    What it does:
        Finds ``join()`` on a ``Process`` that was given a ``Queue``, ``JoinableQueue``,
        ``SimpleQueue`` or the sending end of a ``Pipe``, where the parent reads the results only
        after the ``join()``.

    Why it is bad:
        A pipe holds 64 KB on Linux, less elsewhere. A process that has put more into a queue does
        not end until its feeder thread has written everything, and that waits for somebody to
        read: the process waits for the parent, and the parent in ``join()`` for the process. With
        small results it works, with large ones the program hangs for ever, without an error. With
        ``join(timeout)`` it goes on, and the results are lost.

    Example:
        ::

            worker = multiprocessing.Process(target=measure, args=(names, results))
            worker.start()
            worker.join()
            table = results.get()

    Use instead:
        ::

            worker = multiprocessing.Process(target=measure, args=(names, results))
            worker.start()
            table = results.get()
            worker.join()

    Known limits:
        A single constant that the worker puts is no finding. Neither is a queue from which
        another process, or a thread of the parent, reads, nor a ``join()`` where a test says that
        the process has ended.

    References:
        Python documentation, ``multiprocessing``, "Joining processes that use queues"; CPython's
        ``Lib/multiprocessing/queues.py``, ``Queue._finalize_join``.
    """

    code = "MPP408"
    name = "join-before-drain"
    message = (
        "{process} is joined before {channel} is read: as soon as the results fill the pipe"
        " {result}; read the results first, then join"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``join()`` that comes before the results are read."""
        if not any(program.made.get(kind) for kind in (api.Kind.QUEUE, api.Kind.PIPE)):
            return
        found: set[cst.CSTNode] = set()
        for process in program.made.get(api.Kind.PROCESS, ()):
            life = program.lifetimes.of(process)
            wrong = {t.node for t in life.troubles if t.fault is Fault.JOINED_UNSTARTED}
            joins = [
                call
                for call in (*life.calls("join"), *_own_joins(program, process))
                if call not in wrong
                and not program.sides.functions(program.values(call.func))
                and not _has_ended(program, call)
            ]
            for thing in program.handovers.of(process) if joins else ():
                if not _is_made_here(thing):
                    continue
                case = _Case(program, process, thing)
                for join in joins:
                    if join not in found and case.is_joined_first(join):
                        found.add(join)
                        yield self._found(program, join, thing)

    def _found(self, program: Program, join: cst.Call, thing: Made) -> Finding:
        assert isinstance(join.func, cst.Attribute)
        receivers = program.values(join.func.value)
        unbound = any(isinstance(v, External) for v in receivers)  # ``Process.join(self)``
        named = any(isinstance(v, Made) for v in receivers)  # not so for ``super()``
        return self.finding(
            join,
            process=program.receiver(join, "the process") if named else "the process",
            channel="the pipe" if thing.kind is api.Kind.CONNECTION else "the queue",
            result="they are lost" if len(join.args) > unbound else "both sides wait for ever",
        )


def _has_ended(program: Program, join: cst.Call) -> bool:
    """``if not p.is_alive(): p.join()``: it has got rid of all that it put.

    So it is in a loop over a list into which such processes alone were put.
    """
    receiver = join.func.value if isinstance(join.func, cst.Attribute) else None
    places: list[tuple[cst.CSTNode, cst.BaseExpression | None]] = [(join, receiver)]
    if isinstance(receiver, cst.Name):
        for binding in program.names.bindings(receiver):
            for value in program.values(binding.value) if binding.kind is Bound.FOR else ():
                if isinstance(value, Container):
                    given = program.evaluator.containers.contributions(value)
                    places += [(node, node) for node, _ in given]
    return any(
        _says_it_ended(test, process, holds)
        for place, process in places
        for test, holds in program.paths.tests_around(place)
    )


def _says_it_ended(
    test: cst.BaseExpression, process: cst.BaseExpression | None, holds: bool
) -> bool:
    while isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
        test, holds = test.expression, not holds
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.Or) and holds:
        sides = (test.left, test.right)  # ``not p or not p.is_alive()``
        return any(_says_it_ended(side, process, True) for side in sides) and any(
            isinstance(side, cst.UnaryOperation) and _same(side.expression, process)
            for side in sides
        )
    if isinstance(test, cst.Call) and isinstance(test.func, cst.Attribute):
        asked = test.func
        return asked.attr.value == "is_alive" and not holds and _same(asked.value, process)
    if isinstance(test, cst.Comparison) and isinstance(test.left, cst.Attribute):
        operator = test.comparisons[0].operator
        is_none = isinstance(test.comparisons[0].comparator, cst.Name)
        told = isinstance(operator, cst.IsNot) if holds else isinstance(operator, cst.Is)
        return (
            test.left.attr.value == "exitcode"
            and told
            and is_none
            and _same(test.left.value, process)
        )
    return False


def _same(one: cst.BaseExpression, other: cst.BaseExpression | None) -> bool:
    return other is not None and one.deep_equals(other)


def _own_joins(program: Program, process: Made) -> Iterator[cst.Call]:
    """``self.join()``, ``super().join()``, ``Process.join(self)`` in a method of its class."""
    if process.cls is None:
        return
    for method in program.evaluator.classes.methods(process.cls):
        for call in program.tree.calls_in(program.tree.scopes[method], "join"):
            if isinstance(call.func, cst.Attribute):
                if _is_own(program, process, call.func.value, call):
                    yield call


def _is_own(program: Program, process: Made, receiver: cst.BaseExpression, call: cst.Call) -> bool:
    for value in program.values(receiver):
        if isinstance(value, Made) and value.site is value.cls:
            return True
        if isinstance(value, Result) and value.name == "super":
            return True
        if isinstance(value, External):
            maker = api.maker(value.name)
            return maker is not None and maker.makes is process.kind and len(call.args) > 0
    return False


def _is_made_here(thing: Made) -> bool:
    return thing.kind in (api.Kind.QUEUE, api.Kind.CONNECTION) and isinstance(thing.site, cst.Call)


class _Case:
    """One process and one queue, or pipe end, that it was given."""

    def __init__(self, program: Program, process: Made, thing: Made) -> None:
        self._program = program
        self._tree = program.tree
        self._process = process
        self._thing = thing
        self._given: Channel = channel_of(thing)
        self._read: Channel = other_end(self._given)
        passes = program.runs.in_program
        self._starts = Effect(program.runs, self._started, passes)
        self._joins = Effect(program.runs, self._joined, passes)
        self._ends = Effect(program.runs, self._ended, passes)
        self._own_joins = list(_own_joins(program, process))
        self._possible: bool | None = None

    def is_joined_first(self, join: cst.Call) -> bool:
        """Does the parent read only after this ``join()``?"""
        if self._possible is None:
            self._possible = self._fills_the_pipe() and not self._is_read_elsewhere()
        if not self._possible or not self._program.sides.is_parent_code(join):
            return False
        if self._is_tried_again(join) or self._may_be_read_meanwhile(join):
            return False
        return self._is_read_after(join) and not self._is_touched_before(join)

    def _may_be_read_meanwhile(self, join: cst.Call) -> bool:
        """Between the method that starts it and this one: does others' code have one that reads?"""
        program = self._program
        here = program.paths.owner(join)
        starts = program.lifetimes.of(self._process).calls("start")
        if any(program.paths.owner(start) is here for start in starts):
            return False
        for node in self._parent_reads():
            method = program.paths.owner(node)
            if method is here or program.evaluator.classes.of_method(method) is None:
                continue
            if not program.references.of(method):
                return True
        return False

    def _is_tried_again(self, join: cst.Call) -> bool:
        """A ``join()`` with a time limit, in a loop that reads what has come and joins again."""
        if not join.args:
            return False
        reads = set(self._parent_reads())
        return any(
            node in reads or self._may_read(node)
            for loop in self._tree.ancestors(join)
            if isinstance(loop, cst.While)
            for node in self._program.loops.body_of(loop)
        )

    def _may_read(self, node: cst.CSTNode) -> bool:
        """A ``get()`` of a queue that the file does not show."""
        if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
            return False
        name = node.func.attr.value
        return name in GETTING and UNKNOWN in self._program.values(node.func.value)

    # -- order ---------------------------------------------------------------------------------

    def _started(self, step: Step) -> Iterator[bool]:
        if any(s.site is self._process.site for s in self._program.starts.direct(step)):
            yield True

    def _joined(self, step: Step) -> Iterator[cst.CSTNode]:
        yield from self._methods(step, "join")

    def _ended(self, step: Step) -> Iterator[cst.CSTNode]:
        yield from self._methods(step, "terminate", "kill")

    def _methods(self, step: Step, *names: str) -> Iterator[cst.CSTNode]:
        call = step.node
        if step.entered or not isinstance(call, cst.Call):
            return
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in names:
            if is_made_at(self._program.values(call.func.value), self._process.site):
                yield call
            elif call in self._own_joins:
                yield call

    def _is_touched_before(self, join: cst.Call) -> bool:
        """Since its start: is something read, put in, or is the process ended?"""
        traffic = self._program.traffic
        began = False

        def is_touched(step: Step) -> bool:
            if self._ends.at(step) or self._read in traffic.taken.at(step):
                return True
            put = traffic.put.at(step)
            return self._given in put or self._read in put or self._waits(step)

        def starts(step: Step) -> bool:
            nonlocal began
            if not self._starts.at(step):
                return False
            began = began or (bool(step.functions) and is_touched(step))
            return True

        steps = self._program.paths.before(join, starts)
        touched = any(
            not self._is_of_next_turn(step.node, join) and is_touched(step) for step in steps
        )
        return touched or began or self._is_tried_before(join)

    def _is_of_next_turn(self, node: cst.CSTNode, join: cst.Call) -> bool:
        """``for p, q in pairs: p.join(); q.get()``: in the first turn nothing was read before."""
        return self._tree.before(join, node) and any(
            self._tree.is_within(node, loop) for loop in self._program.loops.around(join)
        )

    def _is_tried_before(self, join: cst.Call) -> bool:
        """In a handler or ``finally`` behind a ``try`` that reads."""
        for parent in self._tree.ancestors(join):
            if isinstance(parent, (cst.ExceptHandler, cst.ExceptStarHandler, cst.Finally)):
                statement = self._tree.parent(parent)
                if isinstance(statement, (cst.Try, cst.TryStar)):
                    reads = {id(node) for node in self._parent_reads()}
                    if any(id(node) in reads for node in self._tree.walk(statement.body)):
                        return True
            elif isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
        return False

    def _waits(self, step: Step) -> bool:
        """``tasks.join()``: somebody else takes everything out."""
        call = step.node
        return (
            not step.entered
            and isinstance(call, cst.Call)
            and self._given in self._program.traffic.used_by(call, ("join",))
        )

    def _is_read_after(self, join: cst.Call) -> bool:
        paths = self._program.paths
        return any(
            paths.first_before(node, lambda step: join in self._joins.at(step))
            for node in self._parent_reads()
            if paths.may_follow(node, join)
        )

    def _parent_reads(self) -> Iterator[cst.CSTNode]:
        traffic = self._program.traffic
        reads: list[cst.CSTNode] = [*traffic.calls(self._read, GETTING)]
        for member in traffic.members(self._read, GETTING):
            arg = self._tree.parent(member)
            call = self._tree.parent(arg) if isinstance(arg, cst.Arg) else None
            if call is not None:
                reads.append(call)
        for node in reads:
            if self._program.sides.is_parent_code(node):
                yield node

    # -- who reads and writes ------------------------------------------------------------------

    def _is_read_elsewhere(self) -> bool:
        """Does another process, or code that is not seen, take things out?"""
        program, traffic = self._program, self._program.traffic
        if traffic.calls(self._given, ("cancel_join_thread",)):
            return True
        for node in (
            *traffic.calls(self._read, GETTING),
            *traffic.members(self._read, GETTING),
        ):
            if not program.sides.is_parent_code(node):
                return True
        for member in traffic.members(self._read, GETTING):
            arg = self._tree.parent(member)
            call = self._tree.parent(arg) if isinstance(arg, cst.Arg) else None
            if not isinstance(call, cst.Call) or self._tree.qualified(call.func) != "iter":
                return True  # a thread's target, a callback
        return any(self._is_away(use) for use in program.uses.of(self._thing.site))

    def _is_away(self, use: Use) -> bool:
        """Does the parent hand it to what the file does not show?"""
        if use.kind not in HANDED_ON or use.kind is UseKind.KEPT:
            return False
        if not self._program.sides.is_parent_code(use.node):
            return False
        if not use.depth and not {self._given, self._read} & {
            *self._program.traffic.channels(use.at)
        }:
            return False  # the other end of the pipe, and of no use to anybody else
        if use.kind is UseKind.RETURNED:
            function = self._tree.function_of(use.node).node
            calls = self._program.references.calls(function)
            return not (isinstance(function, cst.FunctionDef) and calls)
        if use.kind is not UseKind.PASSED or not isinstance(use.node, cst.Call):
            return True
        if use.name == "functools.partial":
            return False
        return not any(
            isinstance(v, Made) and v.kind is api.Kind.PROCESS
            for v in self._program.values(use.node)
        )

    # -- what is written -----------------------------------------------------------------------

    def _fills_the_pipe(self) -> bool:
        """May the process put more than one constant into it?"""
        program = self._program
        functions = program.sides.targets(self._process)
        if not functions:
            return True
        reached = program.sides.reach(functions)
        puts = [
            call
            for call in program.traffic.calls(self._given, PUTTING)
            if any(f in reached for f in program.sides.functions_around(call))
        ]
        if any(self._is_much(call) for call in puts):
            return True
        return any(self._is_passed_on_in(function) for function in reached)

    def _is_much(self, call: cst.Call) -> bool:
        if self._program.loops.repeat(call):
            return True
        assert isinstance(call.func, cst.Attribute)
        item = argument(call, (_ITEM[call.func.attr.value],), _ITEM[call.func.attr.value])
        return item is None or not self._is_constant(item)

    def _is_constant(self, node: cst.BaseExpression) -> bool:
        if isinstance(node, (cst.Tuple, cst.List, cst.Set)):
            return all(self._is_constant(element.value) for element in node.elements)
        values = self._program.values(node)
        return bool(values) and all(isinstance(v, (Constant, External)) for v in values)

    def _is_passed_on_in(self, function: cst.CSTNode) -> bool:
        """Does the worker give it to code that is not seen here?"""
        traffic = self._program.traffic
        away = traffic.given_away(function, lambda node: self._given in traffic.channels(node))
        return any(True for _ in away)
