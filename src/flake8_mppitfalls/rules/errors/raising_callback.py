"""MPP607."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class RaisingCallback(Rule):
    """A callback of a pool lets an exception out.

    What it does:
        Finds a ``callback`` or ``error_callback`` of a pool's task (of processes or threads) from
        which a ``raise`` gets out: its own, or that of a function of this module that it calls.
        Raising the error again that an ``error_callback`` was given is one, and so is
        ``sys.exit()``.

    Why it is bad:
        Callbacks run in the one thread that takes the results. An exception ends that thread, and
        nothing takes a result any more: ``get()`` and ``join()`` never return. Leaving a ``with``
        block ends in ``AssertionError: Cannot have cache with result_handler not alive``
        (``result_hander`` in Python 3.11). The exception is printed by the thread; for a
        ``KeyError`` in some versions, and for ``SystemExit`` in all, there is not even that.

    Example:
        ::

            def failed(error):
                raise error

            pool.apply_async(convert, (name,), error_callback=failed)

    Use instead:
        ::

            errors = []
            pool.apply_async(convert, (name,), error_callback=errors.append)
            ...
            for error in errors:
                raise error  # in the main thread

    Known limits:
        Only ``raise`` statements and ``sys.exit()`` count, not what else may fail there. Newer
        versions of CPython take the exceptions of callbacks (gh-83371). The callbacks of
        ``Future.add_done_callback()`` are logged, and no finding.

    References:
        Python documentation, ``multiprocessing.pool.Pool.apply_async``: "Callbacks should complete
        immediately since otherwise the thread which handles the results will get blocked";
        CPython issue gh-83371.
    """

    code = "MPP607"
    name = "raising-callback"
    message = (
        "{callback} lets {error} out{line}, which ends the pool's result thread: later get() and"
        " join() never return; catch it there and raise it in the main thread"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each callback that ends the thread it runs in."""
        for callback in program.callbacks.all:
            escape = program.callbacks.escape(callback)
            if escape is not None:
                node, error = escape
                name = program.source(callback.node, callback.slot)
                named = isinstance(callback.node, (cst.Name, cst.Attribute))
                yield self.finding(
                    callback.node,
                    callback=f"{name}()" if named else f"this {callback.slot}",
                    error=error,
                    line=program.at_line(node),
                )
