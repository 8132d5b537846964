"""MPP808."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.channels.eof_loops import READING
from flake8_mppitfalls.model.channels.pipes import ENDS, Pipes
from flake8_mppitfalls.model.channels.traffic import other_end
from flake8_mppitfalls.model.evaluation.loops import LOOPS
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.execution.activities import Activities, Activity
from flake8_mppitfalls.model.execution.concurrency import SEVERAL
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.channels.pipes import Gift
    from flake8_mppitfalls.model.channels.traffic import Channel
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program

SENDING = frozenset({"send", "send_bytes"})


class PipeEndShared(Rule):
    """Several processes send, or receive, on one end of a pipe at the same time.

    What it does:
        Finds an end of a ``Pipe()`` that is given to several processes which are alive together
        and each of which sends on it, or each of which receives, without a lock.

    Why it is bad:
        A message is its length and then its bytes, and a large one is written and read in several
        pieces. Nothing keeps two processes apart: the pieces of their messages mix, and what is
        read is none of them::

            _pickle.UnpicklingError: invalid load key, '\\x00'.
            OSError: [Errno 12] Cannot allocate memory

        or ``recv()`` waits for bytes that another process has read. Short messages come through
        for a long time.

    Example:
        ::

            reader, writer = multiprocessing.Pipe(duplex=False)
            for part in parts:
                multiprocessing.Process(target=render, args=(part, writer)).start()

    Use instead:
        A pipe for each process and ``multiprocessing.connection.wait``, or a queue, which has
        locks::

            results = multiprocessing.SimpleQueue()
            for part in parts:
                multiprocessing.Process(target=render, args=(part, results)).start()

    Known limits:
        Only for functions of this module, which show what they do with the end.

    References:
        Python documentation, ``multiprocessing.Pipe``: "data in a pipe may become corrupted if two
        processes (or threads) try to read from or write to the *same* end of the pipe at the same
        time".
    """

    code = "MPP808"
    name = "pipe-end-shared"
    message = (
        "{end} goes to several processes, and each {does} on it without a lock: their messages mix"
        " and can't be read; give each a pipe of its own, or use a queue"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the arguments by which an end goes to a second process."""
        if not program.made.get(api.Kind.PIPE):
            return
        pipes = Pipes(program)
        for made in pipes.made():
            for end in ENDS:
                channel = (made.site, end)
                for names, does in ((SENDING, "sends"), (READING, "receives")):
                    gift = _second(program, pipes, channel, names)
                    if gift is not None:
                        yield self.finding(
                            gift.node, end=program.source(gift.node, "one pipe end"), does=does
                        )
                        break


def _second(program: Program, pipes: Pipes, channel: Channel, names: frozenset[str]) -> Gift | None:
    """The gift by which a second process gets the end that others use in the same way."""
    calls = [
        call
        for call in program.traffic.calls(channel, names)
        if not program.locking.is_held(call) and not _is_for_one(program, call)
    ]
    users = {entry for call in calls for entry in program.concurrency.entries_at(call)}
    earlier: list[Gift] = []
    for gift in pipes.gifts(channel) if users else ():
        entries = [entry for entry in _entries(program, pipes, gift) if entry in users]
        if not entries or _is_one_of_many(program, channel[0], gift):
            continue
        single = names is SENDING and _is_single(program, calls, entries)
        if _count(program, gift, entries, channel) >= SEVERAL:
            if not (single and _is_received_in_turn(program, gift, channel)):
                return gift
        if any(_are_together(program, other, gift, channel, single) for other in earlier):
            return gift
        earlier.append(gift)
    return None


def _is_for_one(program: Program, call: cst.Call) -> bool:
    """Does a test choose the process: ``if rank == 0: conn.send(total)``?"""
    function = next(program.sides.functions_around(call), None)
    return function is not None and any(
        _tells_processes_apart(program, test, function)
        for test, _ in program.conditions.holding(call)
        if not isinstance(program.tree.parent(test), cst.While)
    )


def _tells_processes_apart(
    program: Program, test: cst.BaseExpression, function: cst.CSTNode
) -> bool:
    """A test of parameters, attributes or globals alone, and of nothing that the process reads."""
    scope = program.tree.scopes[function]
    for node in program.tree.walk(test):
        if isinstance(node, cst.Name) and program.tree.scope_of(node).owner_of(node.value) is scope:
            if any(binding.kind is not Bound.PARAMETER for binding in scope.bindings[node.value]):
                return False
        elif isinstance(node, cst.Call) and node.args:
            return False
    return True


def _entries(program: Program, pipes: Pipes, gift: Gift) -> list[Entry]:
    """The worker functions that have the end by this gift: of a pool, all of its tasks."""
    task = gift.task
    if task is None or task.shape.role != "initializer":
        return pipes.entries(gift)
    pools = set(task.receivers)
    return [
        entry
        for entry in program.sides.entries()
        if entry.task is not None and not pools.isdisjoint(entry.task.receivers)
    ]


def _is_one_of_many(program: Program, made: cst.CSTNode, gift: Gift) -> bool:
    """Are several pipes made there, of which each process may get its own?"""
    tree = program.tree
    places = [made]
    if program.paths.owner(made) is not program.paths.owner(gift.call):
        callers = [caller.step.node for caller in program.paths.callers(made)]
        if len(callers) > 1 or any(program.loops.repeat(c) for c in callers):
            return True
        places += callers
    return any(
        isinstance(parent, LOOPS) and not tree.is_within(gift.call, parent)
        for place in places
        for parent in tree.ancestors(place)
    )


def _count(program: Program, gift: Gift, entries: list[Entry], channel: Channel) -> int:
    """How many processes have the end by one gift, and use it at the same time."""
    task = gift.task
    if task is None or task.shape.role == "process":
        if task is not None and not task.receivers:  # torch's spawn()
            return program.concurrency.total(entries, channel[0])
        loops = program.loops
        if isinstance(gift.node, (cst.Name, cst.Subscript)):
            if any(loops.varies(gift.node, loop) for loop in loops.around(gift.call)):
                return 1  # each turn gives another end: ``for end in (left, right):``
        return program.concurrency.times(gift.call, channel[0])
    if all(program.concurrency.has_one_worker(made) for made in task.receivers):
        return 1
    return program.concurrency.total(entries, channel[0])


# -- one after the other -------------------------------------------------------------------------


def _is_single(program: Program, calls: list[cst.Call], entries: list[Entry]) -> bool:
    """Does each process send one message only?"""
    for entry in entries:
        reached = program.sides.reach((entry.function,))
        sent = [
            call
            for call in calls
            if any(f in reached for f in program.sides.functions_around(call))
        ]
        if len(sent) != 1 or program.loops.repeat(sent[0]):
            return False
    return True


def _reads(program: Program, channel: Channel) -> list[cst.Call]:
    """The calls of the parent that read what is sent on an end."""
    return [
        read
        for read in program.traffic.calls(other_end(channel), READING)
        if not program.concurrency.entries_at(read)
    ]


def _is_received_in_turn(program: Program, gift: Gift, channel: Channel) -> bool:
    """Is the message received in the turn of the loop that starts the process?"""
    loop = next(program.loops.around(gift.call), None)
    return loop is not None and any(
        program.tree.is_within(read, loop) for read in _reads(program, channel)
    )


def _are_together(
    program: Program, first: Gift, second: Gift, channel: Channel, single: bool
) -> bool:
    """May the process of an earlier gift be alive when that of a later one is started?"""
    starts = _starts(program, second)
    activities = Activities(program)
    activity = _activity(first)
    for start in starts:
        if activities.may_run_at(activity, start, fetched=True) is None:
            continue
        if single and any(
            program.tree.before(began, read) and program.tree.before(read, start)
            for began in _starts(program, first)
            for read in _reads(program, channel)
        ):
            continue
        return True
    return False


def _starts(program: Program, gift: Gift) -> list[cst.CSTNode]:
    if _activity(gift).task is not None:
        return [gift.call]
    return [
        use.node
        for use in program.uses.of(gift.call)
        if use.kind is UseKind.METHOD and use.name == "start"
    ]


def _activity(gift: Gift) -> Activity:
    task = gift.task
    is_task = task is not None and task.shape.role == "task"
    return Activity(gift.call, task if is_task else None)
