"""Event loop: where an ``async def`` of this module blocks it for tasks of processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.channels.polling import Spinning
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.values import Made, is_made_at
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.program import Program

_WAITS = {
    "get": api.Kind.ASYNC_RESULT,
    "wait": api.Kind.ASYNC_RESULT,
    "result": api.Kind.FUTURE,
    "exception": api.Kind.FUTURE,
    "join": api.Kind.PROCESS,
}
_ENDS = {"join": api.Kind.POOL, "shutdown": api.Kind.EXECUTOR}
_ASKING = frozenset({"done", "running", "cancelled", "ready", "successful"})
MOST_ASKED = 200
"""So many places that may settle a name are looked at."""

_GROUP_WAITS = frozenset({"concurrent.futures.wait", "concurrent.futures.as_completed"})
_CONSUMED = frozenset({UseKind.ITERATED, UseKind.METHOD})


class Stop(NamedTuple):
    """A place at which the event loop stands still, and what is waited for."""

    node: cst.CSTNode
    what: str


class EventLoop:
    """Finds the places in coroutines that wait for processes without ``await``."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._spinning = Spinning(program)
        self._settled: dict[cst.CSTNode, dict[str, list[cst.CSTNode]]] = {}

    def stops(self) -> Iterator[Stop]:
        """All places of the file, each once."""
        if not any(f.asynchronous is not None for f in self._tree.nodes(cst.FunctionDef)):
            return
        yield from self._tasks()
        for name, kind in _WAITS.items():
            for call in self._tree.calls_of.get(name, ()):
                if self._is_in_coroutine(call) and self._waits(call, kind):
                    yield Stop(call, f"{self._program.source(call, name + '()')} waits")
        for name in ("wait", "as_completed"):
            for call in self._tree.calls_of.get(name, ()):
                if self._is_in_coroutine(call) and self._waits_for_group(call):
                    yield Stop(call, f"{self._program.source(call.func, name)}() waits")
        for name, kind in _ENDS.items():
            for call in self._tree.calls_of.get(name, ()):
                if self._is_in_coroutine(call) and self._waits_at_the_end(call, kind):
                    yield Stop(call, f"{self._program.source(call, name + '()')} waits for tasks")
        yield from self._blocks()

    def _is_in_coroutine(self, node: cst.CSTNode) -> bool:
        function = self._tree.function_of(node).node
        return isinstance(function, cst.FunctionDef) and function.asynchronous is not None

    # -- tasks ---------------------------------------------------------------------------------

    def _tasks(self) -> Iterator[Stop]:
        for task in self._program.tasks:
            if not self._is_of_processes(task) or not self._is_in_coroutine(task.call):
                continue
            name = f"{self._program.source(task.call.func, task.name)}()"
            method = api.METHODS[task.receivers[0].kind].get(task.name)
            if method is not None and method.blocks:
                yield Stop(task.call, f"{name} waits for its tasks")
            elif task.gives is api.Kind.LAZY_RESULTS and self._is_consumed(task):
                yield Stop(task.call, f"going through the results of {name} waits for its tasks")

    @staticmethod
    def _is_of_processes(task: Task) -> bool:
        return bool(task.receivers) and all(
            made.kind in (api.Kind.POOL, api.Kind.EXECUTOR) for made in task.receivers
        )

    def _is_consumed(self, task: Task) -> bool:
        blocks = [block for block in self._entering(task) if self._is_within(task.call, block)]
        return any(
            use.kind in _CONSUMED
            and self._is_in_coroutine(use.node)
            and all(self._is_within(use.node, block) for block in blocks)  # else its end waits
            for use in self._program.uses.of(task.call)
        )

    def _entering(self, task: Task) -> Iterator[cst.With]:
        """The ``with`` blocks of executors to which a task goes."""
        sites = {made.site for made in task.receivers if made.kind is api.Kind.EXECUTOR}
        for parent in self._tree.ancestors(task.call):
            if isinstance(parent, cst.With):
                values = [v for item in parent.items for v in self._program.values(item.item)]
                if any(isinstance(v, Made) and v.site in sites for v in values):
                    yield parent

    def _is_within(self, node: cst.CSTNode, block: cst.With) -> bool:
        return self._tree.is_within(node, block.body)

    # -- waiting calls -------------------------------------------------------------------------

    def _waits(self, call: cst.Call, kind: api.Kind) -> bool:
        func = call.func
        if not isinstance(func, cst.Attribute):
            return False
        made = [v for v in self._program.values(func.value) if isinstance(v, Made)]
        made = [v for v in made if v.kind is kind and v.name != "run_in_executor"]
        if not made or any(v.owner is not None and v.owner.kind in api.THREAD_KINDS for v in made):
            return False
        timeout = argument(call, ("timeout",), "timeout")
        if timeout is not None and self._program.evaluator.integer(timeout) == 0:
            return False
        owners = {v.owner.site for v in made if v.owner is not None}
        if len(owners) == 1 and self._has_ended(owners.pop(), call):
            return False
        return not self._is_known_to_be_done(func.value, call)

    def _has_ended(self, executor: cst.CSTNode, call: cst.Call) -> bool:
        """Has the function waited for all tasks of an executor before a call?"""
        function = self._tree.function_of(call)
        ends: list[tuple[cst.CSTNode, cst.BaseExpression]] = [
            (block, item.item) for block in self._tree.nodes(cst.With) for item in block.items
        ]
        ends += [
            (end, end.func.value)
            for end in self._tree.calls_of.get("shutdown", ())
            if isinstance(end.func, cst.Attribute) and not end.args
        ]
        return any(
            self._tree.function_of(end) is function
            and self._tree.before(end, call)
            and not self._tree.is_within(call, end)
            and is_made_at(self._program.values(receiver), executor)
            for end, receiver in ends
        )

    def _waits_for_group(self, call: cst.Call) -> bool:
        if self._tree.qualified(call.func) not in _GROUP_WAITS or not call.args:
            return False
        values = self._program.values(call.args[0].value)
        futures = [
            v
            for v in self._program.evaluator.containers.elements(values)
            if isinstance(v, Made) and v.kind is api.Kind.FUTURE
        ]
        return bool(futures) and all(
            v.owner is not None and v.owner.kind is api.Kind.EXECUTOR for v in futures
        )

    def _is_known_to_be_done(self, handle: cst.BaseExpression, call: cst.Call) -> bool:
        """Was it awaited, waited for or asked before, so that the call returns at once?"""
        for test, truth in self._program.conditions.holding(call):
            if self._spinning.is_finished(test, truth):
                return True
        names = self._names_of(handle)
        if not names:
            return False
        settled = self._settled_in(self._tree.function_of(call).node)
        return any(
            self._tree.before(node, call) and not self._tree.is_within(call, node)
            for name in names
            for node in settled.get(name, ())[:MOST_ASKED]
        )

    def _settled_in(self, function: cst.CSTNode) -> dict[str, list[cst.CSTNode]]:
        """Where a function awaits, polls or gives up what a name stands for."""
        known = self._settled.get(function)
        if known is None:
            known = self._settled[function] = {}
            for node in self._tree.walk(function):
                part: cst.CSTNode
                if isinstance(node, cst.Await):
                    part = node.expression
                elif isinstance(node, cst.While):
                    part = node.test
                elif isinstance(node, cst.Call) and self._is_settling(node):
                    part = node
                else:
                    continue
                for inner in self._tree.walk(part, into_functions=True):
                    if isinstance(inner, (cst.Name, cst.Attribute)) and dotted_name(inner):
                        known.setdefault(dotted_name(inner), []).append(node)
        return known

    def _is_settling(self, call: cst.Call) -> bool:
        if self._tree.qualified(call.func) in _GROUP_WAITS:
            return True
        name = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
        if name in _WAITS and not call.args:
            return True
        return name in ("add_done_callback", "terminate", "kill", "cancel")

    def _names_of(self, handle: cst.BaseExpression) -> set[str]:
        """The name of a handle, and the names of the containers that it comes from."""
        name = dotted_name(handle)
        if isinstance(handle, cst.Subscript):
            name = dotted_name(handle.value)
        if not name:
            return set()
        found = {name}
        if isinstance(handle, cst.Name):
            for binding in self._program.names.bindings(handle):
                if binding.kind is Bound.FOR and binding.value is not None:
                    for node in self._tree.walk(binding.value):
                        if isinstance(node, (cst.Name, cst.Attribute)) and dotted_name(node):
                            found.add(dotted_name(node))
        return found

    # -- with blocks ---------------------------------------------------------------------------

    def _blocks(self) -> Iterator[Stop]:
        """``with`` blocks of executors whose end waits for tasks that nothing inside awaits."""
        for block in self._tree.nodes(cst.With):
            if block.asynchronous is not None or not self._is_in_coroutine(block):
                continue
            for item in block.items:
                for made in self._program.values(item.item):
                    if isinstance(made, Made) and made.kind is api.Kind.EXECUTOR:
                        if any(self._is_left(task, block) for task in self._tasks_of(made, block)):
                            yield Stop(block, "the end of this with block waits for tasks")
                            break

    def _tasks_of(self, made: Made, block: cst.With) -> Iterator[Task]:
        for task in self._program.tasks:
            if any(receiver.site is made.site for receiver in task.receivers):
                if task.shape.role == "task" and self._is_within(task.call, block):
                    if self._is_in_coroutine(task.call):
                        yield task

    def _is_left(self, task: Task, block: cst.With) -> bool:
        """True if nothing inside the block awaits the task, and nobody may do it for us."""
        uses = self._program.uses.of(task.call)
        inside = [use for use in uses if self._is_within(use.node, block)]
        return not any(self._is_handed_on(use) for use in uses) and not any(
            self._may_wait(use) for use in inside
        )

    def _waits_at_the_end(self, call: cst.Call, kind: api.Kind) -> bool:
        """``pool.join()``, ``executor.shutdown()``: are there tasks that nobody has awaited?"""
        if not isinstance(call.func, cst.Attribute):
            return False
        wait = argument(call, ("wait",), "wait")
        if wait is not None and dotted_name(wait) != "True":
            return False
        function = self._tree.function_of(call).node
        pools = {
            v.site
            for v in self._program.values(call.func.value)
            if isinstance(v, Made) and v.kind is kind
        }
        return any(
            self._tree.function_of(task.call).node is function
            and self._tree.before(task.call, call)
            and self._is_pending(task, call)
            for task in (self._program.tasks if pools else ())
            if task.shape.role == "task" and any(made.site in pools for made in task.receivers)
        ) and not self._is_killed(function, pools)

    def _is_pending(self, task: Task, call: cst.Call) -> bool:
        """Has nobody waited for a task when the program comes to a call?"""
        method = api.METHODS[task.receivers[0].kind].get(task.name)
        if method is not None and method.blocks:
            return False
        if any(task.argument(name) is not None for name in api.CALLBACKS):
            if self._awaits_after(task.call):
                return False
        return not any(
            self._is_handed_on(use) or (self._may_wait(use) and self._tree.before(use.node, call))
            for use in self._program.uses.of(task.call)
        )

    def _is_killed(self, function: cst.CSTNode, pools: set[cst.CSTNode]) -> bool:
        return any(
            self._tree.function_of(call).node is function
            and isinstance(call.func, cst.Attribute)
            and any(
                getattr(v, "site", None) in pools for v in self._program.values(call.func.value)
            )
            for call in self._tree.calls_of.get("terminate", ())
        )

    @staticmethod
    def _is_handed_on(use: Use) -> bool:
        return use.kind in (UseKind.STORED, UseKind.RETURNED, UseKind.YIELDED, UseKind.KEPT)

    def _may_wait(self, use: Use) -> bool:
        if use.kind is UseKind.METHOD and use.name == "add_done_callback":
            return self._awaits_after(use.node)
        if use.kind is UseKind.METHOD and use.name in _ASKING:
            loops = self._program.loops.around(use.node)
            return any(isinstance(loop, cst.While) for loop in loops)  # asked until it is done
        if use.kind is UseKind.METHOD:
            return True
        return use.kind in (UseKind.AWAITED, UseKind.PASSED, UseKind.ITERATED)

    def _awaits_after(self, call: cst.CSTNode) -> bool:
        """Does the coroutine await something later, which a callback may tell?"""
        function = self._tree.function_of(call).node
        return any(
            isinstance(node, cst.Await)
            and self._tree.before(call, node)
            and not self._is_nap(node.expression)
            for node in self._tree.walk(function)
        )

    def _is_nap(self, node: cst.BaseExpression) -> bool:
        return isinstance(node, cst.Call) and self._tree.qualified(node.func) == "asyncio.sleep"
