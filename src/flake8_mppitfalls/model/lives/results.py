"""Results: what becomes of what a task returns.

``apply_async`` and its like give a handle at once; the error of the task is raised where the
result is fetched, and nowhere else. Here it is said whether that happens, and whether somebody
waits for the task before the ``with`` block of its pool ends.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import has_double_star
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.lives.decisions import says_there_is_one
from flake8_mppitfalls.model.values import UNKNOWN, Constant, Container, Made, Member, is_made_at
from flake8_mppitfalls.syntax.flow import PointKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Flow, Point

ASYNCHRONOUS = frozenset({"apply_async", "map_async", "starmap_async"})
LAZY = frozenset({"imap", "imap_unordered"})

_SHOWING = frozenset({"print", "repr", "str", "logging.debug", "logging.info", "logging.warning"})
_WAITING = frozenset({UseKind.ITERATED, UseKind.AWAITED, UseKind.YIELDED, UseKind.STORED})
_POLLED = frozenset({"ready", "successful"})
_METHODS = frozenset(
    name
    for kind in (api.Kind.ASYNC_RESULT, api.Kind.FUTURE, api.Kind.LAZY_RESULTS)
    for name in api.METHODS[kind]
)
_STATE_OF_FUTURE = frozenset(
    "add_done_callback cancel cancelled done remove_done_callback running".split()
)
"""What can be asked of a future without its error being seen."""


class DoneCallback(NamedTuple):
    """``future.add_done_callback(callback)`` of futures of process executors."""

    call: cst.Call
    callback: cst.BaseExpression
    futures: tuple[Made, ...]


class Results:
    """Answers about the results of the tasks of one file."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._pending: dict[cst.Call, bool] = {}
        self._other_waits: dict[cst.CSTNode, list[cst.CSTNode]] = {}
        self._done_callbacks: list[DoneCallback] | None = None

    def is_fetched(self, task: Task) -> bool:
        """True if the result is fetched, or may be by code that this file does not show."""
        return any(self._fetches(use) for use in self._program.uses.of(task.call))

    def _fetches(self, use: Use) -> bool:
        if use.kind is UseKind.METHOD:
            if use.name == "get":
                return True
            return use.name not in api.METHODS[api.Kind.ASYNC_RESULT]
        if self._is_idle(use):
            return False
        if use.kind is UseKind.MEMBER:
            return use.name not in _POLLED | {"wait"}
        if self._stays_in_sight(use):
            return False
        return use.kind in HANDED_ON or use.kind in _WAITING

    def _is_idle(self, use: Use) -> bool:
        """``future.number = 3``; ``future.result`` that is printed or left there, not called."""
        if use.kind is not UseKind.MEMBER or not isinstance(use.node, cst.Attribute):
            return False
        if self._program.evaluator.classes.store_of(use.node) is not None:
            return True
        if use.name not in _METHODS:
            return False  # ``handle._value`` is the result itself
        parent = self._tree.parent(use.node)
        if isinstance(parent, cst.Arg):
            call = self._tree.parent(parent)
            return isinstance(call, cst.Call) and self._tree.qualified(call.func) == "print"
        return isinstance(parent, (cst.Expr, cst.FormattedStringExpression))

    def _stays_in_sight(self, use: Use) -> bool:
        """True if the value goes on to places that were followed, and to no others.

        A private attribute is the class' own matter. Nobody imports a script: what its attributes
        and functions give is used in the script itself, or not at all.
        """
        if use.kind is UseKind.KEPT:
            return use.name.startswith("_") or (self._is_script and not self._is_read_unseen(use))
        if use.kind is UseKind.RETURNED and self._is_script:
            scope = self._tree.function_of(use.node)
            return (
                isinstance(scope.node, cst.FunctionDef)
                and scope.parent is self._tree.module_scope
                and not self._program.evaluator.calls.is_opaque(scope.node)
                and bool(self._program.references.calls(scope.node))
                and len(self._program.references.calls(scope.node))
                == len(self._program.references.of(scope.node))
            )
        return False

    def _is_read_unseen(self, use: Use) -> bool:
        """Is an attribute of this name read from something that the file does not show?"""
        return any(
            UNKNOWN in self._program.values(node.value)
            for node in self._tree.attributes.get(use.name, ())
        )

    @cached_property
    def _is_script(self) -> bool:
        return bool(self._program.guards)

    def loses_lazily(self, task: Task) -> bool:
        """True for ``imap()`` and ``executor.map()`` whose results nobody takes."""
        if not task.receivers or not task.in_processes or task.gives is not api.Kind.LAZY_RESULTS:
            return False
        return not self.is_fetched(task) and not self.dies_with_block(task)

    # -- futures -------------------------------------------------------------------------------

    def futures(self) -> Iterator[Task]:
        """The tasks of process executors that give a future."""
        for task in self._program.tasks:
            if task.gives is api.Kind.FUTURE and task.receivers and task.in_processes:
                yield task

    def is_looked_at(self, task: Task) -> bool:
        """True if somebody asks a future for its result or error, or may do so out of sight."""
        return any(self._looks(use) for use in self._program.uses.of(task.call))

    def callbacks_of(self, task: Task) -> list[cst.Call]:
        """The calls of ``add_done_callback()`` on the future of a task."""
        return [
            use.node
            for use in self._program.uses.of(task.call)
            if use.kind is UseKind.METHOD
            and use.name == "add_done_callback"
            and isinstance(use.node, cst.Call)
        ]

    def ignores_error(self, callback: cst.BaseExpression) -> bool:
        """True for a done callback that surely does not look at its future, nor pass it on."""
        if self._only_removes(callback):
            return True
        values = self._program.values(callback)
        if not values:
            return False
        for value in values:
            targets = self._program.fit.targets(value)
            if not targets:
                return False
            for target in targets:
                parameter = self._program.fit.parameter(target, 0)
                if parameter is None:
                    if self._program.fit.is_swallowed(target):
                        continue
                    return False
                uses = self._program.uses.of_parameter(parameter)
                if any(self._looks(use) or _shows(use) for use in uses):
                    return False
        return True

    def _only_removes(self, callback: cst.BaseExpression) -> bool:
        """``pending.discard``, of a set."""
        if not isinstance(callback, cst.Attribute):
            return False
        owners = self._program.values(callback.value)
        return (
            callback.attr.value in {"discard", "remove"}
            and bool(owners)
            and all(isinstance(owner, Container) for owner in owners)
        )

    def _looks(self, use: Use) -> bool:
        if self._is_idle(use):
            return False
        if use.kind in (UseKind.METHOD, UseKind.MEMBER):
            return use.name not in _STATE_OF_FUTURE
        if self._stays_in_sight(use):
            return False
        return use.kind in HANDED_ON or use.kind in _WAITING

    def may_have_error_callback(self, task: Task) -> bool:
        """True if ``error_callback`` is given, or may be among ``**kwargs``."""
        if has_double_star(task.call) or any(arg.star for arg in task.call.args):
            return True
        given = task.argument("error_callback")
        if given is None:
            return False
        values = self._program.values(given)
        return not all(isinstance(v, Constant) and v.value is None for v in values)

    def loses_errors(self, task: Task) -> bool:
        """True for an ``*_async`` task of a process pool whose error nobody can ever see.

        What dies with its ``with`` block has a worse trouble, and a rule of its own.
        """
        return (
            bool(task.receivers)
            and task.in_processes
            and not self.may_have_error_callback(task)
            and not self.is_fetched(task)
            and not self.dies_with_block(task)
        )

    def done_callbacks(self) -> list[DoneCallback]:
        """The callbacks that this file gives to futures of process executors."""
        if self._done_callbacks is None:
            found = self._done_callbacks = []
            for call in self._tree.calls_of.get("add_done_callback", ()):
                if len(call.args) == 1 and not call.args[0].star:
                    futures = self._process_futures(call)
                    if futures:
                        found.append(DoneCallback(call, call.args[0].value, futures))
        return self._done_callbacks

    def _process_futures(self, call: cst.Call) -> tuple[Made, ...]:
        """The futures whose method is called; none if one of them may be another's."""
        futures = []
        for value in self._program.values(call.func):
            if not isinstance(value, Member) or value.receiver.kind is not api.Kind.FUTURE:
                return ()
            owner = value.receiver.owner
            if owner is None or owner.kind is not api.Kind.EXECUTOR:
                return ()
            futures.append(value.receiver)
        return tuple(futures)

    # -- the end of the with block -------------------------------------------------------------

    def dies_with_block(self, task: Task) -> bool:
        """True if a path leads from the task to the end of its pool's ``with`` without a wait."""
        if task.call not in self._pending:
            self._pending[task.call] = self._dies(task)
        return self._pending[task.call]

    def _dies(self, task: Task) -> bool:
        if task.name not in ASYNCHRONOUS | LAZY or not task.receivers:
            return False
        for made in task.receivers:
            if made.kind not in (api.Kind.POOL, api.Kind.THREAD_POOL):
                return False
            if not self._ends_with_block(task, made):
                return False
        return True

    def _ends_with_block(self, task: Task, made: Made) -> bool:
        life = self._program.lifetimes.of(made)
        for item in map(self._program.lifetimes.item_of, life.entered):
            block = self._tree.parent(item) if item is not None else None
            if made.cls is not None and self._program.evaluator.classes.method(
                made.cls, "__exit__"
            ):
                return False
            if not isinstance(block, cst.With) or item is None:
                continue
            calls = self._calls_for(task, block)
            if not calls:
                continue
            waits = [use.node for use in self._program.uses.of(task.call) if self._waits(use)]
            waits += life.calls("join")
            if any(self._others_wait(call, block) for call in calls):
                return False
            if task.call not in calls:
                helper = self._tree.function_of(task.call)
                if any(self._tree.function_of(wait) is helper for wait in waits):
                    return False
                if self._others_wait(task.call, helper.node):
                    return False
            return any(self._path_without(call, item, block, waits) for call in calls)
        return False

    def _calls_for(self, task: Task, block: cst.With) -> list[cst.Call]:
        """The task's call in the block, or the calls there of a function that makes it."""
        scope = self._tree.function_of(task.call)
        if scope is self._tree.function_of(block):
            return [task.call] if self._tree.is_within(task.call, block.body) else []
        return list(self._calls_reaching([scope.node], block)) if scope.is_function else []

    def _waits(self, use: Use) -> bool:
        """Does somebody wait here for the task to end, or may code elsewhere do so?"""
        if use.kind is UseKind.METHOD:
            return use.name not in _POLLED
        if use.kind is UseKind.MEMBER:
            return use.name not in _POLLED
        if use.kind in (UseKind.PASSED, UseKind.KEPT):
            return use.kind is UseKind.PASSED
        return use.kind in _WAITING

    def _others_wait(self, call: cst.Call, block: cst.CSTNode) -> bool:
        """Other ways to wait for it: a loop on what callbacks fill, a queue that it writes to."""
        for node in reversed(self._other_waits_in(block)):
            if isinstance(node, cst.While) and not self._tree.is_within(call, node):
                if self._tree.before(call, node):
                    return True
            elif isinstance(node, cst.Await):
                if self._tree.before(call, node) and self._calls_back(call):
                    return True
            elif isinstance(node, cst.Call):
                if self._tree.before(call, node) or self._blocks_on_shared(node):
                    return True
        return False

    def _other_waits_in(self, block: cst.CSTNode) -> list[cst.CSTNode]:
        """The loops, the ``await``s and the calls that wait for something shared, of a block."""
        known = self._other_waits.get(block)
        if known is None:
            body = block.body if isinstance(block, (cst.With, cst.FunctionDef)) else block
            known = self._other_waits[block] = [
                node
                for node in self._tree.walk(body)
                if isinstance(node, (cst.While, cst.Await))
                or (
                    isinstance(node, cst.Call)
                    and (self._blocks_on_shared(node) or self._polls(node))
                )
            ]
        return known

    def _polls(self, call: cst.Call) -> bool:
        """Does a function of the module sleep in a loop: ``wait_for_files(folder, 3)``?"""
        return any(
            any(isinstance(parent, cst.While) for parent in self._tree.ancestors(sleep))
            for function in self._program.sides.functions(self._program.values(call.func))
            for sleep in self._tree.calls_of.get("sleep", ())
            if self._tree.is_within(sleep, function)
        )

    def _calls_back(self, call: cst.Call) -> bool:
        task = self._program.task_of(call)
        return task is not None and any(task.argument(name) is not None for name in api.CALLBACKS)

    def _blocks_on_shared(self, call: cst.Call) -> bool:
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value not in {"get", "join", "wait"}:
            return False
        for value in self._program.values(func.value):
            if isinstance(value, Made) and value.kind in (
                api.Kind.QUEUE,
                api.Kind.EVENT,
                api.Kind.PROXY,
                api.Kind.CONNECTION,
                api.Kind.BARRIER,
                api.Kind.CONDITION,
            ):
                return True
            if getattr(value, "name", "") in {"threading.Event", "queue.Queue"}:
                return True
        return False

    def _path_without(
        self, task: cst.Call, item: cst.CSTNode, block: cst.With, waits: list[cst.CSTNode]
    ) -> bool:
        flow = self._program.names.flow(self._tree.function_of(task))
        if not flow.complete:
            return False
        barriers: set[Point] = set()
        elsewhere: list[cst.CSTNode] = []
        for node in waits:
            if self._tree.function_of(node) is not flow.scope:
                if self._tree.is_within(node, block.body):
                    return False
                elsewhere.append(self._tree.function_of(node).node)
            elif self._tree.is_within(node, block.body):
                barriers.update(self._points(flow, node, task, block))
        for call in self._calls_reaching(elsewhere, block):
            barriers.update(self._points(flow, call, task, block))
        if barriers and any(isinstance(n, cst.IfExp) for n in self._tree.ancestors(task)):
            return False  # only made under a condition, which the waits may share
        starts = flow.points_of(task)
        if any(start in barriers for start in starts):
            return False
        seen: set[Point] = set()
        work = [successor for start in starts for successor in start.successors]
        while work:
            point = work.pop()
            if point in seen or point in barriers:
                continue
            seen.add(point)
            if point.kind is PointKind.LEAVE and point.node is item:
                return True
            work.extend(point.successors)
        return False

    def _calls_reaching(self, functions: list[cst.CSTNode], block: cst.With) -> Iterator[cst.Call]:
        """The calls in a block that lead to one of the functions."""
        if not functions:
            return
        wanted = frozenset(functions)
        sides = self._program.sides
        for node in self._tree.walk(block.body):
            if isinstance(node, cst.Call):
                called = sides.functions(self._program.values(node.func))
                if called and sides.reach(called) & wanted:
                    yield node

    def _points(
        self, flow: Flow, node: cst.CSTNode, task: cst.Call, block: cst.With
    ) -> list[Point]:
        """Where the wait counts: a loop over the results waits for all, however many there are.

        ``if last is not None: last.get()`` waits for what there is.
        """
        anchor = node.iter if isinstance(node, (cst.For, cst.CompFor)) else node
        child = node
        for parent in self._tree.ancestors(node):
            if parent is block.body:
                break
            if isinstance(parent, (cst.For, cst.While)):
                if self._tree.is_within(task, parent.body):
                    break
            if isinstance(parent, cst.For):
                anchor = parent.iter
            elif isinstance(parent, cst.While) or self._asks_for_it(parent, child, task):
                anchor = parent.test
            child = parent
        return flow.points_of(anchor)

    def _asks_for_it(
        self, statement: cst.CSTNode, branch: cst.CSTNode, task: cst.Call
    ) -> TypeGuard[cst.If]:
        """Is it the branch of an ``if`` for when there is a result of the task?"""
        if not isinstance(statement, cst.If):
            return False
        there = says_there_is_one(
            statement.test, lambda node: is_made_at(self._program.values(node), task)
        )
        return there is not None and (branch is statement.body) is there


def _shows(use: Use) -> bool:
    """``print(future)`` says how the task went: ``<Future … state=finished raised OSError>``."""
    return use.kind is UseKind.TESTED and use.name in _SHOWING
