"""MPP103."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.effects import Effect
from flake8_mppitfalls.model.execution.runs import Step
from flake8_mppitfalls.model.execution.startmethods import SPAWNING
from flake8_mppitfalls.model.execution.worlds import FROZEN, PROGRAM
from flake8_mppitfalls.model.pickling.handed import handed, name_of
from flake8_mppitfalls.model.values import External, Result, ResultMember
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_SETTINGS = (
    "argparse.",
    "collections.",
    "colorama.",
    "dataclasses.",
    "dotenv.",
    "faulthandler.",
    "functools.",
    "gettext.",
    "locale.",
    "logging.",
    "multiprocessing.",
    "os.environ",
    "os.path.",
    "pathlib.Path",
    "platform.",
    "signal.",
    "super",
    "sys.",
    "typing.",
    "warnings.",
)
"""Calls that only set the stage: a child may repeat them before it is told what it is."""


class MisplacedFreezeSupport(Rule):
    """``freeze_support()`` is called where it comes too late, or too early.

    What it does:
        Finds a call of ``multiprocessing.freeze_support()`` that comes after a process or pool was
        started or after the command line was parsed, that stands in a function which is not the
        first one that the main guard calls, or above the ``def`` of a function that children run.

    Why it is bad:
        Each child of a frozen program is the executable again. ``freeze_support()`` is where it
        finds out that it is a child, serves, and exits. Whatever stands before it every child does
        too: it starts processes of its own, or it takes the command line for its own and dies::

            error: unrecognized arguments: --multiprocessing-fork tracker_fd=5 pipe_handle=7

        And what stands below it does not exist yet when the child looks for its task::

            AttributeError: Can't get attribute 'index' on <module '__main__'>

    Example:
        ::

            if __name__ == "__main__":
                args = parser.parse_args()
                freeze_support()
                main(args)

    Use instead:
        ::

            if __name__ == "__main__":
                freeze_support()
                args = parser.parse_args()
                main(args)

    Known limits:
        Silent for a function that nothing in the file calls, and where everything is forked. Of
        what is done with ``sys.argv`` by hand, only an exit over the number of arguments and a
        conversion to a number are seen, in the blocks around the call.

    References:
        Python documentation, ``multiprocessing.freeze_support``.
    """

    code = "MPP103"
    name = "misplaced-freeze-support"
    message = (
        "in a frozen program each child {problem}: call freeze_support() first thing under the"
        " main guard, below the functions that children run"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each call of ``freeze_support()`` that can't do its work."""
        calls = program.api_calls("freeze_support")
        if not calls or program.settings.frozen == "no" or not _spawns(program):
            return
        places = _Places(program, calls)
        for call in calls:
            problem = places.problem(call)
            if problem:
                yield self.finding(call, problem=problem)


def _spawns(program: Program) -> bool:
    if program.starts.made:
        return bool(program.starts.spawned)
    return bool(program.start_methods.default & SPAWNING)


class _Places:
    """Asks what happens before the calls of ``freeze_support()``."""

    def __init__(self, program: Program, calls: list[cst.Call]) -> None:
        self._program = program
        self._calls = set(calls)
        runs, in_program = program.runs, program.runs.in_program
        self._frozen = Effect(runs, self._calls_it, in_program)
        self._parsed = Effect(runs, program.command_line.parsed, in_program)
        self._works = Effect(runs, _work, in_program)

    def problem(self, call: cst.Call) -> str:
        """What goes wrong at this call; empty where nothing is seen to."""
        program = self._program
        if program.conditions.runs(call, PROGRAM) is False:
            return "runs as __main__ and does not come to this call"
        if program.conditions.runs(call, FROZEN) is False:
            return "does not come to this call, which only runs when the program is not frozen"
        # A child that came to another call, or to this one before, does not come here.
        if not program.paths.comes_afresh(call, self._is_served):
            return ""
        steps = program.paths.before(call, self._is_served)
        for step in steps:
            if program.starts.in_program.at(step):
                what = program.source(step.node, "the code above")
                return f"starts processes itself ({what}) before it comes to this call"
        for step in steps:
            if self._parsed.at(step):
                what = program.source(step.node, "the code above")
                return f"parses the parent's command line ({what}) and dies before this call"
        if self._reads_arguments_before(call):
            return "takes the command line in sys.argv for the parent's and dies before this call"
        return self._too_early(call) or self._not_first(call)

    def _reads_arguments_before(self, call: cst.Call) -> bool:
        """``if len(sys.argv) != 2: sys.exit(…)``, ``int(sys.argv[1])`` earlier in its blocks."""
        program = self._program
        child: cst.CSTNode = call
        for parent in program.tree.ancestors(call):
            if isinstance(parent, (cst.IndentedBlock, cst.Module)):
                for statement in parent.body:
                    if statement is child:
                        break
                    if _dies_of_arguments(program, statement):
                        return True
            if isinstance(parent, cst.FunctionDef) and child is parent.body:
                return False
            child = parent
        return False

    def _is_served(self, step: Step) -> bool:
        return bool(self._frozen.at(step))

    def _too_early(self, call: cst.Call) -> str:
        program = self._program
        roots = program.paths.roots(call)
        for each in handed(program) if roots else ():
            if program.conditions.is_guarded(each.definition):
                continue
            if all(program.tree.before(root, each.definition) for root in roots):
                name = name_of(each.definition)
                return f"is served here, above the definition of {name}, and does not find it"
        return ""

    def _not_first(self, call: cst.Call) -> str:
        """For a call in a function: is it reached by a way on which something is done before?"""
        program = self._program
        owner = program.paths.owner(call)
        if owner is program.tree.module:
            return ""
        if program.command_line.is_command(owner):
            return "gets here only after the command line was parsed, and dies of it"
        callers = program.runs.callers(owner)
        if not callers:
            alone = owner in program.sides.workers and owner not in program.sides.parents
            return (
                "gets this call as its task, long after it should have been made" if alone else ""
            )
        problem = ""
        seen: set[cst.CSTNode] = {owner}
        work = list(callers)
        while work:
            caller = work.pop()
            before = self._work_before(caller.owner, caller.step)
            if before:
                problem = f"does the parent's work ({before}) before it comes to this call"
            elif caller.owner is program.tree.module:
                return ""
            elif program.command_line.is_command(caller.owner):
                problem = "gets here only after the command line was parsed, and dies of it"
            elif caller.owner not in seen:
                seen.add(caller.owner)
                further = program.runs.callers(caller.owner)
                if not further:
                    return ""
                work.extend(further)
        return problem

    def _work_before(self, owner: cst.CSTNode, step: Step) -> str:
        program = self._program
        at_module_level = owner is program.tree.module
        if at_module_level and not self._is_entry(step.node):
            return ""
        steps = program.paths.before_in(owner, step.node, self._is_served)
        for earlier in steps:
            if not earlier.functions or (at_module_level and not self._is_entry(earlier.node)):
                continue
            if self._works.at(earlier):
                return program.source(earlier.node, "another function")
        return ""

    def _is_entry(self, node: cst.CSTNode) -> bool:
        conditions = self._program.conditions
        return conditions.is_guarded(node) or conditions.is_frozen_only(node)

    def _calls_it(self, step: Step) -> Iterator[cst.CSTNode]:
        if step.node in self._calls and not step.entered:
            yield step.node


def _dies_of_arguments(program: Program, statement: cst.CSTNode) -> bool:
    tree = program.tree
    if "argv" not in tree.attributes and "argv" not in tree.loads:
        return False
    if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
        return False
    for node in tree.walk(statement):
        if isinstance(node, cst.If) and _reads_arguments(program, node.test):
            if program.conditions.leaves(node.body) and program.runs.in_program(node.body):
                return True
        elif isinstance(node, cst.Call) and tree.qualified(node.func) in ("int", "float"):
            if any(_reads_arguments(program, arg.value) for arg in node.args):
                return program.runs.in_program(node)
    return False


def _reads_arguments(program: Program, node: cst.BaseExpression) -> bool:
    """``len(sys.argv)`` or ``sys.argv[1]``, not ``sys.argv[0]``."""
    tree = program.tree
    for inner in tree.walk(node):
        if isinstance(inner, (cst.Attribute, cst.Name)) and tree.qualified(inner) == "sys.argv":
            holder = tree.parent(inner)
            if isinstance(holder, cst.Subscript):
                first = program.evaluator.integer(
                    holder.slice[0].slice.value
                    if isinstance(holder.slice[0].slice, cst.Index)
                    else None
                )
                return first is not None and first > 0
            return isinstance(holder, cst.Arg)
    return False


def _work(step: Step) -> Iterator[str]:
    """Something that a step does itself and that a child should not repeat."""
    if not step.functions and not all(_sets_the_stage(value) for value in step.values):
        yield "work"


def _sets_the_stage(value: Value) -> bool:
    if isinstance(value, (External, Result)):
        return value.name.startswith(_SETTINGS)
    return isinstance(value, ResultMember) and value.receiver.name.startswith(
        ("argparse.", "logging.")
    )
