"""Start methods: by which of them may a process be started?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.values import DEFAULT, UNDECIDED, Constant, External, Member

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.execution.conditions import Conditions
    from flake8_mppitfalls.model.values import Made
    from flake8_mppitfalls.settings import Settings

METHODS = ("fork", "forkserver", "spawn")
SPAWNING = frozenset({"forkserver", "spawn"})


class StartMethods:
    """The start methods that the options and the code of one module leave open."""

    def __init__(self, evaluator: Evaluator, conditions: Conditions, settings: Settings) -> None:
        self._evaluator = evaluator
        self._conditions = conditions
        self._configured = frozenset(settings.start_methods)
        self._default: frozenset[str] | None = None

    @property
    def configured(self) -> frozenset[str]:
        """The methods that the code must survive: option ``mpp-start-methods``."""
        return self._configured

    @property
    def default(self) -> frozenset[str]:
        """The methods that the default context may have in this module."""
        if self._default is None:
            pinned = self._pinned()
            self._default = pinned if pinned is not None else self._configured
        return self._default

    def of(self, made: Made) -> frozenset[str]:
        """The methods by which ``made`` (a pool, process, manager, queue …) may be started."""
        if made.method == UNDECIDED:
            return self._configured
        if made.method != DEFAULT:
            return frozenset({made.method})
        return self.default

    def of_all(self, receivers: tuple[Made, ...]) -> frozenset[str]:
        """The methods of any of several; the default ones where there is none."""
        if not receivers:
            return self.default
        return frozenset().union(*(self.of(made) for made in receivers))

    def spawns(self, *receivers: Made) -> bool:
        """True if one of them may be started by spawn or forkserver: **[spawn]** rules apply."""
        return bool(self.of_all(receivers) & SPAWNING)

    def forks(self, *receivers: Made) -> bool:
        """True if one of them may be started by fork."""
        return "fork" in self.of_all(receivers)

    def setters(self) -> list[tuple[cst.Call, str]]:
        """The calls of ``set_start_method`` and the method that each sets.

        On a named context (``get_context("spawn")``) it is a mistake of another kind.
        """
        found = []
        for call in self._evaluator.tree.calls_to("set_start_method"):
            for value in self._evaluator.values(call.func):
                named = isinstance(value, External) and (
                    (maker := api.maker(value.name)) is not None
                    and maker.name == "set_start_method"
                    and value.method == DEFAULT
                )
                member = isinstance(value, Member) and value.receiver.kind is api.Kind.CONTEXT
                if named or member:
                    given = argument(call, api.MAKERS["set_start_method"].parameters, "method")
                    found.append((call, self._name(given)))
                    break
        return found

    def _pinned(self) -> frozenset[str] | None:
        """What ``set_start_method`` fixes here on every platform, or ``None``."""
        names = set()
        for call, name in self.setters():
            # Where the module leaves before it, nothing else of it runs, either.
            inside = self._evaluator.tree.function_of(call).is_function
            if self._conditions.depends_on_platform(call, exits=inside):
                continue
            names.add(name)
        if not names or UNDECIDED in names:
            return None
        return frozenset(names)

    def _name(self, node: cst.BaseExpression | None) -> str:
        values = self._evaluator.values(node)
        names = {v.value for v in values if isinstance(v, Constant)}
        if len(values) == 1 and len(names) == 1:
            name = names.pop()
            if name in METHODS:
                return str(name)
        return UNDECIDED
