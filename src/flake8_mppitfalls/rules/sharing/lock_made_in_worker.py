"""MPP311."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.sharing.files import Files
from flake8_mppitfalls.model.sharing.locking import LOCK_KINDS
from flake8_mppitfalls.model.values import Constant, Made, Result, with_article
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_NAMES = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition")
_OF_THREADS = frozenset(f"threading.{name}" for name in _NAMES)
_SHARED = frozenset(
    {
        api.Kind.VALUE,
        api.Kind.ARRAY,
        api.Kind.RAW,
        api.Kind.PROXY,
        api.Kind.SHARED_MEMORY,
        api.Kind.CONNECTION,
        api.Kind.QUEUE,
    }
)
_OUTPUT = frozenset({"print", "sys.stdout.write", "sys.stderr.write"})
_GUARDING = frozenset({"acquire", "__enter__"})


class LockMadeInWorker(Rule):
    """Each worker makes the lock anew that should keep the workers apart.

    What it does:
        Finds a ``Lock``, ``RLock``, semaphore or ``Condition`` that a worker function or an
        initializer makes, also one kept in a global there, and that guards something shared
        between the processes: a ``Value``, a manager's object, a file. A lock that is made in the
        very ``with`` guards nothing anyway.

    Why it is bad:
        A lock keeps out those who ask for the same lock. Here each process has one of its own,
        always free: all of them are in the guarded block at the same time. There is no error:
        updates are lost and lines mixed as without a lock.

    Example:
        ::

            def work(total, numbers):
                lock = multiprocessing.Lock()
                for number in numbers:
                    with lock:
                        total.value += number

    Use instead:
        ::

            def work(total, lock, numbers):
                for number in numbers:
                    with lock:
                        total.value += number

            lock = multiprocessing.Lock()  # in the parent, once
            processes = [Process(target=work, args=(total, lock, n)) for n in parts]

    Known limits:
        Silent where the worker has threads, which may be what the lock is for, and where the lock
        is handed on.

    References:
        Python documentation, ``multiprocessing``, "Synchronization between processes".
    """

    code = "MPP311"
    name = "lock-made-in-worker"
    message = (
        "each process that comes here makes {what} of its own, which keeps no other process out;"
        " make one in the parent and hand it to all of them"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each lock that a worker makes for itself, to guard what it shares."""
        if not program.sides.entries():
            return
        writing: set[cst.Call] | None = None
        for name in _NAMES:
            for call in program.tree.calls_to(name):
                what = _lock(program, call)
                if not what or not _is_in_worker(program, call):
                    continue
                if writing is None:
                    writing = {opening.call for opening in Files(program).openings()}
                if _guards(program, call, writing):
                    yield self.finding(call, what=with_article(what))


def _lock(program: Program, call: cst.Call) -> str:
    """What the call makes, if that is a lock."""
    for value in program.values(call):
        if isinstance(value, Made) and value.kind in LOCK_KINDS and value.site is call:
            return value.name
        if isinstance(value, Result) and value.name in _OF_THREADS and value.site is call:
            return value.name
    return ""


def _is_in_worker(program: Program, node: cst.CSTNode) -> bool:
    """Is it made by a worker or initializer, and by no code of the parent?"""
    sides = program.sides
    functions = list(sides.functions_around(node))
    if not any(f in sides.workers or f in sides.initializers for f in functions):
        return False
    entries = sides.entered
    for function in functions:
        if isinstance(function, cst.FunctionDef) and function not in entries:
            calls = program.references.calls(function)
            if any(sides.is_parent_code(site.call) for site in calls):
                return False
    return True


def _guards(program: Program, call: cst.Call, writing: set[cst.Call]) -> bool:
    """Is the lock used, by this process alone, to guard something shared?"""
    if isinstance(program.tree.parent(call), cst.WithItem):
        return True
    uses = program.uses.of(call)
    if any(_is_handed_on(program, use) for use in uses) or _has_threads(program):
        return False
    return any(
        _is_this_one(program, use, call)
        and program.concurrency.is_several(use.node)
        and any(_is_shared(program, node, writing) for node in _guarded(program, use))
        for use in uses
        if use.kind is UseKind.ENTERED or (use.kind is UseKind.METHOD and use.name in _GUARDING)
    )


def _is_handed_on(program: Program, use: Use) -> bool:
    if use.kind not in HANDED_ON or use.kind is UseKind.KEPT:
        return False
    if use.kind is UseKind.RETURNED:
        function = program.tree.function_of(use.node).node
        return not (isinstance(function, cst.FunctionDef) and program.references.calls(function))
    return True


def _has_threads(program: Program) -> bool:
    """Does code of the workers make threads?"""
    return any(
        program.sides.worker_of(made.site) is not None
        for kind in api.THREAD_KINDS
        for made in program.made.get(kind, ())
    )


def _is_this_one(program: Program, use: Use, call: cst.Call) -> bool:
    """Is it this lock where it is used, and no other that may have been handed in?"""
    for value in program.values(use.at):
        if isinstance(value, Constant) and value.value is None:
            continue
        if getattr(value, "site", None) is not call:
            return False
    return True


def _guarded(program: Program, use: Use) -> Iterator[cst.CSTNode]:
    """The code that runs while the lock is held, with the functions that it calls."""
    tree = program.tree
    blocks: list[cst.CSTNode] = [tree.function_of(use.node).node]
    if isinstance(use.node, cst.WithItem):
        statement = tree.parent(use.node)
        if isinstance(statement, cst.With):
            later = [item for item in statement.items if tree.before(use.node, item)]
            blocks = [*later, statement.body]
    called: dict[cst.CSTNode, None] = {}
    for block in blocks:
        for node in tree.walk(block):
            yield node
            if isinstance(node, cst.Call):
                called.update(dict.fromkeys(program.sides.functions(program.values(node.func))))
    for function in program.sides.reach(called):
        yield from tree.walk(function)


def _is_shared(program: Program, node: cst.CSTNode, writing: set[cst.Call]) -> bool:
    """Is it an object that processes share, or a call that writes to what they share?"""
    if isinstance(node, cst.Call):
        if program.tree.qualified(node.func) in _OUTPUT:
            return True
        return node in writing
    if isinstance(node, (cst.Name, cst.Attribute)):
        return any(_is_shared_value(value) for value in program.values(node))
    return False


def _is_shared_value(value: Value) -> bool:
    return isinstance(value, Made) and value.kind in _SHARED
