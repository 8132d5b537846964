"""Daemons: processes that may have no children, and that end with the program.

The workers of a ``multiprocessing`` pool are daemonic; a ``Process`` is where the code says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.execution.sides import Entry
from flake8_mppitfalls.model.execution.worlds import World
from flake8_mppitfalls.model.values import Instance, Made, is_always, is_none

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

IN_DAEMON: World = {
    "multiprocessing.current_process().daemon": True,
    "multiprocessing.process.current_process().daemon": True,
    "multiprocessing.current_process().name": "PoolWorker-1",
    "multiprocessing.process.current_process().name": "PoolWorker-1",
    "multiprocessing.parent_process()": "the parent",
}
"""The code runs in a daemonic process."""


class Daemons:
    """Answers which code of one module runs in daemonic processes."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._known: dict[cst.CSTNode, bool] = {}

    # -- pools ---------------------------------------------------------------------------------

    def pool_entries(self) -> Iterator[tuple[Entry, Made]]:
        """The functions that run in the workers of pools, initializers too, and the pool."""
        program = self._program
        for task in program.tasks:
            if not task.in_processes or task.shape.role not in ("task", "initializer"):
                continue
            pool = next((r for r in task.receivers if self._is_usual_pool(r)), None)
            if pool is not None:
                for function in program.sides.functions(program.values(task.callable)):
                    yield Entry(function, task), pool

    def _is_usual_pool(self, made: Made) -> bool:
        """False for one whose class or context brings processes of its own."""
        if made.kind is not api.Kind.POOL or made.cls is not None:
            return False
        if not isinstance(made.site, cst.Call):
            return True
        if isinstance(made.site.func, cst.Attribute):
            receivers = self._program.values(made.site.func.value)
            if any(isinstance(value, Instance) for value in receivers):
                return False
        context = argument(made.site, api.MAKERS["Pool"].parameters, "context")
        return context is None or all(
            is_none(v) or (isinstance(v, Made) and v.cls is None)
            for v in self._program.values(context)
        )

    # -- processes -----------------------------------------------------------------------------

    def process_entries(self) -> Iterator[tuple[Entry, Made]]:
        """The functions that run in daemonic processes, and the process."""
        program = self._program
        classes = program.evaluator.classes
        by_class: dict[cst.ClassDef, list[Made]] = {}
        by_run: dict[cst.FunctionDef | None, list[Made]] = {}
        for made in program.made.get(api.Kind.PROCESS, ()):
            if made.cls is not None:
                by_class.setdefault(made.cls, []).append(made)
                by_run.setdefault(classes.method(made.cls, "run"), []).append(made)
        for entry in program.sides.entries():
            if entry.task is not None:
                if entry.task.shape.role != "process":
                    continue
                found = list(entry.task.receivers)
                if found and found[0].is_declared and found[0].cls is not None:
                    # ``super().__init__(target=…)``: each object of the class
                    found = by_class.get(found[0].cls, [])
            else:
                assert isinstance(entry.function, cst.FunctionDef)
                found = by_run.get(entry.function, [])
            process = next((m for m in found if self.is_daemonic(m)), None)
            if process is not None:
                yield entry, process

    def is_daemonic(self, made: Made) -> bool:
        """Does the code say that this process is daemonic?"""
        if made.site not in self._known:
            self._known[made.site] = self._find(made)
        return self._known[made.site]

    def _find(self, made: Made) -> bool:
        set_after = [
            use.node
            for use in self._program.uses.of(made.site)
            if use.kind is UseKind.MEMBER and use.name == "daemon" and not use.depth
        ]
        stores = [self._program.evaluator.classes.store_of(n) for n in set_after]  # type: ignore[arg-type]
        values = [store.value for store in stores if store is not None]
        if values:
            return any(self._is_true(value) for value in values)
        if isinstance(made.site, cst.Call):
            given = argument(made.site, api.MAKERS["Process"].parameters, "daemon")
            if made.cls is None or self._constructor(made.cls) is None:
                return given is not None and self._is_true(given)
            if given is not None and not self._is_true(given):
                return False
            if given is not None and self._hands_keywords_on(made.cls):
                return True
        return made.cls is not None and self._is_made_daemonic(made.cls)

    def _constructor(self, cls: cst.ClassDef) -> cst.FunctionDef | None:
        return self._program.evaluator.classes.method(cls, "__init__")

    def _hands_keywords_on(self, cls: cst.ClassDef) -> bool:
        """``def __init__(self, **options): super().__init__(**options)``."""
        constructor = self._constructor(cls)
        extra = constructor.params.star_kwarg if constructor is not None else None
        if constructor is None or extra is None:
            return False
        return any(
            arg.star == "**"
            and isinstance(arg.value, cst.Name)
            and arg.value.value == extra.name.value
            for call in self._tree.calls_in(self._tree.scopes[constructor], "__init__")
            for arg in call.args
        )

    def _is_made_daemonic(self, cls: cst.ClassDef) -> bool:
        """Does the constructor of a subclass say so?"""
        for c in self._program.evaluator.classes.mro(cls):
            for method in self._methods(c, "__init__", "__post_init__"):
                scope = self._tree.scopes[method]
                for call in self._tree.calls_in(scope, "__init__"):
                    for arg in call.args:
                        if arg.keyword is not None and arg.keyword.value == "daemon":
                            if self._is_true(arg.value):
                                return True
            for method in self._methods(c, "__init__"):
                scope = self._tree.scopes[method]
                for store in self._program.evaluator.classes.stores_in(scope, "daemon"):
                    if store.value is not None and self._is_true(store.value):
                        return True
        return False

    def _methods(self, cls: cst.ClassDef, *names: str) -> Iterator[cst.FunctionDef]:
        """The methods of these names that the class itself has."""
        for name in names:
            for binding in self._tree.scopes[cls].bindings.get(name, ()):
                if isinstance(binding.node, cst.FunctionDef):
                    yield binding.node

    def _is_true(self, node: cst.CSTNode | None) -> bool:
        return is_always(self._program.values(node), True)
