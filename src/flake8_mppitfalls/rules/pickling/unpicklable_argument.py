"""MPP203."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model.pickling.refusals import Obstacle
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.pickling.telling import fails, named

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_INSTEAD = {
    "a generator": "pass a list",
    "a view of a dict": "pass a list of it",
    "a view of an OrderedDict": "pass a list of it",
    "a module": "import it in the worker",
    "a re.Match": "pass what is needed of it",
    "an os.DirEntry": "pass its path",
    "an open file": "pass the path and open it in the worker",
    "an open directory": "pass the path",
    "os.environ": "pass dict(os.environ)",
    "a coroutine": "run it in the worker",
    "a Qt signal": "emit it in the parent, for what the worker sends",
    "a Qt object": "pass what is needed of it",
    "a tkinter object": "pass what is needed of it",
}


class UnpicklableArgument(Rule):
    """An argument for another process is something that pickle refuses.

    What it does:
        Finds, among the arguments of a worker API, what the code shows to be no matter for
        pickle: a generator, an open file, a lock or queue of threads, a thread, a database
        connection or cursor, a module, ``sys.stdout``, a logging handler, a pool, executor,
        manager or process, a weak reference, the view of a dict, a ``csv.reader``, a ``re.Match``,
        an ``os.DirEntry``, a hash object, a ``ZipFile``, a ``memoryview``, a coroutine, an object
        of ``tkinter``, Qt or SQLAlchemy, a ``cv2.VideoCapture`` and the like; in a literal
        container, through a name or a ``partial``, too.

    Why it is bad:
        The arguments of a task are pickled, whatever the start method; those of a ``Process`` and
        of an initializer under ``spawn`` and ``forkserver``. These things can't be::

            TypeError: cannot pickle '_io.TextIOWrapper' object
            TypeError: cannot pickle '_thread.lock' object
            TypeError: cannot pickle 'generator' object
            NotImplementedError: pool objects cannot be passed between processes or pickled

        (``cannot pickle 'TextIOWrapper' instances`` since Python 3.12.) With ``apply_async`` the
        error waits in the result: where nobody calls ``get()``, the task is lost without a word.

    Example:
        ::

            log = open("work.log", "a")
            with multiprocessing.Pool() as pool:
                pool.starmap(convert, [(name, log) for name in names])

    Use instead:
        ::

            def convert(name, log_path):
                with open(log_path, "a") as log:
                    ...

            with multiprocessing.Pool() as pool:
                pool.starmap(convert, [(name, "work.log") for name in names])

    Known limits:
        The iterable of ``map``, ``imap`` and ``starmap`` may be a generator or a view: only its
        elements are sent. Sockets and ``Connection`` objects are sent by reducers that
        ``multiprocessing`` has for them; views of a plain dict, too, once
        ``multiprocessing.managers`` is imported. Thread locks and queues given to a ``Process`` are
        MPP305, objects that hold such a thing MPP204.

    References:
        Python documentation, "What can be pickled and unpickled?"; CPython's
        ``Lib/multiprocessing/reduction.py``.
    """

    code = "MPP203"
    name = "unpicklable-argument"
    message = "{what} can't be pickled: {consequence}; {instead}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the callables and arguments that pickle refuses."""
        for task in program.tasks:
            for culprit in program.crossing.culprits(task):
                if culprit.obstacle is not Obstacle.REFUSED or culprit.in_object:
                    continue
                if culprit.thread and task.shape.role == "process":
                    continue  # MPP305
                yield self.finding(
                    culprit.node,
                    what=named(program, culprit.node, culprit.what),
                    consequence=fails(program, task, "TypeError"),
                    instead=_INSTEAD.get(culprit.what, "make it in the worker"),
                )
