"""Runs: what runs when a piece of code runs, followed into the functions of the module.

``Runs.steps(owner)`` are the places in the code of a module, function or lambda at which something
may happen: calls, decorators, entered contexts, loops. A step names the functions of this module
that run there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import CONSTRUCTORS, decorator_names
from flake8_mppitfalls.model.evaluation.signatures import argument, has_stars, positional_names
from flake8_mppitfalls.model.execution.worlds import AT_RUN_TIME, PROGRAM, parameter_key
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Constant,
    External,
    Function,
    Generator,
    Instance,
    Lambda,
    Made,
    Member,
    Partial,
    Value,
    Values,
)
from flake8_mppitfalls.syntax.scopes import ScopeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.evaluation.tasks import Task, Tasks
    from flake8_mppitfalls.model.execution.conditions import Conditions
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.execution.worlds import World

_LAZY_DECORATORS = frozenset({"delayed", "remote", "fixture", "overload"})
"""A call of a function under one of these (``dask.delayed``, ``ray.remote``) does not run it."""

_RUNNERS = frozenset(
    (
        "absl.app.run anyio.run argh.dispatch_command asyncio.to_thread clize.run "
        "curses.wrapper defopt.run filter fire.Fire functools.reduce itertools.starmap "
        "map max min plac.call sorted timeit.repeat timeit.timeit trio.run typer.run "
        "tyro.cli"
    ).split()
)
"""Functions from elsewhere that call a function that they are given."""

_CONSUMERS = frozenset(
    (
        "all any collections.Counter collections.OrderedDict collections.deque dict "
        "enumerate filter frozenset list map max min next reversed set sorted sum tuple "
        "zip"
    ).split()
)
"""Functions from elsewhere that iterate over what they are given."""

_NOTED = frozenset({"breakpoint", "input", "iter", "raw_input"})
"""Builtins that run nothing of this module, and that somebody asks about."""

_KNOWN_BUILTINS = _RUNNERS | _CONSUMERS | _NOTED


class Step(NamedTuple):
    """A place where something may happen.

    Attributes:
        node: the expression: a call, a decorator, the context of a ``with`` item, an iterable.
        values: what is called there; for a ``with`` item what is entered.
        functions: the functions of this module that run there.
        entered: true for the context of a ``with`` item when it is entered, and for an iterable
            when it is looped over; then ``values`` are what it is.
    """

    node: cst.CSTNode
    values: Values
    functions: tuple[cst.CSTNode, ...]
    entered: bool = False


class Unit(NamedTuple):
    """A function as one call runs it: ``call`` is ``None`` where its arguments decide nothing."""

    function: cst.CSTNode
    call: cst.Call | None = None


class Caller(NamedTuple):
    """A step of ``owner`` at which a function runs."""

    owner: cst.CSTNode
    step: Step


class Runs:
    """Answers what runs when the code of one module runs. Everything is found on demand."""

    def __init__(self, evaluator: Evaluator, tasks: Tasks, conditions: Conditions) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._tasks = tasks
        self._conditions = conditions
        self._steps: dict[cst.CSTNode, tuple[Step, ...]] = {}
        self._worlds: dict[tuple[cst.Call, cst.CSTNode], World] = {}
        self._tested: dict[cst.FunctionDef, frozenset[str]] = {}
        self._callers: dict[cst.CSTNode, list[Caller]] | None = None
        self._property_names: frozenset[str] | None = None

    def steps(self, owner: cst.CSTNode) -> tuple[Step, ...]:
        """The steps of a module, function or lambda, in the order of the text.

        What a ``def`` or lambda inside does when it is called is not part of it; its decorators
        and defaults are.
        """
        known = self._steps.get(owner)
        if known is None:
            self._steps[owner] = ()  # asked again while its own calls are evaluated
            known = self._steps[owner] = tuple(self._find(owner))
        return known

    def callers(self, function: cst.CSTNode) -> list[Caller]:
        """The steps of this module at which a function runs."""
        if self._callers is None:
            found: dict[cst.CSTNode, list[Caller]] = {}
            for owner in self._owners():
                for step in self.steps(owner):
                    for called in step.functions:
                        found.setdefault(called, []).append(Caller(owner, step))
            self._callers = found
        return self._callers.get(function, [])

    def everywhere(self) -> Iterator[Step]:
        """All steps of the module, its functions and lambdas."""
        for owner in self._owners():
            yield from self.steps(owner)

    def _owners(self) -> Iterator[cst.CSTNode]:
        yield self._tree.module
        yield from self._tree.nodes(cst.FunctionDef)
        yield from self._tree.nodes(cst.Lambda)

    # -- what the arguments decide -------------------------------------------------------------

    def units(self, step: Step) -> Iterator[Unit]:
        """The functions that run at a step, each as this call runs it."""
        for function in step.functions:
            call = step.node
            if isinstance(call, cst.Call) and not step.entered and self._world(call, function):
                if not all(self._allows(call, function, s) for s in self.steps(function)):
                    yield Unit(function, call)
                    continue
            yield Unit(function)

    def steps_of_unit(self, unit: Unit) -> Iterator[Step]:
        """The steps of a function that its arguments allow: not those under ``if parallel:``."""
        call = unit.call
        for step in self.steps(unit.function):
            if call is None or self._allows(call, unit.function, step):
                yield step

    def _allows(self, call: cst.Call, function: cst.CSTNode, step: Step) -> bool:
        world = self._world(call, function)
        return not world or self._conditions.runs(step.node, world) is not False

    def _world(self, call: cst.Call, function: cst.CSTNode) -> World:
        """The constants that a call gives to parameters which the function tests."""
        key = (call, function)
        if key not in self._worlds:
            self._worlds[key] = dict(self._given(call, function))
        return self._worlds[key]

    def _given(self, call: cst.Call, function: cst.CSTNode) -> Iterator[tuple[str, object]]:
        if not isinstance(function, cst.FunctionDef) or has_stars(call):
            return
        tested = self._tested_parameters(function)
        if not tested:
            return
        is_method = self._evaluator.classes.of_method(function) is not None
        skip = int(is_method and "staticmethod" not in decorator_names(self._tree, function))
        names = positional_names(function.params)
        for param in (*function.params.params, *function.params.kwonly_params):
            name = param.name.value
            if name in tested:
                given = argument(call, names, name, skip=skip) or param.default
                values = self._evaluator.values(given) if given is not None else ()
                if len(values) == 1 and isinstance(values[0], Constant):
                    yield parameter_key(name), values[0].value

    def decided_by_task(self, task: Task, function: cst.CSTNode) -> World:
        """As a world: the constants that a worker API call gives to parameters that are tested."""
        values = self._evaluator.values(task.callable)
        if not isinstance(function, cst.FunctionDef) or has_stars(task.call):
            return {}
        if not all(isinstance(v, (Function, BoundMethod)) and v.node is function for v in values):
            return {}
        skip = int(all(isinstance(value, BoundMethod) for value in values))
        names = positional_names(function.params)
        found: dict[str, object] = {}
        for name in self._tested_parameters(function):
            position = names.index(name) - skip if name in names else -1
            given = [self._evaluator.given(g) for g in task.given_for(position, name)]
            params = (*function.params.params, *function.params.kwonly_params)
            default = next(param.default for param in params if param.name.value == name)
            if not given and default is not None:
                given = [self._evaluator.values(default)]
            decided = [value for group in given for value in group]
            if len(decided) == 1 and isinstance(decided[0], Constant):
                found[parameter_key(name)] = decided[0].value
        return found

    def steps_of_entry(self, entry: Entry) -> Iterator[Step]:
        """What a worker does by the function that it begins with, as its task decides it."""
        given = self.decided_by_task(entry.task, entry.function) if entry.task is not None else {}
        for step in self.steps(entry.function):
            if not given or self._conditions.runs(step.node, given) is not False:
                yield step

    def _tested_parameters(self, function: cst.FunctionDef) -> frozenset[str]:
        known = self._tested.get(function)
        if known is None:
            params = (*function.params.params, *function.params.kwonly_params)
            names = {param.name.value for param in params}
            found = {
                node.value
                for statement in self._tree.walk(function.body)
                if isinstance(statement, cst.If)
                for node in self._tree.walk(statement.test)
                if isinstance(node, cst.Name) and node.value in names
            }
            known = self._tested[function] = frozenset(found)
        return known

    # -- conditions ----------------------------------------------------------------------------

    def happens(self, node: cst.CSTNode) -> bool:
        """False for what only type checkers see."""
        return self._conditions.runs(node, AT_RUN_TIME) is not False

    def at_import(self, node: cst.CSTNode) -> bool:
        """True if ``node``, in code that is run by an import, is run when a child imports it.

        A frozen program's children don't import anything: they begin as the program does.
        """
        conditions = self._conditions
        return (
            self.happens(node)
            and not conditions.is_guarded(node)
            and not conditions.is_frozen_only(node)
        )

    def in_program(self, node: cst.CSTNode) -> bool:
        """True if ``node`` may run when the file is the main program."""
        return self.happens(node) and self._conditions.runs(node, PROGRAM) is not False

    # -- steps ---------------------------------------------------------------------------------

    def _find(self, owner: cst.CSTNode) -> Iterator[Step]:
        for node in self._tree.walk(owner):
            kind = type(node)
            if kind is cst.Call:
                yield from self._at_call(node)  # type: ignore[arg-type]
            elif kind is cst.Decorator:
                yield from self._at_decorator(node)  # type: ignore[arg-type]
            elif kind is cst.WithItem:
                yield self._at_with(node)  # type: ignore[arg-type]
            elif kind is cst.For or kind is cst.CompFor:
                yield from self._iterated(node.iter)  # type: ignore[attr-defined]
            elif kind is cst.From:
                yield from self._iterated(node.item)  # type: ignore[attr-defined]
            elif kind is cst.Attribute and node.attr.value in self._properties():  # type: ignore[attr-defined]
                yield from self._at_property(node)  # type: ignore[arg-type]

    def _at_call(self, call: cst.Call) -> Iterator[Step]:
        func = call.func
        if isinstance(func, cst.Name) and not self._tree.lookup(func):
            if func.value in _KNOWN_BUILTINS or self._tree.star_imports:
                values: Values = self._evaluator.values(func)
            else:
                return
        else:
            values = self._evaluator.values(func)
        found: dict[cst.CSTNode, None] = {}
        for value in values:
            found.update(dict.fromkeys(self._called(value, call)))
        yield Step(call, values, tuple(found))

    def _called(self, value: Value, call: cst.Call) -> Iterator[cst.CSTNode]:
        if isinstance(value, (Function, BoundMethod)):
            if self._runs_when_called(value.node, call):
                yield value.node
            yield from self._wrappers(value.node)
        elif isinstance(value, Lambda):
            yield value.node
        elif isinstance(value, Partial):
            for target in value.targets:
                yield from self._called(target, call)
        elif isinstance(value, Class):
            yield from self._methods(value.node, CONSTRUCTORS)
        elif isinstance(value, Instance):
            yield from self._methods(value.cls, ("__call__",))
        elif isinstance(value, External):
            yield from self._called_by_another(value.name, call)
        elif isinstance(value, Member):
            yield from self._run_in_thread(value, call)

    def _runs_when_called(self, function: cst.FunctionDef, call: cst.Call) -> bool:
        """Generators run when they are consumed, coroutines unless the call is all there is."""
        if self._tree.scopes[function].is_generator and function.asynchronous is None:
            return False
        if function.asynchronous is not None:
            return not isinstance(self._tree.parent(call), cst.Expr)
        return not any(
            name.rpartition(".")[2] in _LAZY_DECORATORS
            for name in decorator_names(self._tree, function)
        )

    def _wrappers(self, function: cst.FunctionDef) -> Iterator[cst.CSTNode]:
        """What decorators of this module put around a function."""
        for decorator in function.decorators:
            for applied in self._applied(decorator):
                for value in self._evaluator.returned(applied):
                    if isinstance(value, Function) and value.node is not function:
                        yield value.node

    def _applied(self, decorator: cst.Decorator) -> Iterator[cst.FunctionDef]:
        """The functions of this module that a decorator calls with what it decorates."""
        for value in self._evaluator.values(decorator.decorator):
            if isinstance(value, (Function, BoundMethod)):
                yield value.node

    def _methods(self, cls: cst.ClassDef, names: Iterable[str]) -> Iterator[cst.FunctionDef]:
        for name in names:
            method = self._evaluator.classes.method(cls, name)
            if method is not None:
                yield method

    def _called_by_another(self, name: str, call: cst.Call) -> Iterator[cst.CSTNode]:
        """Functions and generators that a function from elsewhere is given, and runs."""
        if isinstance(self._tree.parent(call), cst.Expr) and name in ("map", "filter"):
            return  # nobody consumes it
        for arg in call.args:
            for value in self._evaluator.values(arg.value) if name in _RUNNERS else ():
                if isinstance(value, (Function, BoundMethod, Lambda, Partial)):
                    yield from self._called(value, call)
            if name in _CONSUMERS:
                yield from self._generators(arg.value)

    def _run_in_thread(self, member: Member, call: cst.Call) -> Iterator[cst.CSTNode]:
        """What a thread of this process runs: ``Thread(target=f).start()``, ``threads.map(f)``."""
        made = member.receiver
        given: cst.BaseExpression | None = None
        if made.kind is api.Kind.THREAD and member.name == "start":
            if made.cls is not None:
                yield from self._methods(made.cls, ("run",))
            if isinstance(made.site, cst.Call):
                call = made.site
                given = argument(call, api.MAKERS["Thread"].parameters, "target")
        elif made.kind in api.THREAD_KINDS:
            task = self._tasks.of(call)
            given = task.callable if task is not None else None
        for value in self._evaluator.values(given) if given is not None else ():
            if not isinstance(value, (External, Member)):
                yield from self._called(value, call)

    def _at_decorator(self, decorator: cst.Decorator) -> Iterator[Step]:
        functions = tuple(
            function
            for function in self._applied(decorator)
            if not self._tree.scopes[function].is_generator
        )
        if functions:
            yield Step(decorator.decorator, (), functions)

    def _at_with(self, item: cst.WithItem) -> Step:
        values = self._evaluator.values(item.item)
        found: dict[cst.CSTNode, None] = {}
        for value in values:
            if isinstance(value, Generator) and value.function is not None:
                found[value.function] = None
            elif isinstance(value, (Instance, Made)) and value.cls is not None:
                found.update(dict.fromkeys(self._methods(value.cls, ("__enter__", "__aenter__"))))
        return Step(item.item, values, tuple(found), entered=True)

    def _iterated(self, iterable: cst.BaseExpression) -> Iterator[Step]:
        if not isinstance(iterable, (cst.Call, cst.Name, cst.Attribute)):
            return
        functions = tuple(dict.fromkeys(self._generators(iterable)))
        values = self._evaluator.values(iterable)
        if functions or any(isinstance(value, External) for value in values):
            yield Step(iterable, values, functions, entered=True)

    def _generators(self, iterable: cst.BaseExpression) -> Iterator[cst.CSTNode]:
        """The functions of this module that run when an expression is iterated over."""
        if not isinstance(iterable, (cst.Call, cst.Name, cst.Attribute)):
            return
        for value in self._evaluator.values(iterable):
            if isinstance(value, Generator) and value.function is not None:
                yield value.function
            elif isinstance(value, Instance):
                yield from self._methods(value.cls, ("__iter__",))

    def _at_property(self, node: cst.Attribute) -> Iterator[Step]:
        if self._evaluator.classes.store_of(node) is not None:
            return
        name = node.attr.value
        functions: dict[cst.CSTNode, None] = {}
        for value in self._evaluator.values(node.value):
            if isinstance(value, (Instance, Made)) and value.cls is not None:
                for method in self._methods(value.cls, (name,)):
                    if self._evaluator.classes.is_property(method):
                        functions[method] = None
        if functions:
            yield Step(node, (), tuple(functions))

    def _properties(self) -> frozenset[str]:
        if self._property_names is None:
            self._property_names = frozenset(
                function.name.value
                for function in self._tree.nodes(cst.FunctionDef)
                if function.decorators
                and self._tree.scope_of(function).kind is ScopeKind.CLASS
                and self._evaluator.classes.is_property(function)
            )
        return self._property_names
