"""Polling: loops that ask again and again whether something is finished."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import BoundMethod, Constant, Function, Made
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_POLLS: dict[str, tuple[frozenset[api.Kind], bool]] = {
    "ready": (frozenset({api.Kind.ASYNC_RESULT}), True),
    "done": (frozenset({api.Kind.FUTURE}), True),
    "running": (frozenset({api.Kind.FUTURE}), False),
    "is_alive": (frozenset({api.Kind.PROCESS}), False),
    "exitcode": (frozenset({api.Kind.PROCESS}), True),
    "empty": (frozenset({api.Kind.QUEUE, api.Kind.PROXY}), False),
}
"""What is asked of what, and the answer by which there is no more to wait for."""

SHORTEST_PAUSE = 0.01
"""A loop that sleeps no longer than this, in seconds, does not really pause."""

_QUICK = frozenset(
    "any all len list tuple set sorted range enumerate zip iter next sum bool isinstance filter "
    "time.time time.monotonic time.perf_counter time.process_time datetime.datetime.now".split()
)
_CONTAINER_METHODS = frozenset(
    "append add remove discard pop popleft clear extend items values keys copy".split()
)

_ASKING = frozenset({"get_nowait", "qsize", "full", "successful", "cancelled", "is_set"})
"""Methods that answer at once."""


class Poll(NamedTuple):
    """One question: ``result.ready()``, ``process.exitcode``.

    ``node`` is the call, for ``exitcode`` the attribute.
    """

    node: cst.BaseExpression
    receiver: cst.BaseExpression
    name: str
    kind: api.Kind


def poll_at(program: Program, attribute: cst.Attribute) -> Poll | None:
    """The question that an attribute belongs to, if it is asked of a process or its results."""
    known = _POLLS.get(attribute.attr.value)
    if known is None:
        return None
    node: cst.BaseExpression = attribute
    if attribute.attr.value != "exitcode":
        call = program.tree.parent(attribute)
        if not isinstance(call, cst.Call) or call.func is not attribute:
            return None
        node = call
    for value in program.values(attribute.value):
        if isinstance(value, Made) and value.kind in known[0] and _is_of_processes(value):
            return Poll(node, attribute.value, attribute.attr.value, value.kind)
    return None


def _is_of_processes(made: Made) -> bool:
    if made.owner is not None and made.owner.kind in api.THREAD_KINDS:
        return False
    if made.kind is api.Kind.PROXY:
        return made.name in ("Queue", "JoinableQueue")
    return made.name != "run_in_executor"


def polls(program: Program) -> Iterator[Poll]:
    """All questions of the file."""
    for name in _POLLS:
        for attribute in program.tree.attributes.get(name, ()):
            poll = poll_at(program, attribute)
            if poll is not None:
                yield poll


_WAITING = frozenset({"get", "wait", "join", "recv", "recv_bytes", "result", "acquire", "select"})
"""Methods that wait, whatever they are called on."""


class Spinning:
    """Says whether a ``while`` loop does nothing but ask."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree

    def loop_of(self, poll: Poll) -> cst.While | None:
        """The innermost ``while`` of the function that asks at every turn, and asks on.

        ``while not q.empty(): q.get()`` takes what is there: the loop around it asks on.
        """
        for loop in self._program.loops.around(poll.node):
            if isinstance(loop, cst.While) and not (
                self._tree.is_within(poll.node, loop.test) and self.is_finished(loop.test, True)
            ):
                return loop
        function = self._tree.function_of(poll.node).node
        if isinstance(function, cst.Lambda) and function.body is poll.node:
            for loop in self._program.loops.around(function):
                if isinstance(loop, cst.While):
                    return loop
        if isinstance(function, cst.FunctionDef) and self._only_asks(function):
            for asked in self._asking(function):
                for loop in self._program.loops.around(asked):
                    if isinstance(loop, cst.While):
                        return loop
        return None

    def _asking(self, function: cst.FunctionDef) -> Iterator[cst.CSTNode]:
        """Where a function is called; for a property, where it is read."""
        cls = self._program.evaluator.classes.of_method(function)
        if cls is not None and self._program.evaluator.classes.is_property(function):
            yield from self._program.evaluator.members.reads(function.name.value, {cls})
        for site in self._program.references.calls(function):
            yield site.call

    def _only_asks(self, function: cst.FunctionDef) -> bool:
        """``def is_finished(futures): return all(f.done() for f in futures)``"""
        scope = self._tree.scopes[function]
        if function.asynchronous is not None or scope.is_generator:
            return False
        if function.decorators and not self._program.evaluator.classes.is_property(function):
            return False
        calls = [n for n in self._tree.walk(function.body) if isinstance(n, cst.Call)]
        asked = [c for c in calls if self._poll_of(c) is not None]
        return bool(asked or self._asks_exit_code(function)) and all(
            call in asked or self._tree.qualified(call.func) in _QUICK for call in calls
        )

    def _asks_each(self, call: cst.Call) -> bool:
        """``map(lambda f: f.done(), futures)``"""
        asked = call.args[0].value if call.args else None
        return isinstance(asked, cst.Lambda) and self._poll_of(asked.body) is not None

    def _asks_exit_code(self, function: cst.FunctionDef) -> bool:
        return any(
            poll_at(self._program, attribute) is not None
            for attribute in self._tree.attributes.get("exitcode", ())
            if self._tree.is_within(attribute, function)
        )

    def is_without_pause(self, loop: cst.While) -> bool:
        """True if nothing in the loop waits or works while there is nothing new."""
        if self._goes_on(loop):
            return False
        for node in self._program.loops.body_of(loop):
            if isinstance(node, cst.Call) and not self._is_harmless(node, loop):
                return False
            if isinstance(node, (cst.With, cst.Await, cst.Yield)):
                if not self._is_after_news(node, loop):
                    return False
        return True

    def nap(self, loop: cst.While) -> str:
        """How long it sleeps at most before it asks again, in seconds; empty if not at all."""
        naps = [
            amount.shown.high
            for node in self._program.loops.body_of(loop)
            if isinstance(node, cst.Call) and self._tree.qualified(node.func) == "time.sleep"
            for amount in (self._program.counts.of(node.args[0].value) if node.args else ())
        ]
        longest = max(naps, default=0)
        return f"{longest:g}" if longest > 0 else ""

    def _goes_on(self, loop: cst.While) -> bool:
        """Does it count on without news: ``while i < len(futures): … i += 1``?"""
        counters = {n.value for n in self._tree.walk(loop.test) if isinstance(n, cst.Name)}
        if any(self._poll_of(node) is not None for node in self._tree.walk(loop.test)):
            return False
        return any(
            isinstance(node, cst.AugAssign)
            and isinstance(node.target, cst.Name)
            and node.target.value in counters
            and not self._is_after_news(node, loop)
            for node in self._program.loops.body_of(loop)
        )

    def is_finished(self, test: cst.CSTNode, truth: bool) -> bool:
        """True if the outcome of a test says that there is something new."""
        if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
            return self.is_finished(test.expression, not truth)
        if isinstance(test, cst.BooleanOperation):
            sides = [self.is_finished(side, truth) for side in (test.left, test.right)]
            return any(sides) if isinstance(test.operator, cst.And) is truth else all(sides)
        if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
            return self._compared(test, truth)
        poll = self._poll_of(test)
        return poll is not None and _POLLS[poll.name][1] is truth

    def _compared(self, test: cst.Comparison, truth: bool) -> bool:
        poll = self._poll_of(test.left)
        if poll is None:
            return False
        operator, other = test.comparisons[0].operator, test.comparisons[0].comparator
        none = isinstance(other, cst.Name) and other.value == "None"
        if poll.name == "exitcode":
            if not none:
                return isinstance(operator, cst.Equal) is truth
            return isinstance(operator, (cst.IsNot, cst.NotEqual)) is truth
        values = self._program.values(other)
        if len(values) == 1 and isinstance(values[0], Constant):
            equal = isinstance(operator, (cst.Equal, cst.Is)) is truth
            return bool(values[0].value) is (_POLLS[poll.name][1] is equal)
        return False

    def _poll_of(self, node: cst.CSTNode) -> Poll | None:
        attribute = node.func if isinstance(node, cst.Call) else node
        return poll_at(self._program, attribute) if isinstance(attribute, cst.Attribute) else None

    # -- calls ---------------------------------------------------------------------------------

    def _is_harmless(self, call: cst.Call, loop: cst.While) -> bool:
        """A call that neither waits nor works, at least not at every turn."""
        name = self._tree.qualified(call.func)
        if name == "time.sleep":
            return self._is_short(call)
        if name in _QUICK or (name == "map" and self._asks_each(call)):
            return True
        if self._is_after_room(call, loop):
            return True
        values = self._program.values(call.func)
        if values and all(
            isinstance(v, (Function, BoundMethod)) and self._only_asks(v.node) for v in values
        ):
            return True
        if isinstance(call.func, cst.Attribute):
            method = call.func.attr.value
            if poll_at(self._program, call.func) is not None:
                return True
            if method in _ASKING:
                return True
            if method in ("get", "poll") and self._does_not_block(call, method):
                return True
            if method in _WAITING and not self._is_after_news(call, loop):
                return False  # as in ``return queue.get(timeout=0.05)``
            if method in _CONTAINER_METHODS and self._program.changes.at(call.func.value):
                return True
            if method in ("items", "values", "keys", "copy") and not call.args:
                return True
        return self._is_after_news(call, loop) or self._is_on_the_way_out(call, loop)

    def _is_short(self, call: cst.Call) -> bool:
        if not call.args:
            return False
        amounts = self._program.counts.of(call.args[0].value)
        return bool(amounts) and all(a.shown.high <= SHORTEST_PAUSE for a in amounts)

    def _does_not_block(self, call: cst.Call, method: str) -> bool:
        if method == "poll":
            return not call.args or self._program.evaluator.integer(call.args[0].value) == 0
        for i, arg in enumerate(call.args):
            if (arg.keyword is None and i == 0) or (
                arg.keyword is not None and arg.keyword.value == "block"
            ):
                values = self._program.values(arg.value)
                return all(isinstance(v, Constant) and v.value is False for v in values)
        return False

    def _is_after_news(self, node: cst.CSTNode, loop: cst.While) -> bool:
        """Does ``node`` run only when something has finished or arrived?"""
        for test, truth in self._program.conditions.holding(node):
            if self._tree.is_within(test, loop) and self.is_finished(test, truth):
                return True
        child = node
        for parent in self._tree.ancestors(node):
            if parent is loop:
                return False
            if isinstance(parent, (cst.Try, cst.TryStar)) and self._reads_in(parent):
                return child is parent.body or child is parent.orelse
            if isinstance(parent, cst.For) and child is parent.body:
                if self._are_finished(parent.iter):
                    return True
            if isinstance(parent, cst.IndentedBlock):
                for statement in parent.body:
                    if statement is child:
                        break
                    if isinstance(statement, cst.Try) and self._leaves_without_news(statement):
                        return True
            child = parent
        return False

    def _are_finished(self, iterable: cst.BaseExpression) -> bool:
        """``[f for f in futures if f.done()]``, by a name, too."""
        if isinstance(iterable, cst.Name):
            bindings = self._program.names.bindings(iterable)
            shown = [b.value for b in bindings if b.kind is Bound.ASSIGN and not b.path]
            return len(shown) == len(bindings) == 1 and self._filters(shown[0])
        return self._filters(iterable)

    def _filters(self, node: cst.CSTNode | None) -> bool:
        return isinstance(node, (cst.ListComp, cst.SetComp, cst.GeneratorExp)) and any(
            self.is_finished(condition.test, True) for condition in node.for_in.ifs
        )

    def _is_after_room(self, node: cst.CSTNode, loop: cst.While) -> bool:
        """In a block that starts the next one when there is room: not at every turn, either."""
        child = node
        for parent in self._tree.ancestors(node):
            if parent is loop:
                return False
            if isinstance(parent, (cst.If, cst.While)) and child is parent.body:
                return any(
                    isinstance(part, cst.Call) and self._begins(part)
                    for part in self._tree.walk(parent.body)
                )
            child = parent
        return False

    def _begins(self, call: cst.Call) -> bool:
        func = call.func
        if not isinstance(func, cst.Attribute):
            return False
        if func.attr.value == "start":
            kinds = {v.kind for v in self._program.values(func.value) if isinstance(v, Made)}
            return kinds == {api.Kind.PROCESS}
        task = self._program.task_of(call)
        return task is not None and task.in_processes and task.name in ("submit", "apply_async")

    def _reads_in(self, node: cst.Try | cst.TryStar) -> bool:
        return any(
            isinstance(part, cst.Call)
            and isinstance(part.func, cst.Attribute)
            and (
                part.func.attr.value == "get_nowait"
                or (part.func.attr.value == "get" and self._does_not_block(part, "get"))
            )
            for part in self._tree.walk(node.body)
        )

    def _leaves_without_news(self, node: cst.Try) -> bool:
        return self._reads_in(node) and all(
            self._program.conditions.leaves(handler.body) for handler in node.handlers
        )

    def _is_on_the_way_out(self, node: cst.CSTNode, loop: cst.While) -> bool:
        """In a ``raise`` or ``return``, or in a block that ends the loop."""
        for parent in self._tree.ancestors(node):
            if parent is loop:
                return False
            if isinstance(parent, (cst.Raise, cst.Return)):
                return True
            if isinstance(parent, cst.If) and self._tree.is_within(node, parent.body):
                if any(
                    isinstance(part, cst.Raise) or self._program.loops.leaves(part, loop)
                    for part in self._tree.walk(parent.body)
                ):
                    return True
        return False
