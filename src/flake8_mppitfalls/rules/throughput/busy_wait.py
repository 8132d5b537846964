"""MPP507."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.channels.emptiness import Emptiness
from flake8_mppitfalls.model.channels.polling import Poll, Spinning, polls
from flake8_mppitfalls.model.values import Container
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_INSTEAD = {
    api.Kind.ASYNC_RESULT: "wait() or get()",
    api.Kind.FUTURE: "result() or concurrent.futures.wait()",
    api.Kind.PROCESS: "join() or multiprocessing.connection.wait()",
    api.Kind.QUEUE: "get() or connection.wait()",
    api.Kind.PROXY: "get() with or without a timeout",
}


class BusyWait(Rule):
    """A loop asks without a pause whether something is finished.

    What it does:
        Finds a ``while`` loop that asks ``ready()``, ``done()``, ``is_alive()``, ``empty()`` or
        ``exitcode`` and neither waits nor works in between (a ``sleep()`` of at most 0.01 seconds
        is no wait); and a ``for`` loop that removes the finished ones from the list over which it
        runs.

    Why it is bad:
        The loop keeps a processor busy that the workers could use. A list that shrinks under its
        ``for`` loop moves on: the item behind each removed one is skipped.

    Example:
        ::

            while not result.ready():
                pass

            for future in futures:
                if future.done():
                    futures.remove(future)

    Use instead:
        ::

            result.wait()

            for future in concurrent.futures.as_completed(futures):
                print(future.result())

    Known limits:
        A loop that does anything else at every turn (a progress display, other work) is left
        alone. Where ``empty()`` ends the loop MPP801 speaks.

    References:
        Python documentation, ``multiprocessing.pool.AsyncResult.wait``,
        ``concurrent.futures.wait``, ``multiprocessing.connection.wait``; the language reference,
        "The for statement".
    """

    code = "MPP507"
    name = "busy-wait"
    message = "{trouble}; {remedy}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each loop that spins, and each removal from the list of a loop."""
        spinning = Spinning(program)
        seen: set[cst.CSTNode] = set()
        for poll in polls(program):
            loop = spinning.loop_of(poll)
            if loop is not None and loop not in seen:
                if poll.name == "empty" and self._ends(program, spinning, poll, loop):
                    continue
                seen.add(loop)
                if spinning.is_without_pause(loop):
                    asked = program.source(poll.node, f"{poll.name}")
                    nap = spinning.nap(loop)
                    how = (
                        f"every {nap} seconds and takes processor time"
                        if nap
                        else "without a pause and keeps a processor busy"
                    )
                    yield self.finding(
                        loop,
                        trouble=f"this loop asks {asked} {how} while it waits",
                        remedy=f"call {_INSTEAD[poll.kind]}, which wait",
                    )
            for removal, name in self._removals(program, poll):
                if removal not in seen:
                    seen.add(removal)
                    remedy = f"run over a copy, list({name})"
                    if poll.kind is api.Kind.FUTURE:
                        remedy += ", or over concurrent.futures.as_completed()"
                    yield self.finding(
                        removal,
                        trouble=f"{name} shrinks here under the loop that runs over it, which"
                        " skips the next item",
                        remedy=remedy,
                    )

    def _ends(self, program: Program, spinning: Spinning, poll: Poll, loop: cst.While) -> bool:
        """Does the loop end when the queue is empty? Then MPP801 speaks."""
        if isinstance(poll.node, cst.Call) and any(
            decision.loop is loop for decision in Emptiness(program).decisions(poll.node)
        ):
            return True
        for parent in program.tree.ancestors(poll.node):
            if parent is loop:
                return False
            if isinstance(parent, cst.If) and program.tree.is_within(poll.node, parent.test):
                branch = parent.orelse if spinning.is_finished(parent.test, True) else parent.body
                return branch is not None and any(
                    program.loops.leaves(part, loop) for part in program.tree.walk(branch)
                )
        return False

    def _removals(self, program: Program, poll: Poll) -> Iterator[tuple[cst.CSTNode, str]]:
        for loop in program.loops.around(poll.node):
            if not isinstance(loop, cst.For):
                continue
            name = self._list_of(program, loop, poll)
            if not name:
                continue
            for node in program.loops.body_of(loop):
                if self._removes(node, name) and program.loops.goes_round(node, loop):
                    yield node, name

    def _list_of(self, program: Program, loop: cst.For, poll: Poll) -> str:
        """The list over which a loop runs whose items are asked."""
        iterable = loop.iter
        if isinstance(iterable, cst.Call) and program.tree.qualified(iterable.func) == "enumerate":
            iterable = iterable.args[0].value if iterable.args else iterable
        name = dotted_name(iterable)
        asked = dotted_name(poll.receiver)
        targets = {
            node.value for node in program.tree.walk(loop.target) if isinstance(node, cst.Name)
        }
        if not name or asked not in targets:
            return ""
        containers = [v for v in program.values(iterable) if isinstance(v, Container)]
        if any(container.type not in ("list", "annotation") for container in containers):
            return ""
        return name

    @staticmethod
    def _removes(node: cst.CSTNode, name: str) -> bool:
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            return (
                node.func.attr.value in ("remove", "pop") and dotted_name(node.func.value) == name
            )
        if isinstance(node, cst.Del) and isinstance(node.target, cst.Subscript):
            return dotted_name(node.target.value) == name
        return False
