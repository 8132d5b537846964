"""MPP805."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.channels.eof_loops import READING, EofLoops
from flake8_mppitfalls.model.channels.pipes import ENDS, Pipes
from flake8_mppitfalls.model.channels.traffic import other_end
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.values import Constant, Made
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Scope

if TYPE_CHECKING:
    from flake8_mppitfalls.model.channels.pipes import Gift
    from flake8_mppitfalls.model.channels.traffic import Channel
    from flake8_mppitfalls.model.program import Program

_DEEPEST = 5


class PipeEndLeftOpen(Rule):
    """A reader of a pipe waits for the end, and keeps the other end open itself.

    What it does:
        Finds a ``Pipe()`` of which one end is read in a loop until ``EOFError``, while the reading
        process has the other end open, too: the parent that has given it to a child and never
        closes its own copy, or a child that has got the parent's end by fork.

    Why it is bad:
        ``recv()`` raises ``EOFError`` when nobody can send any more: when *all* copies of the
        other end are closed. The end that a process gets stays open in the parent as well, and a
        forked child has all that the parent has open. So the reader waits for a message that
        only it could send: ``recv()`` never ends, and there is no error.

    Example:
        ::

            reader, writer = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.Process(target=produce, args=(writer,))
            process.start()
            while True:
                try:
                    print(reader.recv())
                except EOFError:
                    break

    Use instead:
        ::

            reader, writer = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.Process(target=produce, args=(writer,))
            process.start()
            writer.close()
            while True:
                try:
                    print(reader.recv())
                except EOFError:
                    break

        Where a child reads, give it both ends, and let it close the one that it does not use; or
        send an end marker.

    Known limits:
        Silent where the loop has another way to end, and where the end may be closed by code that
        this file does not show.

    References:
        Python documentation, ``multiprocessing.connection.wait``, whose example closes the
        writable end "to be sure that p is the only process which owns a handle for it".
    """

    code = "MPP805"
    name = "pipe-end-left-open"
    message = (
        "{reader}.recv(){line} never raises EOFError: {owner} still has {other} open; {advice}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each pipe that is read until an end which never comes."""
        if not program.made.get(api.Kind.PIPE):
            return
        pipes = Pipes(program)
        for made in pipes.made():
            for end in ENDS:
                found = self._judged(program, pipes, (made.site, end))
                if found is not None:
                    yield found
                    break

    def _judged(self, program: Program, pipes: Pipes, channel: Channel) -> Finding | None:
        """The finding for one end that is read until ``EOFError``, if there is one."""
        loops = EofLoops(program)
        other = other_end(channel)
        for read in program.traffic.calls(channel, READING):
            loop = loops.around(read)
            if loop is None:
                continue
            if program.concurrency.entries_at(read):
                if not _child_has_other(program, pipes, channel, read):
                    continue
                owner = "the child, which reads, got it by fork and"
                advice = "give {} to the child and close it there, or send an end marker"
            else:
                if not pipes.gifts(other):
                    continue
                if not _parent_has_other(program, pipes, channel, read, loop):
                    continue
                owner = "this process"
                advice = "close {} here, right after the start of the process that gets it"
            name = pipes.name_of(other)
            return self.finding(
                channel[0],
                reader=program.receiver(read, "the reader"),
                line=program.at_line(read),
                owner=owner,
                other=name,
                advice=advice.format(name),
            )
        return None


# -- the parent reads ----------------------------------------------------------------------------


def _parent_has_other(
    program: Program, pipes: Pipes, channel: Channel, read: cst.Call, loop: cst.While
) -> bool:
    """Does the parent read while it has the child's end open?"""
    other = other_end(channel)
    sides = program.sides
    for closer in pipes.closers(other):
        if not all(f in sides.parents for f in sides.functions_around(closer)):
            continue  # only the child closes its copy there
        if not _comes_after(program, closer, loop):
            return False
    return _is_alive(program, pipes, other, read)


def _comes_after(program: Program, closer: cst.CSTNode, loop: cst.While) -> bool:
    """Is the end closed behind the loop only, which never ends?"""
    tree = program.tree
    if isinstance(closer, cst.WithItem):
        statement = tree.parent(closer)
        places = list(_leading_to(program, loop))
        return isinstance(statement, cst.With) and any(
            tree.is_within(place, statement.body) for place in places
        )
    owner = program.paths.owner(closer)
    reading = [place for place in _leading_to(program, loop) if program.paths.owner(place) is owner]
    return bool(reading) and all(
        (place is loop or _calls_function(program, place))
        and not tree.is_within(closer, place)
        and tree.before(place, closer)
        and not any(isinstance(p, (cst.For, cst.While)) for p in tree.ancestors(place))
        for place in reading
    )


def _calls_function(program: Program, node: cst.CSTNode) -> bool:
    """Is it a call that comes back when the function has ended? No thread is started there."""
    return isinstance(node, cst.Call) and bool(program.sides.functions(program.values(node.func)))


def _is_alive(program: Program, pipes: Pipes, other: Channel, read: cst.Call) -> bool:
    """Is the end still there when the parent reads: no local of a helper that has returned?"""
    maker = program.paths.owner(other[0])
    if maker is program.tree.module or _leads_to(program, maker, read):
        return True
    return _is_kept(program, pipes, other)


def _leads_to(program: Program, maker: cst.CSTNode, read: cst.Call) -> bool:
    """Does the reader run within the function that makes the pipe?"""
    return any(program.paths.owner(place) is maker for place in _leading_to(program, read))


def _leading_to(program: Program, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A place, the calls of the function that holds it, the calls of those that hold them …"""
    work = [(node, 0)]
    seen: set[cst.CSTNode] = set()
    while work:
        place, depth = work.pop()
        if place in seen or depth > _DEEPEST:
            continue
        seen.add(place)
        yield place
        work += [(caller.step.node, depth + 1) for caller in program.paths.callers(place)]


def _is_kept(program: Program, pipes: Pipes, other: Channel) -> bool:
    """Does the end outlive the function that makes the pipe, as far as the file shows?"""
    element = pipes.target_of(other)
    if isinstance(element, cst.Attribute):
        return True
    if not isinstance(element, cst.Name):
        return False
    scope: Scope | None = program.tree.scope_of(element).owner_of(element.value)
    for binding in scope.bindings.get(element.value, ()) if scope is not None else ():
        if binding.node is element:
            uses = program.uses.of_parameter(binding)
            return any(use.kind in HANDED_ON - {UseKind.PASSED} for use in uses)
    return False


# -- a child reads -------------------------------------------------------------------------------


def _child_has_other(program: Program, pipes: Pipes, channel: Channel, read: cst.Call) -> bool:
    """Does a forked child read while it has its copy of the parent's end open?"""
    other = other_end(channel)
    entries = program.concurrency.entries_at(read)
    closers = pipes.closers(other)
    in_child = program.sides.reach([entry.function for entry in entries])
    if any(f in in_child for c in closers for f in program.sides.functions_around(c)):
        return False
    for gift in pipes.gifts(channel):
        if not any(entry in entries for entry in pipes.entries(gift)):
            continue
        for process in pipes.processes(gift):
            if process.kind is not api.Kind.PROCESS:
                continue
            if "fork" not in program.start_methods.of(process):
                continue
            if _is_waited_for(program, process, gift) and not _is_closed_before(
                program, process, closers
            ):
                return True
    return False


def _is_waited_for(program: Program, process: Made, gift: Gift) -> bool:
    """Does the program wait for the child: no ``terminate()``, no daemon that dies with it?"""
    uses = program.uses.of(process.site)
    names = {use.name for use in uses if use.kind is UseKind.METHOD}
    members = {use.name for use in uses if use.kind is UseKind.MEMBER}
    if names & {"terminate", "kill"} or members & {"terminate", "kill", "pid"}:
        return False
    daemon = any(
        arg.keyword is not None
        and arg.keyword.value == "daemon"
        and not _is_false(program, arg.value)
        for arg in gift.call.args
    )
    return "join" in names or not (daemon or "daemon" in members)


def _is_false(program: Program, node: cst.BaseExpression) -> bool:
    return all(isinstance(v, Constant) and not v.value for v in program.values(node))


def _is_closed_before(program: Program, process: Made, closers: list[cst.CSTNode]) -> bool:
    """Does the parent close its end before the process is started?"""
    starts = [
        use.node
        for use in program.uses.of(process.site)
        if use.kind is UseKind.METHOD and use.name == "start"
    ]
    nodes = set(closers)
    return any(step.node in nodes for start in starts for step in program.paths.before(start)) or (
        bool(closers) and not starts
    )
