"""Conventions: a worker API that is called in the manner of another one.

``Pool``, ``ProcessPoolExecutor``, ``Process`` and an event loop take the callable and its arguments
in four different ways. ``Conventions.of(call)`` says where a call mixes them up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.calling.fit import Passed, bind
from flake8_mppitfalls.model.calling.foreign_methods import Mixup, missing_methods
from flake8_mppitfalls.model.calling.nature import known
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    BoundMethod,
    Class,
    Constant,
    External,
    Function,
    Lambda,
    Made,
    Member,
    Partial,
    is_none,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

    Ask: TypeAlias = Callable[[Value], "bool | None"]

_APPLY = ("apply", "apply_async")
_MAPS = ("map", "map_async", "imap", "imap_unordered", "starmap", "starmap_async")
_OTHERS_KEYWORDS = frozenset(
    "args kwargs kwds callback error_callback chunksize timeout iterable target func fn "
    "initializer initargs processes max_workers mp_context context maxtasksperchild "
    "max_tasks_per_child".split()
)
"""Parameters of the process APIs: each has some of them."""
_FOR_SUBMIT = frozenset("args kwargs kwds callback error_callback chunksize timeout".split())
_CALLABLES = ("target", "func", "fn")
_NUMBERS = ("int", "bool", "float")
"""A chunksize, be it a good one or not."""
_COMPARED = ("'list'", "'str'", "'tuple'")
_EXECUTOR_KEYWORDS = frozenset({"fn", "timeout", "chunksize", "buffersize"})


class Conventions:
    """Answers for one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._evaluator = program.evaluator
        self._tree = program.tree
        self._nature = program.nature
        self._fit = program.fit
        self._known: dict[cst.Call, Mixup | None] = {}

    def of(self, call: cst.Call) -> Mixup | None:
        """What is mixed up in a worker API call."""
        if call not in self._known:
            task = self._program.task_of(call)
            found = None
            if task is not None and task.in_processes:
                found = next(self._of_task(task), None)
            self._known[call] = found
        return self._known[call]

    def all(self) -> Iterator[Mixup]:
        """Everything that is mixed up in this module."""
        for call in self._tree.nodes(cst.Call):
            mixup = self.of(call)
            if mixup is not None:
                yield mixup
        yield from missing_methods(self._program)

    def _of_task(self, task: Task) -> Iterator[Mixup]:
        name = task.name
        if any(made.flavour == "billiard" for made in task.receivers):
            return  # its methods take more
        if task.shape.role == "process":
            yield from self._process(task)
        elif task.shape.role == "initializer":
            yield from self._constructor(task)
        elif name == "submit":
            yield from self._submit(task)
        elif name == "run_in_executor":
            yield from self._in_executor(task)
        elif name in _APPLY:
            yield from self._apply(task)
        elif self._is_executor(task):
            yield from self._executor_map(task)
        elif name in _MAPS:
            yield from self._pool_map(task)

    # -- Process -------------------------------------------------------------------------------

    def _process(self, task: Task) -> Iterator[Mixup]:
        group = task.argument("group") if task.parameters[:1] != ("fn",) else None
        if group is not None:
            values = known(self._evaluator.values(group))
            surely = [v for v in values if self._is_something(v)]
            if surely and len(surely) == len(values):
                text = self._program.source(group, "the first argument")
                name = self._name_of_class(task)
                callable_ = any(self._nature.is_callable(v) is not False for v in surely)
                yield Mixup(
                    group,
                    f"{name}() takes group first, so {text} is no target: AssertionError: group"
                    " argument must be None for now"
                    if callable_
                    else f"{name} has the constructor of Process, which takes group first:"
                    " AssertionError: group argument must be None for now",
                    f"write {name}(target={text}, …)"
                    if callable_
                    else f"give {name} an __init__() of its own that calls super().__init__()",
                )
        if task.name == "Process":
            yield from self._keywords(task, "__init__", self._parameter_names(task))

    def _name_of_class(self, task: Task) -> str:
        for made in task.receivers:
            if made.cls is not None:
                return made.cls.name.value
        return "Process"

    def _is_something(self, value: Value) -> bool:
        """Is it certainly not ``None``?"""
        if isinstance(value, Constant):
            return value.value is not None
        return isinstance(
            value, (Function, Lambda, Class, BoundMethod, Member, Partial, Made, External)
        ) or (self._nature.type_of(value) not in (None, "NoneType"))

    # -- constructors of pools -----------------------------------------------------------------

    def _constructor(self, task: Task) -> Iterator[Mixup]:
        makers = [api.MAKERS[made.name] for made in task.receivers if made.name in api.MAKERS]
        if not makers or any(made.cls is not None for made in task.receivers):
            return
        yield from self._keywords(task, "__init__", ())
        if task.name == "ProcessPoolExecutor":
            slot = task.argument("mp_context")
            if slot is not None and self._are(slot, (Function, Lambda, BoundMethod, Partial)):
                text = self._program.source(slot, "the initializer")
                yield Mixup(
                    slot,
                    f"ProcessPoolExecutor() takes mp_context second, so {text} is no initializer:"
                    f" AttributeError: {self._type(slot)} object has no attribute"
                    " 'get_start_method'",
                    f"write initializer={text}",
                )
        elif task.name == "Pool":
            slot = task.argument("initializer")
            values = self._evaluator.values(slot) if slot is not None else ()
            contexts = [v for v in values if isinstance(v, Made) and v.kind is api.Kind.CONTEXT]
            if slot is not None and contexts and len(contexts) == len(values):
                text = self._program.source(slot, "the context")
                yield Mixup(
                    slot,
                    f"Pool() takes initializer second, so {text} is no context: TypeError:"
                    " initializer must be a callable",
                    f"write {text}.Pool(…)",
                )

    # -- apply, apply_async --------------------------------------------------------------------

    def _apply(self, task: Task) -> Iterator[Mixup]:
        positional = self._positional(task)
        if positional is not None and len(positional) > 2:
            wrong = self._wrong_slot(task, positional)
            if wrong is not None:
                method = self._method(task)
                yield Mixup(
                    wrong,
                    f"{method}() takes all arguments of {self._program.callable_name(task)} as one"
                    f" tuple, and {self._role(task, positional)}",
                    f"write {method}({self._callable_text(task)}, ({self._listed(positional)}))",
                )
        yield from self._keywords(task, task.name, self._parameter_names(task), strict=True)

    def _wrong_slot(self, task: Task, positional: list[cst.BaseExpression]) -> cst.CSTNode | None:
        """The first argument that is in the wrong place, if one surely is."""
        args, kwds = positional[1], positional[2]
        wrong = self._all(kwds, self._nature.is_mapping, False) and not self._may_be_none(kwds)
        wrong = wrong or (
            self._all(args, self._nature.is_iterable, False) and not self._may_be_mapping(kwds)
        )
        for further in positional[3:]:
            wrong = wrong or (
                self._all(further, self._nature.is_callable, False)
                and not self._may_be_none(further)
            )
        wrong = wrong or len(positional) > len(task.parameters)
        if not wrong:
            return None
        return kwds if self._is_tuple(args) else args

    def _role(self, task: Task, positional: list[cst.BaseExpression]) -> str:
        """What the third argument is taken for."""
        if len(positional) > len(task.parameters):
            return f"has no more than {len(task.parameters)} parameters"
        kwds = positional[2]
        text = self._text(kwds)
        return f"{text} as its keyword arguments: TypeError in the worker"

    def _may_be_mapping(self, node: cst.BaseExpression) -> bool:
        values = self._evaluator.values(node)
        return any(self._nature.is_mapping(v) is True or is_none(v) for v in values)

    def _is_tuple(self, node: cst.BaseExpression) -> bool:
        return bool(self._fit.lengths.of(node))

    # -- maps of pools -------------------------------------------------------------------------

    def _pool_map(self, task: Task) -> Iterator[Mixup]:
        positional = self._positional(task)
        if positional is not None and len(positional) > 2:
            extra = positional[2]
            if self._is_no_chunksize(task, extra, len(positional)):
                method = self._method(task)
                text = self._program.source(extra, "the third argument")
                kind = self._type(extra)
                detail = ""
                if kind in _COMPARED:
                    detail = f": '<=' not supported between instances of {kind} and 'int'"
                yield Mixup(
                    extra,
                    f"{method}() takes one iterable, and {text} as its chunksize:"
                    f" TypeError{detail}",
                    self._instead_of_map(task, positional),
                )
        yield from self._keywords(task, task.name, self._parameter_names(task), strict=True)

    def _is_no_chunksize(self, task: Task, extra: cst.BaseExpression, count: int) -> bool:
        if count > len(task.parameters):
            return True
        values = known(self._evaluator.values(extra))
        if values and not any(self._may_be_number(value) for value in values):
            return True
        if task.name.startswith("starmap") or self._nature.of_expression(extra) in _NUMBERS:
            return False
        return self._takes(task, 1) is False and self._takes(task, 2) is True

    def _may_be_number(self, value: Value) -> bool:
        kind = self._nature.type_of(value)
        if kind is not None:
            return kind in _NUMBERS or kind == "NoneType"
        return self._nature.is_iterable(value) is not True

    def _takes(self, task: Task, positional: int) -> bool | None:
        """Does the task's function take so many arguments?"""
        values = self._evaluator.values(task.callable)
        targets = [target for value in values for target in self._fit.targets(value)]
        if not targets or len(targets) < len(values):
            return None
        answers = {bind(target, Passed(positional)) is None for target in targets}
        return answers.pop() if len(answers) == 1 else None

    def _instead_of_map(self, task: Task, positional: list[cst.BaseExpression]) -> str:
        if task.name.startswith("starmap"):
            return "give the tuples as one iterable"
        method = {"map": "starmap", "map_async": "starmap_async"}.get(task.name)
        zipped = f"zip({self._listed(positional)})"
        receiver = self._program.receiver(task.call, "pool")
        if method is not None:
            return f"write {receiver}.{method}({self._callable_text(task)}, {zipped})"
        return f"give {zipped} and a function that takes the pair"

    # -- executors -----------------------------------------------------------------------------

    def _is_executor(self, task: Task) -> bool:
        return any(made.kind is api.Kind.EXECUTOR for made in task.receivers)

    def _executor_map(self, task: Task) -> Iterator[Mixup]:
        positional = self._positional(task)
        for extra in positional[2:] if positional is not None else ():
            if self._all(extra, self._nature.is_iterable, False):
                kind = self._type(extra)
                method = self._method(task)
                text = self._text(extra)
                yield Mixup(
                    extra,
                    f"{method}() takes iterables only, so {text} is no chunksize: TypeError:"
                    f" {kind} object is not iterable",
                    f"write chunksize={text}, or repeat({text}) for an argument of each task",
                )
                return
        for arg in task.call.args:
            if arg.keyword is not None and arg.keyword.value not in _EXECUTOR_KEYWORDS:
                yield self._unexpected(task, task.name, arg)
                return

    def _submit(self, task: Task) -> Iterator[Mixup]:
        given = [arg.keyword.value for arg in task.call.args if arg.keyword is not None]
        if task.callable is None:
            for arg in task.call.args:
                if arg.keyword is not None and arg.keyword.value in _CALLABLES[:2]:
                    if not any(other.star for other in task.call.args):
                        yield Mixup(
                            arg.value,
                            f"{self._method(task)}() takes the callable as its first argument:"
                            " TypeError: submit() missing 1 required positional argument: 'fn'",
                            f"write {self._method(task)}({self._text(arg.value)}, …)",
                        )
                        return
            return
        if not _FOR_SUBMIT.intersection(given):
            return
        for arg in task.call.args:
            if arg.keyword is None or arg.keyword.value not in _FOR_SUBMIT:
                continue
            if self._accepts(task, arg.keyword.value) is False:
                keyword = arg.keyword.value
                yield Mixup(
                    arg.value,
                    f"{self._method(task)}() passes {keyword}= on to"
                    f" {self._program.callable_name(task)}: TypeError: got an unexpected keyword"
                    f" argument '{keyword}'",
                    self._instead_of_keyword(task, arg),
                )
                return

    def _instead_of_keyword(self, task: Task, arg: cst.Arg) -> str:
        assert arg.keyword is not None
        keyword = arg.keyword.value
        function = self._callable_text(task)
        if keyword == "args" and isinstance(arg.value, (cst.Tuple, cst.List)):
            inner = ", ".join(self._text(e.value) for e in arg.value.elements)
            return f"write submit({function}, {inner})" if inner else f"write submit({function})"
        if keyword in ("args", "kwargs", "kwds"):
            stars = "*" if keyword == "args" else "**"
            return f"write submit({function}, {stars}{self._text(arg.value)})"
        if keyword in ("callback", "error_callback"):
            return "call add_done_callback() on the future"
        return f"leave {keyword}= out"

    def _in_executor(self, task: Task) -> Iterator[Mixup]:
        for arg in task.call.args:
            if arg.keyword is not None and arg.keyword.value not in task.parameters:
                keyword = arg.keyword.value
                yield Mixup(
                    arg.value,
                    "run_in_executor() takes positional arguments only: TypeError:"
                    f" run_in_executor() got an unexpected keyword argument '{keyword}'",
                    "give the arguments one by one"
                    if keyword == "args"
                    else "give a functools.partial",
                )
                return

    def _accepts(self, task: Task, keyword: str) -> bool | None:
        """Has the task's function a parameter of this name, or ``**kwargs``?"""
        values = self._evaluator.values(task.callable)
        targets = [target for value in values for target in self._fit.targets(value)]
        if not targets or len(targets) < len(values):
            return None
        answers = set()
        for target in targets:
            if target.node is None:
                answers.add(False)
                continue
            params = target.node.params
            names = {p.name.value for p in (*params.params, *params.kwonly_params)}
            answers.add(keyword in names or params.star_kwarg is not None)
        return answers.pop() if len(answers) == 1 else None

    # -- keywords ------------------------------------------------------------------------------

    def _keywords(
        self, task: Task, method: str, own: Sequence[str], *, strict: bool = False
    ) -> Iterator[Mixup]:
        """Keywords that the API does not take: another API's, or the function's own."""
        for arg in task.call.args:
            if arg.keyword is None or arg.keyword.value in task.parameters:
                continue
            keyword = arg.keyword.value
            if strict or keyword in _OTHERS_KEYWORDS or keyword in own:
                yield self._unexpected(task, method, arg)
                return

    def _unexpected(self, task: Task, method: str, arg: cst.Arg) -> Mixup:
        assert arg.keyword is not None
        keyword = arg.keyword.value
        what = self._method(task)
        same = _SAME.get(keyword, ())
        instead = next((name for name in same if name in task.parameters), None)
        if instead is not None:
            cure = f"write {instead}="
        elif keyword in self._parameter_names(task):
            where = "kwargs" if "kwargs" in task.parameters else "kwds"
            cure = (
                f"write {where}={{'{keyword}': …}}"
                if where in task.parameters
                else f"give functools.partial({self._callable_text(task)}, {keyword}=…)"
            )
        elif keyword in ("callback", "error_callback"):
            cure = "take the results that it gives"
        else:
            cure = f"leave {keyword}= out"
        return Mixup(
            arg.value,
            f"{what}() has no parameter {keyword}: TypeError: {method}() got an unexpected keyword"
            f" argument '{keyword}'",
            cure,
        )

    def _parameter_names(self, task: Task) -> tuple[str, ...]:
        """The names of the parameters of the task's function, where it is known."""
        names: list[str] = []
        for value in self._evaluator.values(task.callable) if task.callable is not None else ():
            for target in self._fit.targets(value):
                if target.node is not None:
                    params = target.node.params
                    names += [p.name.value for p in (*params.params, *params.kwonly_params)]
        return tuple(names)

    # -- words ---------------------------------------------------------------------------------

    def _positional(self, task: Task) -> list[cst.BaseExpression] | None:
        """The positional arguments; ``None`` where stars hide some."""
        if any(arg.star for arg in task.call.args):
            return None
        return [arg.value for arg in task.call.args if arg.keyword is None]

    def _all(self, node: cst.BaseExpression, ask: Ask, wanted: bool) -> bool:
        values = self._evaluator.values(node)
        return bool(values) and all(ask(value) is wanted for value in values)

    def _are(self, node: cst.BaseExpression, kinds: tuple[type, ...]) -> bool:
        values = self._evaluator.values(node)
        return bool(values) and all(isinstance(value, kinds) for value in values)

    def _may_be_none(self, node: cst.BaseExpression) -> bool:
        values = self._evaluator.values(node)
        return UNKNOWN in values or any(is_none(value) for value in values)

    def _type(self, node: cst.BaseExpression) -> str:
        kinds = [self._nature.type_of(v) for v in known(self._evaluator.values(node))]
        return f"'{kinds[0]}'" if kinds and kinds[0] is not None else "this"

    def _method(self, task: Task) -> str:
        return self._program.source(task.call.func, task.name)

    def _callable_text(self, task: Task) -> str:
        return self._program.source(task.callable, "f") if task.callable is not None else "f"

    def _text(self, node: cst.BaseExpression) -> str:
        return self._program.text(node, "…", longest=30)

    def _listed(self, positional: list[cst.BaseExpression]) -> str:
        return ", ".join(self._text(node) for node in positional[1:])


_SAME = {
    "kwargs": ("kwds",),
    "kwds": ("kwargs",),
    "func": ("target", "fn"),
    "fn": ("target", "func"),
    "target": ("func", "fn"),
    "max_workers": ("processes",),
    "processes": ("max_workers",),
    "mp_context": ("context",),
    "context": ("mp_context",),
    "maxtasksperchild": ("max_tasks_per_child",),
    "max_tasks_per_child": ("maxtasksperchild",),
}
