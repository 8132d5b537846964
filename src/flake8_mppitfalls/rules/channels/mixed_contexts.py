"""MPP806."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.model.pickling.parts import Parts
from flake8_mppitfalls.model.values import DEFAULT, UNDECIDED, BoundMethod, Constant, Instance, Made
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.pickling.parts import Part
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_WITH_SEMAPHORE = api.SHARED_BY_INHERITANCE - {api.Kind.RAW}
_WITH_LOCK = (api.Kind.VALUE, api.Kind.ARRAY)
_OWN_PICKLING = ("__getstate__", "__reduce__", "__reduce_ex__")
_ROLES = ("process", "initializer")


class MixedContexts(Rule):
    """A lock or queue of the fork context is given to a process of another context.

    What it does:
        Finds a ``Lock``, ``RLock``, ``Semaphore``, ``BoundedSemaphore``, ``Event``,
        ``Condition``, ``Barrier``, ``Queue``, ``SimpleQueue``, ``JoinableQueue``, ``Value`` or
        ``Array`` that is made by the fork context, or by the default one where that may be fork,
        and given to a process of ``get_context("spawn")`` or ``get_context("forkserver")``: as
        its argument, or among the ``initargs`` of its pool, or of an executor with
        ``mp_context``.

    Why it is bad:
        The fork context takes the name of its semaphores away as soon as they are made: forked
        children have them anyway. A spawned child can't find them then::

            RuntimeError: A SemLock created in a fork context is being shared with a process in a
            spawn context. This is not supported. Please use the same context to create
            multiprocessing objects and Process.

        Python 3.10 says nothing: the child crashes (exit code -11).

        The default context is fork on Linux until Python 3.13, and is not on other platforms: so
        the same code runs on one machine, and fails on another.

    Example:
        ::

            ctx = multiprocessing.get_context("spawn")
            lock = multiprocessing.Lock()
            ctx.Process(target=work, args=(lock,)).start()

    Use instead:
        ::

            ctx = multiprocessing.get_context("spawn")
            lock = ctx.Lock()
            ctx.Process(target=work, args=(lock,)).start()

    Known limits:
        What an object of another module holds is not known. What a subclass of ``Process`` makes
        in a method of its own is reported where it is made.

    References:
        Python documentation, ``multiprocessing``, "Contexts and start methods": "objects related
        to one context may not be compatible with processes for a different context".
    """

    code = "MPP806"
    name = "mixed-contexts"
    message = (
        "{what} is made by the {origin}, and {process} of the {method} context can't be started"
        " with it (RuntimeError: A SemLock created in a fork context is being shared): make both"
        " by the same context"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each argument that the process of another context can't take."""
        if _WITH_SEMAPHORE.isdisjoint(program.made):
            return
        parts = Parts(program.evaluator)
        for task in program.tasks:
            method = _named_method(program, task)
            if not method or task.shape.role not in _ROLES or not task.in_processes:
                continue
            seen: set[cst.CSTNode] = set()
            found = parts.of(task)
            for part in found:
                made = _forked(program, part, task)
                if made is None or part.node in seen or _is_ambiguous(made, found):
                    continue
                seen.add(part.node)
                yield self._found(program, part.node, made, task.shape.role, method)
        yield from self._given_to_subclass(program, parts)
        yield from self._made_by_subclass(program)

    def _given_to_subclass(self, program: Program, parts: Parts) -> Iterator[Finding]:
        """The arguments of the constructor of a ``Process`` subclass."""
        for process in program.made.get(api.Kind.PROCESS, ()):
            call = process.site
            if process.method not in SPAWNING or not isinstance(call, cst.Call):
                continue
            if program.task_of(call) is not None:
                continue
            for arg in call.args:
                for part in parts.of_expression(arg.value):
                    if _is_forked(program, part.value):
                        assert isinstance(part.value, Made)
                        yield self._found(program, part.node, part.value, "process", process.method)
                        break

    def _made_by_subclass(self, program: Program) -> Iterator[Finding]:
        """What the class of a process makes itself: it goes to the child with ``start()``."""
        seen: set[cst.CSTNode] = set()
        if not any(
            made.cls is not None and made.method in SPAWNING
            for made in program.made.get(api.Kind.PROCESS, ())
        ):
            return
        for call in program.tree.calls_of.get("start", ()):
            if not isinstance(call.func, cst.Attribute):
                continue
            for process in program.values(call.func.value):
                if not isinstance(process, Made) or process.method not in SPAWNING:
                    continue
                for made in _of_own(program, process, call.func.value, call):
                    if made.site not in seen:
                        seen.add(made.site)
                        yield self._found(program, made.site, made, "process", process.method)

    def _found(
        self, program: Program, node: cst.CSTNode, made: Made, role: str, method: str
    ) -> Finding:
        text = program.source(node, "", 30)
        return self.finding(
            node,
            what=f"{text} ({made.name})" if text and not text.startswith(made.name) else made.name,
            origin="default context (it may be fork)" if _is_default(made) else "fork context",
            process="a process" if role == "process" else "a worker",
            method=method,
        )


def _named_method(program: Program, task: Task) -> str:
    """The start method that is named for the process, if it is spawn or forkserver."""
    if not task.receivers:
        methods = program.crossing.methods(task) if task.name in _OF_TORCH else frozenset()
    else:
        # The context may be one of several, or one that this file does not show.
        made = (*task.receivers, *program.values(task.call))
        methods = frozenset(v.method if isinstance(v, Made) else UNDECIDED for v in made)
    return next(iter(methods)) if len(methods) == 1 and methods <= SPAWNING else ""


_OF_TORCH = ("spawn", "start_processes")


def _is_ambiguous(made: Made, parts: list[Part]) -> bool:
    """Is it made by one of several contexts, as ``ctx.Lock()`` may be?"""
    return any(
        isinstance(part.value, Made)
        and part.value.site is made.site
        and part.value.method != made.method
        for part in parts
    )


def _forked(program: Program, part: Part, task: Task) -> Made | None:
    """What the fork context has made, among what a process is given."""
    value = part.value
    if isinstance(value, Made) and _is_forked(program, value):
        return value
    if part.is_callable and isinstance(value, BoundMethod):
        return _held(program, value, part.node, task)
    return None


def _held(
    program: Program, method: BoundMethod, node: cst.BaseExpression, task: Task
) -> Made | None:
    """The same in an attribute of the object whose method is the target."""
    owner = method.receiver
    if not isinstance(owner, Instance):
        return None
    receiver = node.value if isinstance(node, cst.Attribute) else None
    return next(_contents(program, owner, receiver, task.call), None)


def _of_own(
    program: Program, process: Made, receiver: cst.BaseExpression, call: cst.Call
) -> Iterator[Made]:
    """What a method of a subclass has made for an attribute when the process is started."""
    if process.kind is not api.Kind.PROCESS or process.cls is None:
        return
    methods = set(program.evaluator.classes.methods(process.cls))
    for made in _contents(program, process, receiver, call):
        if program.tree.function_of(made.site).node in methods:
            yield made


def _contents(
    program: Program, owner: Instance | Made, receiver: cst.BaseExpression | None, at: cst.CSTNode
) -> Iterator[Made]:
    """What the fork context has made, among what the attributes of an object hold."""
    assert owner.cls is not None
    classes = program.evaluator.classes
    if any(classes.method(owner.cls, name) is not None for name in _OWN_PICKLING):
        return
    attributes = program.crossing.attributes
    for name in attributes.names(owner.cls):
        for content in attributes.held(owner, name, receiver, at):
            for value in content.values:
                if isinstance(value, Made) and _is_forked(program, value):
                    yield value


def _is_forked(program: Program, value: Value) -> bool:
    """Is it made by the fork context, or by the default one where that may be fork?"""
    if not isinstance(value, Made) or value.kind not in _WITH_SEMAPHORE:
        return False
    if not isinstance(value.site, cst.Call):
        return False
    if value.kind in _WITH_LOCK:
        lock = argument(value.site, (), "lock")
        if lock is not None:
            given = program.values(lock)
            if not all(isinstance(v, Constant) and v.value is True for v in given):
                return bool(given) and all(_is_forked(program, v) for v in given)
    method = _method(program, value)
    if method == DEFAULT:
        return "fork" in program.start_methods.default
    return method == "fork"


def _method(program: Program, made: Made) -> str:
    """The start method of the context that makes it: ``queues.Queue(ctx=…)`` names its own."""
    assert isinstance(made.site, cst.Call)
    given = argument(made.site, (), "ctx")
    if given is None:
        return made.method
    methods = {v.method if isinstance(v, Made) else UNDECIDED for v in program.values(given)}
    return methods.pop() if len(methods) == 1 else UNDECIDED


def _is_default(made: Made) -> bool:
    return made.method == DEFAULT
