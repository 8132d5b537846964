"""MPP201."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.pickling.refusals import Obstacle
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.rules.pickling.telling import fails

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class LambdaToWorker(Rule):
    """A lambda is handed to another process.

    What it does:
        Finds a ``lambda``, a name bound to one, or a ``partial`` over one, as the callable or in
        the arguments of a worker API: ``Process``, the methods of pools and process executors,
        ``initializer=``, ``loop.run_in_executor`` with a process executor. Lambdas in a literal
        tuple, list or dict, and the factory of a ``defaultdict``, count too.

    Why it is bad:
        What goes to another process is pickled. Pickle writes a function as the name under which
        the other process can find it, and a lambda has none::

            PicklingError: Can't pickle <function <lambda> at 0x7f5beb1f0540>: attribute lookup
            <lambda> on __main__ failed
            AttributeError: Can't pickle local object 'main.<locals>.<lambda>'

        (``Can't get local object`` since Python 3.13.) With ``apply_async`` the error waits in
        the result: where nobody calls ``get()``, the task is lost without a word. A ``Process`` and
        an initializer are pickled only by the start methods ``spawn`` (the default on Windows
        and macOS) and ``forkserver`` (on Linux since Python 3.14).

    Example:
        ::

            with multiprocessing.Pool() as pool:
                areas = pool.map(lambda side: side * side, sides)

    Use instead:
        ::

            def square(side):
                return side * side

            with multiprocessing.Pool() as pool:
                areas = pool.map(square, sides)

        For arguments that are known before: ``functools.partial`` over a function of the module.

    Known limits:
        Callbacks, ``key=`` and what builds the iterable (``map``, ``filter``, ``sorted``) run in
        the parent and are no findings. ``multiprocess`` pickles with ``dill``, which takes lambdas.
        A lambda that an object holds in an attribute is MPP204.

    References:
        Python documentation, "What can be pickled and unpickled?" and ``multiprocessing``,
        "Programming guidelines", "Picklability".
    """

    code = "MPP201"
    name = "lambda-to-worker"
    message = "{what} can't be pickled: {consequence}; pass a function defined at module level"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the lambdas among the callables and arguments of worker API calls."""
        for task in program.tasks:
            for culprit in program.crossing.culprits(task):
                if culprit.obstacle is Obstacle.LAMBDA and not culprit.in_object:
                    node = culprit.node
                    what = "this lambda"
                    if not isinstance(node, cst.Lambda):
                        text = program.source(node, "")
                        what = f"a lambda ({text})" if text else "a lambda in this argument"
                    yield self.finding(node, what=what, consequence=fails(program, task))
