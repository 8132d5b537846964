"""A file as the rules see it: what it does with processes, in the field's own words."""

from __future__ import annotations

from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.calling.conventions import Conventions
from flake8_mppitfalls.model.calling.fit import Fit
from flake8_mppitfalls.model.calling.nature import Nature
from flake8_mppitfalls.model.channels.queue_ends import QueueEnds
from flake8_mppitfalls.model.channels.traffic import Traffic
from flake8_mppitfalls.model.evaluation.changes import Changes
from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
from flake8_mppitfalls.model.evaluation.loops import Loops
from flake8_mppitfalls.model.evaluation.references import References
from flake8_mppitfalls.model.evaluation.tasks import Tasks
from flake8_mppitfalls.model.evaluation.tracing import Uses
from flake8_mppitfalls.model.execution.aftermath import Aftermath
from flake8_mppitfalls.model.execution.commandline import CommandLine
from flake8_mppitfalls.model.execution.concurrency import Concurrency
from flake8_mppitfalls.model.execution.conditions import Conditions
from flake8_mppitfalls.model.execution.guards import Guards
from flake8_mppitfalls.model.execution.module_state import ModuleState
from flake8_mppitfalls.model.execution.paths import Paths
from flake8_mppitfalls.model.execution.platforms import Platforms
from flake8_mppitfalls.model.execution.prompts import Prompts
from flake8_mppitfalls.model.execution.runs import Runs
from flake8_mppitfalls.model.execution.sides import Sides
from flake8_mppitfalls.model.execution.startmethods import StartMethods
from flake8_mppitfalls.model.execution.starts import Starts
from flake8_mppitfalls.model.execution.turns import Turns
from flake8_mppitfalls.model.execution.worlds import WINDOWS
from flake8_mppitfalls.model.lives.callbacks import Callbacks
from flake8_mppitfalls.model.lives.daemons import Daemons
from flake8_mppitfalls.model.lives.handovers import Handovers
from flake8_mppitfalls.model.lives.lifetimes import Lifetimes
from flake8_mppitfalls.model.lives.outcomes import Outcomes
from flake8_mppitfalls.model.lives.results import Results
from flake8_mppitfalls.model.numbers.counts import Counts
from flake8_mppitfalls.model.pickling.crossing import Crossing
from flake8_mppitfalls.model.pickling.escapes import Escapes
from flake8_mppitfalls.model.pickling.rebuilding import Rebuilding
from flake8_mppitfalls.model.sharing.locking import Locking
from flake8_mppitfalls.model.values import External, Made
from flake8_mppitfalls.syntax.positions import locate
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence

    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.values import Values
    from flake8_mppitfalls.settings import Settings
    from flake8_mppitfalls.syntax.tree import Tree


class Program:
    """One file's model. The analyses are made once, when a rule first asks for them.

    Attributes:
        tree: the syntax, with scopes and bindings.
        settings: the options.
        filename: as flake8 names the file.
        names: which bindings a name may have, by the control flow.
        evaluator: what an expression may be.
        references: where a function is used.
        conditions: under which conditions a place runs (guard, platform).
        source_tree: flake8's own tree, for what is asked of other files (set by the driver).
    """

    source_tree: ast.Module | None = None

    def __init__(
        self, tree: Tree, settings: Settings, filename: str = "-", lines: Sequence[str] = ()
    ) -> None:
        self.tree = tree
        self.settings = settings
        self.filename = filename
        self.lines = lines
        self.evaluator = Evaluator(tree)
        self.names = self.evaluator.names
        self._tasks = Tasks(self.evaluator)
        self.references = References(self.evaluator, self._tasks)
        self.evaluator.references = self.references
        self.conditions = Conditions(self.evaluator)

    @cached_property
    def is_main_file(self) -> bool:
        """True for ``__main__.py``, which a spawned child never imports again."""
        return PurePath(self.filename).name == "__main__.py"

    def values(self, node: cst.CSTNode | None) -> Values:
        """What an expression may be."""
        return self.evaluator.values(node)

    def task_of(self, call: cst.Call) -> Task | None:
        """The worker API call that ``call`` is, if it is one."""
        return self._tasks.of(call)

    @cached_property
    def tasks(self) -> list[Task]:
        """All worker API calls, threads' ones too (see ``Task.in_processes``)."""
        return self._tasks.all()

    def tasks_given_to(self, site: cst.CSTNode) -> list[Task]:
        """The worker API calls of the pool, executor or process that is made at ``site``."""
        return self._tasks.given_to(site)

    @cached_property
    def start_methods(self) -> StartMethods:
        """By which start methods the things of this file may be started."""
        return StartMethods(self.evaluator, self.conditions, self.settings)

    @cached_property
    def sides(self) -> Sides:
        """Which functions run in workers, which in the parent, which at import."""
        return Sides(self.evaluator, self._tasks, self.conditions)

    @cached_property
    def guards(self) -> list[cst.CSTNode]:
        """The tests that part the main program from an import of the file, in order."""
        return Guards(self.tree, self.conditions).all()

    @cached_property
    def runs(self) -> Runs:
        """What runs when a piece of code runs."""
        return Runs(self.evaluator, self._tasks, self.conditions)

    @cached_property
    def paths(self) -> Paths:
        """What may have happened before the program comes to a place."""
        return Paths(self.evaluator, self.conditions, self.runs)

    @cached_property
    def command_line(self) -> CommandLine:
        """Where the command line is parsed."""
        return CommandLine(self.evaluator)

    @cached_property
    def module_state(self) -> ModuleState:
        """Who binds and reads the names of the module, and on which side."""
        return ModuleState(self)

    @cached_property
    def changes(self) -> Changes:
        """Where lists, dicts and objects are changed in place."""
        return Changes(self)

    @cached_property
    def platforms(self) -> Platforms:
        """Whether the code asks for its platform."""
        return Platforms(self)

    @cached_property
    def queue_ends(self) -> QueueEnds:
        """Where an empty queue is taken for a finished one."""
        return QueueEnds(self)

    @cached_property
    def prompts(self) -> Prompts:
        """Where standard input is read."""
        return Prompts(self.evaluator)

    @cached_property
    def counts(self) -> Counts:
        """Which numbers an expression may be."""
        return Counts(self)

    @cached_property
    def counts_on_windows(self) -> Counts:
        """Which numbers an expression may be on Windows."""
        return Counts(self, WINDOWS)

    @cached_property
    def concurrency(self) -> Concurrency:
        """How many processes run a function at the same time."""
        return Concurrency(self)

    @cached_property
    def locking(self) -> Locking:
        """Which places are reached under a lock."""
        return Locking(self)

    @cached_property
    def loops(self) -> Loops:
        """What loops run again, and what varies in them."""
        return Loops(self)

    @cached_property
    def turns(self) -> Turns:
        """The tasks that loops hand out one by one."""
        return Turns(self)

    @cached_property
    def starts(self) -> Starts:
        """Where processes are started."""
        return Starts(self)

    @cached_property
    def uses(self) -> Uses:
        """What becomes of a value."""
        return Uses(self.evaluator, self.references)

    @cached_property
    def daemons(self) -> Daemons:
        """Which code runs in daemonic processes."""
        return Daemons(self)

    @cached_property
    def handovers(self) -> Handovers:
        """What goes to a process with its start."""
        return Handovers(self)

    @cached_property
    def traffic(self) -> Traffic:
        """Who puts what into queues and pipes, and who takes it out."""
        return Traffic(self)

    @cached_property
    def aftermath(self) -> Aftermath:
        """What the program still does after a place."""
        return Aftermath(self)

    @cached_property
    def escapes(self) -> Escapes:
        """Which exceptions leave a function."""
        return Escapes(self.evaluator, self.sides)

    @cached_property
    def rebuilding(self) -> Rebuilding:
        """Which exceptions can be made again from what pickle keeps of them."""
        return Rebuilding(self.evaluator)

    @cached_property
    def crossing(self) -> Crossing:
        """What can go to another process, and what stops the rest."""
        return Crossing(self)

    @cached_property
    def lifetimes(self) -> Lifetimes:
        """In which states the pools may be when something happens to them."""
        return Lifetimes(self)

    @cached_property
    def callbacks(self) -> Callbacks:
        """What the result threads of pools call back."""
        return Callbacks(self)

    @cached_property
    def outcomes(self) -> Outcomes:
        """Whether anybody learns how a process ended."""
        return Outcomes(self)

    @cached_property
    def nature(self) -> Nature:
        """Of which type a value surely is."""
        return Nature(self.evaluator)

    @cached_property
    def fit(self) -> Fit:
        """Whether the arguments of a task fit the signature of its function."""
        return Fit(self)

    @cached_property
    def conventions(self) -> Conventions:
        """Where a worker API is called in the manner of another one."""
        return Conventions(self)

    @cached_property
    def results(self) -> Results:
        """What becomes of the results of tasks."""
        return Results(self)

    @cached_property
    def made(self) -> dict[api.Kind, list[Made]]:
        """What the calls of this file make, by kind, in source order."""
        found: dict[api.Kind, list[Made]] = {}
        for call in self.tree.nodes(cst.Call):
            if not self._may_make(call):
                continue
            for value in self.values(call):
                if isinstance(value, Made) and value.site is call:
                    found.setdefault(value.kind, []).append(value)
        for value in self.evaluator.records.shared():
            found.setdefault(value.kind, []).append(value)
        return found

    def api_calls(self, name: str) -> list[cst.Call]:
        """The calls of a function of the process modules (``freeze_support``), in source order."""
        return [call for call in self.tree.calls_to(name) if self._calls_api(call, name)]

    def _calls_api(self, call: cst.Call, name: str) -> bool:
        for value in self.values(call.func):
            maker = api.maker(value.name) if isinstance(value, External) else None
            if maker is not None and maker.name == name:
                return True
        return False

    def source(self, node: cst.CSTNode, otherwise: str = "it", longest: int = 40) -> str:
        """The text of a short expression for a message; ``otherwise`` for a long one."""
        if not isinstance(node, (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Lambda)):
            return otherwise
        name = dotted_name(node)
        if name:
            return name if len(name) <= longest else otherwise
        return self.text(node, otherwise, longest)

    def text(self, node: cst.CSTNode, otherwise: str = "", longest: int = 40) -> str:
        """The text of any expression for a message; ``otherwise`` for a long one."""
        text = self.tree.text(node)
        return text if 0 < len(text) <= longest and "\n" not in text else otherwise

    def callable_name(self, task: Task) -> str:
        """What a task calls, for a message."""
        if task.callable is None or isinstance(task.callable, cst.Lambda):
            return "the task"
        name = dotted_name(task.callable)
        return f"{name}()" if name else "the task"

    def function_name(self, function: cst.CSTNode | None, otherwise: str) -> str:
        """What a function is called, for a message; ``otherwise`` for a lambda."""
        return f"{function.name.value}()" if isinstance(function, cst.FunctionDef) else otherwise

    def at_line(self, node: cst.CSTNode | None) -> str:
        """`` at line 12``, for a message; nothing where the line is not known."""
        while node is not None and node not in self._lines:
            node = self.tree.parent(node)
        return "" if node is None else f" at line {self._lines[node]}"

    @cached_property
    def _lines(self) -> dict[cst.CSTNode, int]:
        """The lines of what messages speak of, found all at once when there is a message."""
        if self.source_tree is None:
            return {}
        nodes: list[cst.CSTNode] = []
        for kind in (cst.Assign, cst.AnnAssign, cst.Call, cst.For, cst.FunctionDef, cst.ClassDef):
            nodes += self.tree.nodes(kind)
        places = locate(self.tree.module, self.source_tree, self.lines, nodes)
        return {node: line for node, (line, _) in places.items()}

    def receiver(self, call: cst.Call, otherwise: str) -> str:
        """The text of what a method is called on, for a message."""
        func = call.func
        return self.source(func.value, otherwise) if isinstance(func, cst.Attribute) else otherwise

    def _may_make(self, call: cst.Call) -> bool:
        func = call.func
        if isinstance(func, cst.Attribute):
            return func.attr.value in _MAKING
        if isinstance(func, cst.Name):
            return bool(self.tree.lookup(func) or self.tree.star_imports)
        return True


_MAKING = api.MAKER_NAMES | {
    name
    for methods in api.METHODS.values()
    for name, method in methods.items()
    if method.gives is not None
}
