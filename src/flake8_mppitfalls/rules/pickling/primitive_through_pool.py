"""MPP205."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model.pickling.refusals import Obstacle
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.pickling.telling import fails, named

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class PrimitiveThroughPool(Rule):
    """A lock, queue or shared value of multiprocessing is an argument of a pool's task.

    What it does:
        Finds a ``multiprocessing`` ``Lock``, ``RLock``, ``Semaphore``, ``BoundedSemaphore``,
        ``Event``, ``Condition``, ``Barrier``, ``Queue``, ``SimpleQueue``, ``JoinableQueue``,
        ``Value``, ``Array``, ``RawValue`` or ``RawArray`` among what a task of a pool or process
        executor is given, through ``partial`` or as the object of a bound method, too.

    Why it is bad:
        These are shared by inheritance: a process gets them while it is being started, and the
        workers of a pool are started before the task comes. Under every start method::

            RuntimeError: Queue objects should only be shared between processes through inheritance
            RuntimeError: Condition objects should only be shared between processes through
            inheritance

        (An ``Event`` and a ``Barrier`` speak of their ``Condition``, a ``Value`` of
        ``Synchronized`` objects.) With ``apply_async`` the error waits in the result: where
        nobody calls ``get()``, the task is lost without a word.

    Example:
        ::

            queue = multiprocessing.Queue()
            with multiprocessing.Pool() as pool:
                pool.starmap(work, [(queue, item) for item in items])

    Use instead:
        Hand it to the workers when they are started::

            def keep(shared):
                global queue
                queue = shared

            with multiprocessing.Pool(initializer=keep, initargs=(queue,)) as pool:
                pool.map(work, items)

        or take one that a manager serves, ``multiprocessing.Manager().Queue()``, which can be
        pickled.

    Known limits:
        What an object holds in an attribute is MPP204.

    References:
        Python documentation, ``multiprocessing``, "Programming guidelines", "Better to inherit
        than pickle/unpickle"; CPython's ``Lib/multiprocessing/context.py``, ``assert_spawning``.
    """

    code = "MPP205"
    name = "primitive-through-pool"
    message = (
        "{what} can be handed to a worker only while that is started: {consequence}; use"
        " initializer= with initargs=, or one of a Manager()"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the shared primitives among the arguments of tasks."""
        for task in program.tasks:
            for culprit in program.crossing.culprits(task):
                if culprit.obstacle is Obstacle.SHARED and not culprit.in_object:
                    yield self.finding(
                        culprit.node,
                        what=named(program, culprit.node, culprit.what),
                        consequence=fails(program, task, "RuntimeError"),
                    )
