"""MPP104."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls import project
from flake8_mppitfalls.model.evaluation.signatures import argument, has_double_star
from flake8_mppitfalls.model.execution.caught import is_caught
from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.handlers import is_handler
from flake8_mppitfalls.model.execution.runs import Step
from flake8_mppitfalls.model.values import Constant
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_PARAMETERS = ("method", "force")
_ENTRIES = frozenset({"main", "cli"})
_FOR_OTHERS = (
    "at import decides for every program that uses this module, and fails where one has decided",
    "use get_context() with a name",
)
_LATER = "call it once, first thing under the main guard, or use get_context() with a name"


class MisplacedStartMethod(Rule):
    """``set_start_method()`` is called where it fails, or at the second call will.

    What it does:
        Finds ``set_start_method()`` without ``force=True`` that is called while the module is
        imported, in a worker, for each request or event, by a library for all its users, twice on
        one path, or after the default context was fixed: by starting a process, by making a pool,
        executor, manager, queue, lock, event, ``Value`` or ``Array``, or by ``get_context()`` or
        ``get_start_method()`` without a name.

    Why it is bad:
        The start method can be set once in a process, and only before anything has used it. The
        second call, or the late one, fails::

            RuntimeError: context has already been set

        A child that ``spawn`` or ``forkserver`` starts gets its start method first, and imports
        the script then. So a call that the import makes fails in every child.

    Example:
        ::

            lock = multiprocessing.Lock()

            if __name__ == "__main__":
                multiprocessing.set_start_method("spawn")
                main(lock)

    Use instead:
        ::

            if __name__ == "__main__":
                multiprocessing.set_start_method("spawn")
                main(multiprocessing.Lock())

        A library takes a context of its own, ``get_context("spawn")``, and leaves the default
        one to the program.

    Known limits:
        Only what the file itself shows to come before. A function of the module that begins with
        it, takes nothing but the command line, and that nobody here calls, may be the program of
        another module: silent. Tests of the same name or of the platform that exclude each other
        are known, others not.

    References:
        Python documentation, ``multiprocessing.set_start_method``.
    """

    code = "MPP104"
    name = "misplaced-start-method"
    message = "set_start_method() {problem} (context has already been set): {advice}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each ``set_start_method()`` that fails, or whose next call does."""
        setters = program.start_methods.setters()
        if not setters:
            return
        calls = _Calls(program, [call for call, _ in setters])
        for call, method in setters:
            if calls.is_forced(call) or not program.runs.happens(call):
                continue
            found = calls.problem(call, method)
            if found is not None and not calls.is_excused(call):
                yield self.finding(call, problem=found[0], advice=found[1])


_COMMAND_LINE = frozenset({"argv", "args"})


class _Calls:
    def __init__(self, program: Program, setters: list[cst.Call]) -> None:
        self._program = program
        self._tree = program.tree
        self._setters = set(setters)
        self._has_guard = bool(program.guards)
        passes = program.runs.in_program
        self._sets = Effect(program.runs, self._setting, passes)
        self._fixes = Effect(program.runs, program.starts.fixing, passes)

    def is_forced(self, call: cst.Call) -> bool:
        """True with ``force=True``, and where the file does not say."""
        given = argument(call, _PARAMETERS, "force")
        if given is None:
            return has_double_star(call)
        return any(
            not (isinstance(v, Constant) and not v.value) for v in self._program.values(given)
        )

    def problem(self, call: cst.Call, method: str) -> tuple[str, str] | None:
        """What goes wrong, and what to do about it."""
        program = self._program
        owner = program.paths.owner(call)
        if self._runs_at_import(call):
            if method != "fork":
                return "runs again in each child that imports this module, and fails there", _LATER
            if not self._is_script:
                return _FOR_OTHERS
        if self._is_in_worker(call):
            return "runs in a worker, where the start method is set already, and fails", _LATER
        if isinstance(owner, cst.FunctionDef):
            if is_handler(program, owner):
                return "runs for each request or event, and fails the second time", _LATER
            if (
                not self._has_guard
                and not self._is_called_by_entry(owner, set())
                and not self._may_be_entry(owner, call)
            ):
                name = owner.name.value
                return (
                    f"in {name}() decides for every program that imports this module, and its"
                    " second call fails",
                    "use get_context() with a name",
                )
        return program.paths.first_before(call, lambda step: self._before(call, step))

    def _before(self, call: cst.Call, step: Step) -> tuple[str, str] | None:
        """What a step that comes before the call does to it."""
        again = self._sets.at(step)
        if again:
            if call in again:
                return "fails, since it has been called before on this path", _LATER
            what = self._program.source(again[0], "another call")
            return f"fails, since {what} has been called before on this path", _LATER
        fixed = self._fixes.at(step)
        if fixed:
            what = self._program.source(fixed[0], "the code above")
            return f"fails, since {what} has fixed the default context before", _LATER
        return None

    # -- where it stands -----------------------------------------------------------------------

    @cached_property
    def _is_script(self) -> bool:
        """A module with a guard, or one that starts processes at module level."""
        program = self._program
        started = Effect(program.runs, program.starts.direct, program.runs.in_program)
        return self._has_guard or bool(started.of(self._tree.module))

    def _runs_at_import(self, call: cst.Call) -> bool:
        program = self._program
        if program.is_main_file or program.conditions.is_guarded(call):
            return False
        return any(program.runs.at_import(root) for root in program.paths.roots(call))

    def _is_in_worker(self, call: cst.Call) -> bool:
        """In a worker: but the first call in one that a named fork context starts is all right."""
        sides = self._program.sides
        for function in sides.functions_around(call):
            for entry in sides.entries_of(function):
                receivers = entry.task.receivers if entry.task is not None else ()
                if not receivers or any(made.method != "fork" for made in receivers):
                    return True
        return False

    def _is_called_by_entry(self, function: cst.CSTNode, seen: set[cst.CSTNode]) -> bool:
        """Is this the function of a console script, or called by nothing but such functions?"""
        program = self._program
        seen.add(function)
        name = self._qualified_name(function)
        if (
            name.rpartition(".")[2] in _ENTRIES
            or name.startswith("pytest_")
            or name in self._entry_points
            or program.command_line.is_command(function)
        ):
            return True
        callers = program.runs.callers(function)
        return bool(callers) and all(
            caller.owner is program.tree.module
            or caller.owner in seen
            or self._is_called_by_entry(caller.owner, seen)
            for caller in callers
        )

    def _may_be_entry(self, function: cst.FunctionDef, call: cst.Call) -> bool:
        """Does a function of the module that nobody here calls begin with it, as programs do?"""
        program = self._program
        if program.tree.function_of(function) is not program.tree.module_scope:
            return False
        if program.evaluator.classes.of_method(function) or program.references.of(function):
            return False
        if any(
            p.default is None and p.name.value not in _COMMAND_LINE for p in function.params.params
        ):
            return False  # it works on what its callers have
        statements: Sequence[cst.CSTNode] = function.body.body
        if function.get_docstring() is not None:
            statements = statements[1:]
        return bool(statements) and program.tree.is_within(call, statements[0])

    @property
    def _entry_points(self) -> frozenset[str]:
        filename = self._program.filename
        return project.console_scripts(filename) | project.called_from_main_module(filename)

    def _qualified_name(self, function: cst.CSTNode) -> str:
        if not isinstance(function, cst.FunctionDef):
            return ""
        cls = self._program.evaluator.classes.of_method(function)
        name = function.name.value
        return f"{cls.name.value}.{name}" if cls is not None else name

    # -- what makes up for it ------------------------------------------------------------------

    def is_excused(self, call: cst.Call) -> bool:
        """Is the error taken, or is it asked before whether a method is set?"""
        return is_caught(self._program, call, "RuntimeError") or self._is_asked_for(call)

    def _is_asked_for(self, call: cst.Call) -> bool:
        """``if get_start_method(allow_none=True) is None:``, or an early return on its answer."""
        if not self._tree.calls_to("get_start_method"):
            return False
        child: cst.CSTNode = call
        for parent in self._tree.ancestors(call):
            if isinstance(parent, (cst.If, cst.IfExp)) and child is not parent.test:
                if self._asks(parent.test):
                    return True
            elif isinstance(parent, cst.BooleanOperation) and child is parent.right:
                if self._asks(parent.left):
                    return True
            elif isinstance(parent, (cst.IndentedBlock, cst.Module)):
                for statement in parent.body:
                    if statement is child:
                        break
                    if isinstance(statement, cst.If):
                        leaves = self._program.conditions.leaves(statement.body)
                        if leaves and self._asks(statement.test):
                            return True
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return False
            child = parent
        return False

    def _asks(self, test: cst.BaseExpression) -> bool:
        for node in self._tree.walk(test):
            if isinstance(node, (cst.Name, cst.Call)):
                for value in self._program.values(node):
                    site = getattr(value, "site", None)
                    if isinstance(site, cst.Call) and self._allows_none(site):
                        return True
        return False

    def _allows_none(self, call: cst.Call) -> bool:
        return self._program.starts.asks_start_method(call) and not list(
            self._program.starts.fixing_call(call)
        )

    def _setting(self, step: Step) -> Iterator[cst.CSTNode]:
        if step.node in self._setters and not step.entered:
            yield step.node
