"""Worker API calls: which callable goes to another process, with which arguments."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.values import Class, External, Made, Member, Partial, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.values import Value


class Given(NamedTuple):
    """An argument: an expression and the way from it to the value.

    A step of ``path`` is ``None`` (each element), an index or a key: ``(None, 0)`` is the first
    element of every element, as ``starmap`` gives to the first parameter.
    """

    expression: cst.BaseExpression
    path: tuple[int | str | None, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One worker API call.

    Attributes:
        call: the call.
        name: the method (``apply_async``) or the class that is called (``Process``, ``Pool``).
        shape: which parameter holds the callable, how its arguments are given, what is pickled.
        parameters: the positional parameters of the API call.
        receivers: the pools, executors or processes it may belong to.
        callable: the expression handed over.
        gives: what the call returns.
    """

    call: cst.Call
    name: str
    shape: api.TaskShape
    parameters: tuple[str, ...]
    receivers: tuple[Made, ...]
    callable: cst.BaseExpression | None
    gives: api.Kind | None

    @property
    def in_processes(self) -> bool:
        """False if a thread may run it, or where nobody knows."""
        return not any(made.kind in api.THREAD_KINDS for made in self.receivers)

    def argument(self, name: str) -> cst.BaseExpression | None:
        """The expression given for a parameter of the API call."""
        return argument(self.call, self.parameters, name)

    def given(self) -> Iterator[Given]:
        """Everything handed to the callable, argument by argument."""
        for parameter, spread in self.shape.arguments:
            if spread is api.Spread.DIRECT or spread is api.Spread.COLUMNS:
                step: tuple[None, ...] = (None,) if spread is api.Spread.COLUMNS else ()
                for arg in self._further():
                    if arg.keyword is None or spread is api.Spread.DIRECT:
                        yield Given(arg.value, step if not arg.star else (None, *step))
                continue
            expression = self.argument(parameter)
            if expression is None:
                continue
            if spread is api.Spread.ITEMS:
                yield Given(expression, (None,))
            elif spread is api.Spread.TUPLES:
                yield Given(expression, (None, None))
            elif isinstance(expression, (cst.Tuple, cst.List)):
                for element in expression.elements:
                    starred = isinstance(element, cst.StarredElement)
                    yield Given(element.value, (None,) if starred else ())
            elif isinstance(expression, cst.Dict):
                for pair in expression.elements:
                    starred = isinstance(pair, cst.StarredDictElement)
                    yield Given(pair.value, (None,) if starred else ())
            else:
                yield Given(expression, (None,))

    def given_for(self, position: int, keyword: str) -> Iterator[Given]:
        """What the callable's parameter gets that is at ``position`` and named ``keyword``."""
        position -= self.shape.leading
        for parameter, spread in self.shape.arguments:
            if spread is api.Spread.DIRECT or spread is api.Spread.COLUMNS:
                yield from self._given_directly(spread, position, keyword)
                continue
            expression = self.argument(parameter)
            if expression is None:
                continue
            if spread is api.Spread.ITEMS:
                if position == 0:
                    yield Given(expression, (None,))
            elif spread is api.Spread.TUPLES:
                if position >= 0:
                    yield Given(expression, (None, position))
            elif spread is api.Spread.MAPPING:
                yield from _named(expression, keyword)
            elif position >= 0:
                yield Given(expression, (position,))

    def _given_directly(self, spread: api.Spread, position: int, keyword: str) -> Iterator[Given]:
        step: tuple[None, ...] = (None,) if spread is api.Spread.COLUMNS else ()
        index = 0
        for arg in self._further():
            if arg.star:
                return
            if arg.keyword is not None:
                if arg.keyword.value == keyword and not step:
                    yield Given(arg.value)
            else:
                if index == position:
                    yield Given(arg.value, step)
                index += 1

    def _further(self) -> Iterator[cst.Arg]:
        """The arguments behind the callable, for APIs that pass them on as they are."""
        taken = len(self.parameters)
        for arg in self.call.args:
            if arg.keyword is not None:
                if arg.keyword.value not in (*self.parameters, "timeout", "chunksize"):
                    yield arg
            elif taken:
                taken -= 1
            else:
                yield arg


def _named(expression: cst.BaseExpression, keyword: str) -> Iterator[Given]:
    if isinstance(expression, cst.Dict):
        for pair in expression.elements:
            if (
                isinstance(pair, cst.DictElement)
                and isinstance(pair.key, cst.SimpleString)
                and pair.key.evaluated_value == keyword
            ):
                yield Given(pair.value)
    elif isinstance(expression, cst.Call):
        for arg in expression.args:
            if arg.keyword is not None and arg.keyword.value == keyword:
                yield Given(arg.value)
    else:
        yield Given(expression, (keyword,))


_METHOD_NAMES = frozenset(
    name
    for methods in api.METHODS.values()
    for name, method in methods.items()
    if method.shape is not None
)


class Tasks:
    """Finds the worker API calls of a module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._known: dict[cst.Call, Task | None] = {}
        self._all: list[Task] | None = None
        self._by_site: dict[cst.CSTNode, list[Task]] | None = None

    def all(self) -> list[Task]:
        """All worker API calls that hand over a callable, in source order."""
        if self._all is None:
            calls = filter(self._may_be_one, self._tree.nodes(cst.Call))
            found = map(self.of, calls)
            self._all = [task for task in found if task is not None and task.callable is not None]
        return self._all

    def of(self, call: cst.Call) -> Task | None:
        """The task that a call hands over, or ``None`` if it is no worker API call."""
        if call not in self._known:
            self._known[call] = None  # met again while its receiver is evaluated
            self._known[call] = self._find(call) if self._may_be_one(call) else None
        return self._known[call]

    def given_to(self, site: cst.CSTNode) -> list[Task]:
        """The tasks of what is made at ``site``, its own one first: a target, an initializer."""
        if self._by_site is None:
            self._by_site = {}
            for task in self.all():
                for maker in dict.fromkeys((task.call, *(made.site for made in task.receivers))):
                    self._by_site.setdefault(maker, []).append(task)
        return self._by_site.get(site, [])

    def _may_be_one(self, call: cst.Call) -> bool:
        if not call.args:
            return False
        func = call.func
        if isinstance(func, cst.Attribute):
            name = func.attr.value
            return (
                name in _METHOD_NAMES
                or name in api.TASK_MAKER_NAMES
                or name in ("run_in_executor", "__init__")
                or bool(self._evaluator.classes.stores(name))
            )
        if isinstance(func, cst.Name):
            bindings = self._tree.lookup(func)
            if not bindings:
                return bool(self._tree.star_imports)
            return not all(isinstance(b.node, cst.FunctionDef) for b in bindings)
        return isinstance(func, cst.Call)

    def _find(self, call: cst.Call) -> Task | None:
        func = call.func
        if isinstance(func, cst.Attribute) and func.attr.value == "run_in_executor":
            return self._in_executor(call)
        if isinstance(func, cst.Attribute) and func.attr.value == "__init__":
            return self._base_init(call)
        found: list[Task] = []
        for value in self._evaluator.values(func):
            task = self._of_value(call, value)
            if task is not None:
                found.append(task)
        if not found:
            return None
        receivers = tuple(dict.fromkeys(made for task in found for made in task.receivers))
        first = found[0]
        return Task(
            call,
            first.name,
            first.shape,
            first.parameters,
            receivers,
            first.callable,
            first.gives,
        )

    def _of_value(self, call: cst.Call, value: Value) -> Task | None:
        if isinstance(value, Member):
            method = api.METHODS.get(value.receiver.kind, {}).get(value.name)
            if method is None or method.shape is None:
                return None
            return self._task(
                call, value.name, method.shape, method.parameters, value.receiver, method.gives
            )
        if isinstance(value, External):
            maker = api.maker(value.name)
            if maker is None or maker.shape is None:
                return None
            made = self._made_by(call)
            return self._task(call, maker.name, maker.shape, maker.parameters, made, maker.makes)
        if isinstance(value, Class):
            return self._of_subclass(call, value)
        if isinstance(value, Partial):
            return self._of_partial(call, value)
        return None

    def _of_partial(self, call: cst.Call, value: Partial) -> Task | None:
        """A ``partial`` over a class: what its call itself hands over."""
        filled = sum(1 for arg in value.site.args[1:] if arg.keyword is None)
        for target in value.targets:
            maker = api.maker(target.name) if isinstance(target, External) else None
            if maker is not None and maker.shape is not None and maker.makes is not None:
                made = self._made_by(call)
                parameters = maker.parameters[filled:]
                task = self._task(call, maker.name, maker.shape, parameters, made, maker.makes)
                if task.callable is None:
                    bound = argument(value.site, ("func", *maker.parameters), maker.shape.callable)
                    task = dataclasses.replace(task, callable=bound)
                return task
        return None

    def _of_subclass(self, call: cst.Call, value: Class) -> Task | None:
        classes = self._evaluator.classes
        maker = classes.maker(value.node)
        if maker is None or maker.shape is None:
            return None
        if classes.method(value.node, "__init__") is not None or classes.is_overlaid(value.node):
            return None
        if any(cls.decorators for cls in classes.mro(value.node)):
            return None  # a dataclass has a constructor of its own
        return self._task(
            call, maker.name, maker.shape, maker.parameters, self._made_by(call), maker.makes
        )

    def _made_by(self, call: cst.Call) -> Made | None:
        made = [v for v in self._evaluator.values(call) if isinstance(v, Made)]
        return made[0] if made else None

    def _in_executor(self, call: cst.Call) -> Task | None:
        first = argument(call, api.RUN_IN_EXECUTOR.parameters, "executor")
        if first is None:
            return None
        receivers = tuple(
            v
            for v in self._evaluator.values(first)
            if isinstance(v, Made) and v.kind in (api.Kind.EXECUTOR, api.Kind.THREAD_EXECUTOR)
        )
        method = api.RUN_IN_EXECUTOR
        if not receivers or method.shape is None:
            return None
        given = argument(call, method.parameters, "func")
        return Task(
            call, "run_in_executor", method.shape, method.parameters, receivers, given, method.gives
        )

    def _base_init(self, call: cst.Call) -> Task | None:
        """``super().__init__(target=…)`` in a subclass of ``Process``."""
        assert isinstance(call.func, cst.Attribute)
        receiver = call.func.value
        for value in self._evaluator.values(receiver):
            is_super = isinstance(value, Result) and value.name == "super"
            named = isinstance(value, External) and api.maker(value.name) is not None
            if not (is_super or named):
                continue
            scope = self._tree.function_of(call)
            cls = self._evaluator.classes.of_method(scope.node)
            maker = self._evaluator.classes.maker(cls) if cls is not None else None
            if cls is None or maker is None or maker.shape is None or maker.name != "Process":
                return None
            if is_super and self._has_constructor_between(cls):
                return None
            if is_super and self._evaluator.classes.is_overlaid(cls):
                return None
            own = self._evaluator.instance(cls, None)
            made = own if isinstance(own, Made) else None
            parameters = maker.parameters if is_super else ("self", *maker.parameters)
            return self._task(call, maker.name, maker.shape, parameters, made, None)
        return None

    def _has_constructor_between(self, cls: cst.ClassDef) -> bool:
        """Is ``super().__init__`` in ``cls`` that of another class of this module?"""
        for base in self._evaluator.classes.mro(cls)[1:]:
            if base.decorators or "__init__" in self._tree.scopes[base].bindings:
                return True
        return False

    def _task(
        self,
        call: cst.Call,
        name: str,
        shape: api.TaskShape,
        parameters: tuple[str, ...],
        made: Made | None,
        gives: api.Kind | None,
    ) -> Task:
        receivers = (made,) if made is not None else ()
        given = argument(call, parameters, shape.callable)
        return Task(call, name, shape, parameters, receivers, given, gives)
