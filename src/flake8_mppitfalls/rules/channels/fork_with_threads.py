"""MPP803."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.execution.threads import Threads
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.execution.starts import Start
    from flake8_mppitfalls.model.program import Program

_FORK = frozenset({"fork"})
_KINDS = (api.Kind.POOL, api.Kind.EXECUTOR, api.Kind.PROCESS)


class ForkWithThreads(Rule):
    """A process is forked while threads of its parent run.

    What it does:
        Finds a pool, executor or process of the fork context that is started after a thread, or in
        one, where the code pins fork or the options name no other start method.

    Why it is bad:
        A forked child is a copy of the parent with one thread: that which has forked. A lock that
        another thread holds at this moment (of the logging module, of the memory allocator, of a
        queue) is held in the child, too, and nobody there will ever release it. The child waits
        for ever, now and then. Python 3.12 and later say so::

            DeprecationWarning: This process (pid=3998) is multi-threaded, use of fork() may lead to
            deadlocks in the child.

    Example:
        ::

            heartbeat = threading.Thread(target=beat, daemon=True)
            heartbeat.start()
            with multiprocessing.get_context("fork").Pool() as pool:
                pool.map(work, items)

    Use instead:
        ::

            with multiprocessing.get_context("forkserver").Pool() as pool:
                heartbeat.start()
                pool.map(work, items)

        or start the processes before the threads.

    Known limits:
        Threads that other libraries start are not known, nor the helper threads of a ``Pool`` and
        of a ``multiprocessing.Queue``.

    References:
        Python documentation, ``os.fork`` and ``multiprocessing``, "Contexts and start methods";
        CPython issue gh-84559.
    """

    code = "MPP803"
    name = "fork-with-threads"
    message = (
        "{what} forks {moment}: a lock that another thread holds stays locked in the child, which"
        " waits for it for ever; start the processes before the threads, or use spawn or forkserver"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each start by fork at which threads may run."""
        if not any(s.kind in _KINDS and s.methods == _FORK for s in program.starts.made):
            return
        threads = Threads(program)
        if not threads.exist():
            return
        for step, start in _forks(program):
            place = step.node if start.kind is api.Kind.PROCESS else start.site
            moment = _moment(program, threads, step, start)
            if moment:
                yield self.finding(
                    place, what=program.source(place, start.kind.value), moment=moment
                )


def _forks(program: Program) -> Iterator[tuple[Step, Start]]:
    """The steps that fork."""
    tree = program.tree
    for owner in (tree.module, *tree.nodes(cst.FunctionDef), *tree.nodes(cst.Lambda)):
        for step in program.runs.steps(owner):
            for start in program.starts.direct(step):
                if start.kind in _KINDS and start.methods == _FORK:
                    if program.runs.in_program(step.node):
                        yield step, start


def _moment(program: Program, threads: Threads, step: Step, start: Start) -> str:
    """When it forks, in the words of the message, if threads may run then."""
    begun = threads.alive_at(step.node)
    if begun is not None and program.concurrency.are_exclusive(begun.node, step.node):
        begun = None  # a thread, or else a process
    if begun is not None and not _is_of_parent_alone(program, begun, step):
        if not _has_forked_before(program, begun, start):
            what = program.source(begun.node, "")
            by = f" ({what}{program.at_line(begun.node)})" if what else program.at_line(begun.node)
            return f"this process while a thread of it runs{by}"
    around = threads.runs_in_thread(step.node)
    if around is not None and not _has_forked_before(program, around, start):
        return f"in a thread{program.at_line(around.node)}"
    return ""


def _is_of_parent_alone(program: Program, begun: Step, step: Step) -> bool:
    """Is the thread started by the import, and the fork made in a worker, which has no copy?"""
    if program.paths.owner(begun.node) is not program.tree.module:
        return False
    around = list(program.sides.functions_around(step.node))
    return bool(around) and not any(function in program.sides.parents for function in around)


def _has_forked_before(program: Program, begun: Step, start: Start) -> bool:
    """An executor forks all its workers at the first task."""
    if start.kind is not api.Kind.EXECUTOR:
        return False
    return any(
        other.site is start.site
        for step in program.paths.before(begun.node)
        for other in program.starts.direct(step)
    )
