"""MPP206."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.pickling.refusals import Obstacle
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.pickling.telling import fails

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class UnwrappedDecorator(Rule):
    """A decorated function that pickle can't find by its name is handed to another process.

    What it does:
        Finds, as the callable of a worker API, a function or method under a decorator of this
        module that returns an inner function without ``functools.wraps``, ``update_wrapper`` or a
        ``__qualname__`` set by hand, or an object of a class that keeps the function. Also a
        decorator that itself hands the function that it decorates to a worker API.

    Why it is bad:
        Pickle writes a function as its ``__qualname__``, and looks whether the same object is
        found under that name. The inner function has the name of a local function; and the
        function that was decorated is no longer found under its own::

            AttributeError: Can't pickle local object 'retry.<locals>.attempt'
            PicklingError: Can't pickle <function work at 0x7f6753a23ce0>: it's not the same object
            as __main__.work

        (``Can't get local object`` since Python 3.13.) A method under such a decorator is not found
        in the worker, ``'Job' object has no attribute 'attempt'``, and a ``Pool`` hangs. A
        ``Process`` is pickled only by the start methods ``spawn`` and ``forkserver``.

    Example:
        ::

            def retry(func):
                def attempt(*args):
                    ...
                return attempt

            @retry
            def download(name):
                ...

            with multiprocessing.Pool() as pool:
                pool.map(download, names)

    Use instead:
        ::

            def retry(func):
                @functools.wraps(func)
                def attempt(*args):
                    ...
                return attempt

        A decorator that is to run the function in other processes can't hand over what it
        replaces: leave the function undecorated under a name of its own, and call
        ``in_parallel(work, items)``.

    Known limits:
        Decorators from other modules are taken to be in order.

    References:
        Python documentation, ``functools.wraps``; ``pickle``, "What can be pickled and
        unpickled?".
    """

    code = "MPP206"
    name = "unwrapped-decorator"
    message = "{what}: {consequence}; {instead}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the decorated functions that are handed over and can't be found by name."""
        if not program.tree.nodes(cst.Decorator):
            return
        for task in program.tasks:
            for culprit in program.crossing.culprits(task):
                if culprit.obstacle is Obstacle.REPLACED and not culprit.in_object:
                    yield self.finding(
                        culprit.node,
                        what=culprit.what,
                        consequence=fails(program, task),
                        instead="use functools.wraps() in the decorator"
                        if "object" not in culprit.what
                        else "call a function that is not decorated",
                    )
            for node, decorated in program.crossing.originals(task):
                yield self.finding(
                    node,
                    what=f"{decorated}() is decorated here, so pickle finds the decorated function"
                    " under its name",
                    consequence=fails(program, task),
                    instead="hand over a function that is not decorated",
                )
