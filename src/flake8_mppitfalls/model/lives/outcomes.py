"""Outcomes: does anybody learn how a process ended?

Its exit code says so, and so does a result that somebody expects from it: through a queue, a pipe,
shared memory, a manager's proxy or a file. What the file does not show counts as told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Computed,
    Constant,
    Container,
    External,
    Function,
    Instance,
    Lambda,
    Made,
    Partial,
    Result,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.evaluation.uses import Use
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

DEEPEST = 4
"""How many containers and objects deep an argument is looked into."""

_TELLING = frozenset({"exitcode", "terminate", "kill"})
"""Who asks for the exit code knows; who ends the process does not want to."""
_SILENT_KINDS = frozenset(
    {api.Kind.LOCK, api.Kind.SEMAPHORE, api.Kind.BARRIER, api.Kind.PROCESS, api.Kind.CONTEXT}
)
"""What brings no result, though it is shared."""
_WRITING_FUNCTIONS = frozenset(
    "dump makedirs mkdir open rename replace save savetxt savez symlink copy copy2 copyfile "
    "copytree move".split()
)
_WRITING_METHODS = frozenset(
    "mkdir open rename save savefig symlink_to to_csv to_excel to_json to_parquet to_pickle touch "
    "write_bytes write_text".split()
)
"""Calls that leave something on the disk."""
_PLAIN_TYPES = frozenset(
    "NoneType bool bytes complex date datetime Decimal ellipsis float Fraction int str timedelta "
    "UUID".split()
)


class Outcomes:
    """Answers for the processes of one file."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._harmless: dict[cst.ClassDef, bool] = {}

    def ignored(self) -> Iterator[tuple[cst.Call, Made]]:
        """The ``join()`` calls after which nobody asks how the process ended."""
        found: dict[cst.CSTNode, Made] = {}
        told: set[cst.CSTNode] = set()
        for made in self._program.made.get(api.Kind.PROCESS, ()):
            joins = [use.node for use in self._program.uses.of(made.site) if _is_join(use)]
            if not joins:
                continue
            if self._is_told(made):
                told.update(joins)
            else:
                last = joins[0]
                for join in joins[1:]:
                    last = join if self._tree.before(last, join) else last
                found[last] = made
        for join, made in found.items():
            if join not in told and isinstance(join, cst.Call):
                yield join, made

    def _is_told(self, made: Made) -> bool:
        """Does somebody learn how this process ended, or may somebody?"""
        if any(self._tells(use) for use in self._program.uses.of(made.site)):
            return True
        if made.cls is not None:
            if not self._is_harmless_class(made.cls, 0):
                return True
            run = self._program.evaluator.classes.method(made.cls, "run")
            if run is not None:
                return self._brings_results((run,))
        task = self._task_of(made)
        if task is None or task.callable is None:
            return True
        return self._may_answer(task)

    def _tells(self, use: Use) -> bool:
        if use.kind in (UseKind.METHOD, UseKind.MEMBER):
            return use.name in _TELLING
        if use.kind is UseKind.KEPT:
            return not (use.name.startswith("_") or self._is_script)
        if use.kind in (UseKind.RETURNED, UseKind.YIELDED):
            function = self._tree.function_of(use.node).node
            known = isinstance(function, cst.FunctionDef) and bool(
                self._program.references.calls(function)
            )
            return not known
        return use.kind in HANDED_ON

    @property
    def _is_script(self) -> bool:
        """Is the file a main program, whose objects nobody else has?"""
        return self._program.is_main_file or bool(self._program.guards)

    def _task_of(self, made: Made) -> Task | None:
        if made.cls is None:
            return self._program.task_of(made.site) if isinstance(made.site, cst.Call) else None
        for task in self._program.tasks:
            own = task.receivers[0].cls if task.receivers else None
            if own is made.cls and task.shape.role == "process":
                return task
        return None

    # -- what comes back -----------------------------------------------------------------------

    def _may_answer(self, task: Task) -> bool:
        """May the process give a result by its arguments, its target's object or its names?"""
        if any(arg.star for arg in task.call.args):
            return True
        values = self._program.values(task.callable)
        if not all(self._is_known_target(value) for value in values):
            return True
        for given in task.given():
            if not self._are_harmless(self._program.evaluator.given(given), 0):
                return True
        return self._brings_results(self._program.sides.functions(values))

    def _is_known_target(self, value: Value) -> bool:
        if isinstance(value, BoundMethod):
            owner = value.receiver
            if isinstance(owner, (Instance, Made)) and owner.cls is not None:
                return self._is_harmless_class(owner.cls, 0)
            return True
        if isinstance(value, Partial):
            given = (self._program.values(arg.value) for arg in value.site.args[1:])
            return all(self._are_harmless(values, 0) for values in given) and all(
                self._is_known_target(target) for target in value.targets
            )
        if isinstance(value, Instance):
            return self._is_harmless_class(value.cls, 0)
        return isinstance(value, (Function, Lambda, Class, External))

    def _are_harmless(self, values: Iterable[Value], depth: int) -> bool:
        return all(self._is_harmless(value, depth) for value in values)

    def _is_harmless(self, value: Value, depth: int) -> bool:
        """Is it something by which surely nothing comes back?"""
        if depth > DEEPEST:
            return False
        if isinstance(value, (Constant, Computed, Function, Lambda, Class)):
            return True
        if isinstance(value, Made):
            return value.kind in _SILENT_KINDS
        if isinstance(value, Result):
            return self._program.nature.type_of(value) in _PLAIN_TYPES or value.name == "range"
        if isinstance(value, Container):
            if value.type == "annotation":
                return False
            held = self._program.evaluator.containers.elements((value,))
            return self._are_harmless(held, depth + 1)
        if isinstance(value, Instance):
            return self._is_harmless_class(value.cls, depth + 1)
        return False

    def _is_harmless_class(self, cls: cst.ClassDef, depth: int) -> bool:
        known = self._harmless.get(cls)
        if known is None:
            self._harmless[cls] = True  # an object that holds itself
            known = self._harmless[cls] = self._holds_nothing_shared(cls, depth)
        return known

    def _holds_nothing_shared(self, cls: cst.ClassDef, depth: int) -> bool:
        evaluator = self._program.evaluator
        for base in evaluator.classes.external_bases(cls):
            if base != "object" and api.maker(base) is None:
                return False
        attributes = self._program.crossing.attributes
        owner = evaluator.instance(cls, None)
        if not isinstance(owner, (Instance, Made)):
            return False
        for name in attributes.names(cls):
            for content in attributes.anywhere(owner, name):
                if not self._are_harmless(content.values, depth + 1):
                    return False
        return True

    def _brings_results(self, functions: Iterable[cst.CSTNode]) -> bool:
        """Do the functions of a worker use something shared by its name, or write files?"""
        for function in self._program.sides.reach(functions):
            for node in self._tree.walk(function):
                if isinstance(node, cst.Call) and self._writes(node):
                    return True
                if isinstance(node, cst.Name) and node in self._tree.name_scopes:
                    for value in self._program.values(node):
                        if isinstance(value, Made) and value.kind not in _SILENT_KINDS:
                            return True
        return False

    def _writes(self, call: cst.Call) -> bool:
        """Does it write a file whose name comes from outside of the function?"""
        name = self._tree.qualified(call.func)
        if name:
            return name.rpartition(".")[2] in _WRITING_FUNCTIONS and any(
                isinstance(node, cst.Name) for arg in call.args for node in self._tree.walk(arg)
            )
        func = call.func
        return isinstance(func, cst.Attribute) and func.attr.value in _WRITING_METHODS


def _is_join(use: Use) -> bool:
    return use.kind is UseKind.METHOD and use.name == "join" and use.depth == 0
