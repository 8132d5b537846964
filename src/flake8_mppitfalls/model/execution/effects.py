"""Effects: whether a piece of code does one particular thing, however deep.

An :class:`Effect` asks for each step, and for the functions of the module that it runs, whether it
starts a process, reads the command line, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from flake8_mppitfalls.model.execution.runs import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import libcst as cst

    from flake8_mppitfalls.model.execution.runs import Runs, Step

T = TypeVar("T")


class Effect(Generic[T]):
    """One thing that steps may do, themselves or through the functions that they run.

    Args:
        runs: the steps.
        direct: what a step itself does, of this kind.
        passes: which steps count (their conditions allow them).
    """

    def __init__(
        self,
        runs: Runs,
        direct: Callable[[Step], Iterable[T]],
        passes: Callable[[cst.CSTNode], bool],
    ) -> None:
        self._runs = runs
        self._direct = direct
        self._passes = passes
        self._of_unit: dict[Unit, dict[T, None]] = {}
        self._able: dict[cst.CSTNode, bool] = {}

    def at(self, step: Step) -> list[T]:
        """What happens at a step, however deep in the functions that it runs."""
        found = dict.fromkeys(self._direct(step))
        if not (found or step.functions) or not self._passes(step.node):
            return []
        if any(self._may(function) for function in step.functions):
            for unit in self._runs.units(step):
                found.update(self._of(unit))
        return list(found)

    def of(self, function: cst.CSTNode) -> list[T]:
        """What happens when a function runs."""
        return list(self._of(Unit(function))) if self._may(function) else []

    def _may(self, function: cst.CSTNode) -> bool:
        """Whether the function may do it at all, whatever the conditions: asked first."""
        if function not in self._able:
            callers: dict[cst.CSTNode, list[cst.CSTNode]] = {}
            able: list[cst.CSTNode] = []
            work = [function]
            while work:
                current = work.pop()
                if current in self._able:
                    continue
                self._able[current] = False
                for step in self._runs.steps(current):
                    if not self._able[current] and any(True for _ in self._direct(step)):
                        self._able[current] = True
                        able.append(current)
                    for called in step.functions:
                        callers.setdefault(called, []).append(current)
                        if self._able.get(called):
                            able.append(called)
                        work.append(called)
            while able:
                for caller in callers.get(able.pop(), ()):
                    if not self._able[caller]:
                        self._able[caller] = True
                        able.append(caller)
        return self._able[function]

    def _of(self, unit: Unit) -> dict[T, None]:
        known = self._of_unit.get(unit)
        return known if known is not None else self._solve(unit)

    def _solve(self, root: Unit) -> dict[T, None]:
        """Find all functions that are reached, then hand the effects back against the calls."""
        results: dict[Unit, dict[T, None]] = {}
        callers: dict[Unit, list[Unit]] = {}
        work = [root]
        while work:
            unit = work.pop()
            if unit in results:
                continue
            own = results[unit] = {}
            if not self._may(unit.function):
                continue
            for step in self._runs.steps_of_unit(unit):
                direct = dict.fromkeys(self._direct(step))
                if not direct and not any(self._may(function) for function in step.functions):
                    continue
                if not self._passes(step.node):
                    continue
                own.update(direct)
                for called in self._runs.units(step):
                    solved = self._of_unit.get(called)
                    if solved is not None:
                        own.update(solved)
                    else:
                        callers.setdefault(called, []).append(unit)
                        work.append(called)
        changed = [unit for unit, own in results.items() if own]
        while changed:
            unit = changed.pop()
            for caller in callers.get(unit, ()):
                before = len(results[caller])
                results[caller].update(results[unit])
                if len(results[caller]) > before:
                    changed.append(caller)
        self._of_unit.update(results)
        return results[root]
