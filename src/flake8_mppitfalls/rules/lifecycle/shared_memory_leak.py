"""MPP413."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument, has_stars
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.lives import lending
from flake8_mppitfalls.model.values import UNKNOWN, Made, is_always
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.program import Program


class SharedMemoryLeak(Rule):
    """A block of shared memory is made and never unlinked.

    What it does:
        Finds ``SharedMemory(create=True, …)`` on which no path calls ``unlink()``.

    Why it is bad:
        ``close()`` only gives up this process's view of the block. The block itself stays until
        somebody unlinks it: the memory is taken while the program runs, and with each new block
        there is less. At exit ``resource_tracker: There appear to be 1 leaked shared_memory
        objects to clean up at shutdown``; with ``track=False`` (3.13) it outlives the program.

    Example:
        ::

            block = SharedMemory(create=True, size=1 << 20)
            ...
            block.close()

    Use instead:
        ::

            block = SharedMemory(create=True, size=1 << 20)
            try:
                ...
            finally:
                block.close()
                block.unlink()

    Known limits:
        A block that is handed on, or whose name goes where this file does not show what is done
        with it, is no finding. Neither is one where the file unlinks a block that it has attached
        by a name that is not known.

    References:
        Python documentation, ``multiprocessing.shared_memory``, ``SharedMemory.unlink``; CPython's
        ``Lib/multiprocessing/resource_tracker.py``.
    """

    code = "MPP413"
    name = "shared-memory-leak"
    message = (
        "{block} is never unlinked: its memory stays taken {until}; call unlink() once, when"
        " nobody needs it any more"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each new block that nobody unlinks."""
        made = [m for m in program.made.get(api.Kind.SHARED_MEMORY, ()) if _is_new(program, m)]
        unlinked = list(_unlinked(program)) if made else []
        by_site: dict[cst.CSTNode, list[Made | None]] = {}
        for other in unlinked:
            if other is not None:
                by_site.setdefault(other.site, []).append(other)
        for block in made:
            uses = program.uses.of(block.site)
            others = unlinked
            if _is_of_this_place(program, block, uses):
                others = by_site.get(block.site, [])
            if any(_may_be(program, block, other) for other in others):
                continue
            if any(self._is_handed_on(program, use) for use in uses):
                continue
            assert isinstance(block.site, cst.Call)
            parameters = api.MAKERS["SharedMemory"].parameters
            tracked = argument(block.site, parameters, "track")
            kept = tracked is not None and is_always(program.values(tracked), False)
            named = [use.at for use in uses if isinstance(use.at, (cst.Name, cst.Attribute))]
            yield self.finding(
                block.site,
                block=program.source(named[0], "this block") if named else "this block",
                until="after the program has ended, too" if kept else "while the program runs",
            )

    def _is_handed_on(self, program: Program, use: Use) -> bool:
        if use.kind is UseKind.MEMBER and use.name in ("name", "_name"):
            return any(self._goes_out(program, inner) for inner in program.uses.of(use.node))
        if use.kind is UseKind.PASSED:
            return use.name != "contextlib.closing"
        return self._goes_out(program, use)

    def _goes_out(self, program: Program, use: Use) -> bool:
        """Does a block, or its name, go where the file does not show what is done with it?"""
        if use.kind not in HANDED_ON or use.kind is UseKind.KEPT:
            return False
        if use.kind is UseKind.RETURNED:
            function = program.tree.function_of(use.node).node
            known = isinstance(function, cst.FunctionDef)
            return not (known and program.references.calls(function))
        if use.kind is UseKind.YIELDED and not use.depth:
            return not lending.is_lent_to_known(program, program.tree.function_of(use.node).node)
        if use.kind is not UseKind.PASSED or not isinstance(use.node, cst.Call):
            return True
        task = program.task_of(use.node)
        if task is not None and task.callable is not None:
            return not program.sides.functions(program.values(task.callable))
        return not any(isinstance(v, Made) and v.cls is not None for v in program.values(use.node))


def _unlinked(program: Program) -> Iterator[Made | None]:
    """The blocks that the file unlinks; ``None`` for one that may be any."""
    for node in program.tree.attributes.get("unlink", ()):
        for value in program.values(node.value):
            if value is UNKNOWN:
                yield None
            elif isinstance(value, Made) and value.kind is api.Kind.SHARED_MEMORY:
                yield value


def _is_of_this_place(program: Program, block: Made, uses: list[Use]) -> bool:
    """Is the block in plain names alone, and its own name not asked for?

    Then nobody can reach it, or attach to it, but by these names.
    """
    return _name(program, block) == "" and not any(
        use.through_container
        or use.kind is UseKind.KEPT
        or (use.kind is UseKind.MEMBER and use.name in ("name", "_name"))
        for use in uses
    )


def _may_be(program: Program, block: Made, unlinked: Made | None) -> bool:
    """Is the unlinked block the new one, or may it be attached to that by its name?"""
    if unlinked is None or unlinked.site is block.site:
        return True
    if _is_new(program, unlinked):
        return False
    name = _name(program, unlinked)
    own = _name(program, block)
    return name is None or own is None or name == own


def _name(program: Program, made: Made) -> object:
    """The name that is written for a block; empty where it gets one, ``None``: not known."""
    if not isinstance(made.site, cst.Call) or has_stars(made.site):
        return None
    given = argument(made.site, api.MAKERS["SharedMemory"].parameters, "name")
    if given is None or is_always(program.values(given), None):
        return ""
    return program.evaluator.text(given)


def _is_new(program: Program, made: Made) -> bool:
    """Is it made by ``SharedMemory(create=True)``, and not by a manager?"""
    if made.owner is not None or made.cls is not None or not isinstance(made.site, cst.Call):
        return False
    if has_stars(made.site):
        return False
    given = argument(made.site, api.MAKERS["SharedMemory"].parameters, "create")
    return given is not None and is_always(program.values(given), True)
