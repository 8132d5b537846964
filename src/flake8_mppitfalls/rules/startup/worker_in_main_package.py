"""MPP105."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.model.pickling.handed import handed, name_of
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program


class WorkerInMainPackage(Rule):
    """What a child has to find is defined in ``__main__.py``, which no child imports.

    What it does:
        Finds, in a file named ``__main__.py``, a function or class of that file that is handed to
        another process: as task, target, initializer or argument, as a bound method, as the class
        of an instance, or as a ``Process`` subclass.

    Why it is bad:
        A function or class is pickled as its name in its module, here ``__main__``. A child that
        ``spawn`` or ``forkserver`` starts imports the script of its parent, but not the
        ``__main__`` of a package. So its own ``__main__`` does not have the name::

            AttributeError: Can't get attribute 'slugify' on <module '__main__' (built-in)>

        The workers of a ``Pool`` die of it one after the other, and the program hangs.

    Example:
        ::

            # slugger/__main__.py
            def slugify(title):
                return title.lower().replace(" ", "-")

            with Pool() as pool:
                print(pool.map(slugify, sys.argv[1:]))

    Use instead:
        ::

            # slugger/__main__.py
            from slugger.work import slugify

            with Pool() as pool:
                print(pool.map(slugify, sys.argv[1:]))

    Known limits:
        The name of the file decides. ``multiprocess`` sends such functions by value: silent.

    References:
        CPython, ``Lib/multiprocessing/spawn.py``, ``_fixup_main_from_name``.
    """

    code = "MPP105"
    name = "worker-in-main-package"
    message = (
        "{name} is defined in __main__.py, which a child started by spawn or forkserver does not"
        " import (Can't get attribute '{name}'): define it in another module and import it here"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield what is handed to another process and defined in this ``__main__.py``."""
        if program.is_main_file and program.start_methods.configured & SPAWNING:
            for each in handed(program):
                yield self.finding(each.place, name=name_of(each.definition))
