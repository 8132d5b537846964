"""MPP202."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.pickling.refusals import Obstacle
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.pickling.telling import fails

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class LocalCallableToWorker(Rule):
    """A function or class that is defined inside a function is handed to another process.

    What it does:
        Finds a nested function, a class defined in a function, an instance or method of one, a
        ``namedtuple`` made in a function, and the inner function that a function of this module
        returns, as the callable or in the arguments of a worker API; also through ``partial``.
        A ``Process`` subclass that is defined in a function is reported where it is instantiated.

    Why it is bad:
        Pickle writes functions and classes as names: the other process imports the module and
        looks the name up. What a function defines while it runs can't be found there::

            AttributeError: Can't pickle local object 'main.<locals>.work'
            _pickle.PicklingError: Can't pickle <class '__main__.Row'>: attribute lookup Row on
            __main__ failed

        (``Can't get local object`` since Python 3.13.) A ``Process`` and an initializer are
        pickled only by the start methods ``spawn`` and ``forkserver``: such code works on Linux
        and fails on Windows, on macOS and with Python 3.14.

    Example:
        ::

            def scale_all(values, factor):
                def scale(value):
                    return value * factor

                with multiprocessing.Pool() as pool:
                    return pool.map(scale, values)

    Use instead:
        ::

            def scale(factor, value):
                return value * factor

            def scale_all(values, factor):
                with multiprocessing.Pool() as pool:
                    return pool.map(functools.partial(scale, factor), values)

    Known limits:
        A nested function under a decorator of another module, or with its ``__qualname__`` set by
        hand, may be found by name and is no finding. ``multiprocess`` pickles with ``dill``, which
        takes local functions and classes.

    References:
        Python documentation, "What can be pickled and unpickled?" and ``multiprocessing``,
        "The spawn and forkserver start methods".
    """

    code = "MPP202"
    name = "local-callable-to-worker"
    message = (
        "{what} is defined inside a function and can't be pickled: {consequence}; define it at"
        " module level"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield what worker API calls hand over and a function defines; local processes."""
        for task in program.tasks:
            for culprit in program.crossing.culprits(task):
                if culprit.obstacle is Obstacle.LOCAL and not culprit.in_object:
                    yield self.finding(
                        culprit.node, what=culprit.what, consequence=fails(program, task)
                    )
        for made in program.made.get(api.Kind.PROCESS, ()):
            stop = program.crossing.local_process(made)
            if stop is not None:
                yield self.finding(
                    made.site,
                    what=stop,
                    consequence="the process can't be started by spawn or forkserver",
                )
