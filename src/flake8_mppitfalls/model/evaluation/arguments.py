"""Arguments: what becomes of a value that a call is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.containers import ADDING, MERGING
from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, Use, UseKind
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Container,
    External,
    Function,
    Lambda,
    Member,
    Result,
)
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.evaluation.tracing import Tracer

_NEUTRAL = frozenset(
    (
        "len print repr str bool isinstance issubclass type id hash callable hasattr "
        "format logging.debug logging.info logging.warning"
    ).split()
)
_COPYING = frozenset(["list", "tuple", "set", "sorted", "frozenset", "dict", "collections.deque"])
_WRAPPING = frozenset(
    (
        "iter enumerate zip reversed filter itertools.chain itertools.islice "
        "itertools.cycle concurrent.futures.as_completed rich.progress.track "
        "alive_progress.alive_it progressbar.progressbar fastprogress.progress_bar"
    ).split()
)
_CONSUMING = frozenset(["sum", "any", "all", "min", "max", "collections.Counter"])
_SELECTING = frozenset(["sorted", "min", "max", "filter", "itertools.filterfalse"])
"""These call a function of theirs with each element."""
_STACKS = frozenset({"contextlib.ExitStack", "contextlib.AsyncExitStack"})
_LOOKING_UP = frozenset({"remove", "discard", "index", "count", "pop", "get"})
"""Methods of containers that only compare what they are given with what is there."""


class Arguments:
    """The part of a :class:`Tracer` that follows a value into calls."""

    def __init__(self, tracer: Tracer, evaluator: Evaluator) -> None:
        self._tracer = tracer
        self._evaluator = evaluator
        self._tree = evaluator.tree

    def follow(
        self, arg: cst.Arg, call: cst.Call, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if arg.star:
            kind = UseKind.PASSED if depth else UseKind.ITERATED
            self._tracer.use(kind, call, node, "*", depth=depth, through=through)
            return
        func = call.func
        if isinstance(func, cst.Attribute) and self._grows(func):
            if func.attr.value in ADDING:
                self._tracer.storing.into_container(func.value, node, depth, through)
            elif depth:
                self._tracer.storing.into_container(func.value, node, depth - 1, through)
            else:
                self._tracer.use(UseKind.ITERATED, call, node, depth=depth, through=through)
            return
        if isinstance(func, cst.Attribute) and self._looks_up(func):
            self._tracer.use(
                UseKind.TESTED, call, node, func.attr.value, depth=depth, through=through
            )
            return
        followed = False
        for value in self._evaluator.values(func):
            if isinstance(value, External):
                followed = self._external(value.name, call, node, depth, through) or followed
            elif isinstance(value, (Function, BoundMethod, Class)):
                followed = self._into_function(value, call, arg, depth, through) or followed
            elif isinstance(value, Member) and value.name == "enter_context":
                followed = False
        if not followed:
            name = self._tree.qualified(func)
            if isinstance(func, cst.Attribute):
                name = name or func.attr.value
                if func.attr.value == "push" and self._is_stack(func.value):
                    self._tracer.entered(arg.value, call, node, depth, through)
                    return
                if func.attr.value in {"enter_context", "enter_async_context"}:
                    self._tracer.entered(arg.value, call, node, depth, through)
                    self._tracer.follow(call, depth, through)
                    return
            self._tracer.use(UseKind.PASSED, call, node, name, depth=depth, through=through)

    def _is_stack(self, node: cst.BaseExpression) -> bool:
        """``stack.push(pool)``: the end of the stack calls the pool's ``__exit__()``."""
        values = self._evaluator.values(node)
        return bool(values) and all(isinstance(v, Result) and v.name in _STACKS for v in values)

    def _looks_up(self, func: cst.Attribute) -> bool:
        if func.attr.value not in _LOOKING_UP:
            return False
        values = self._evaluator.values(func.value)
        return bool(values) and all(isinstance(v, Container) for v in values)

    def _grows(self, func: cst.Attribute) -> bool:
        if func.attr.value not in ADDING | MERGING:
            return False
        values = self._evaluator.values(func.value)
        return any(isinstance(v, Container) for v in values)

    def _external(
        self, name: str, call: cst.Call, node: cst.CSTNode, depth: int, through: bool
    ) -> bool:
        if name in _SELECTING and depth:
            self.selected(call, depth)
        if name in _NEUTRAL:
            self._tracer.use(UseKind.TESTED, call, node, name, depth=depth, through=through)
        elif name in _CONSUMING and depth == 0:
            self._tracer.use(UseKind.ITERATED, call, node, name, depth=depth, through=through)
        elif name in _COPYING:
            if depth:
                self._tracer.follow(call, depth, True)
            else:
                self._tracer.use(UseKind.ITERATED, call, node, name, depth=depth, through=through)
        elif name == "concurrent.futures.as_completed" and depth == 0:
            # It takes all there is at once: a generator given to it is no longer lazy.
            self._tracer.use(UseKind.ITERATED, call, node, name, depth=depth, through=through)
        elif name in _WRAPPING or name.startswith("tqdm"):
            pairs = depth > 0 and name in {"enumerate", "zip"}
            self._tracer.follow(call, depth + pairs, through)
        elif name == "next" and depth:
            self._tracer.follow(call, depth - 1, True)
        elif name == "next":
            self._tracer.use(UseKind.ITERATED, call, node, name, depth=depth, through=through)
        elif name == "map" and depth:
            self._tracer.use(UseKind.PASSED, call, node, name, depth=depth, through=through)
        elif name == "map" and node is not call.args[0].value:
            self._tracer.follow(call, depth, through)
        elif name in {"concurrent.futures.wait", "multiprocessing.connection.wait"} and depth:
            self._tracer.use(UseKind.TESTED, call, node, name, depth=depth, through=through)
            # wait() gives a tuple of sets: one container more.
            self._tracer.follow(call, depth + 1, True)
        elif name in {"typing.cast", "contextlib.nullcontext"}:
            self._tracer.follow(call, depth, through)
        elif name == "contextlib.closing":
            self._tracer.use(UseKind.PASSED, call, node, name, depth=depth, through=through)
            self._tracer.follow(call, depth, through)
        else:
            return False
        return True

    def selected(self, call: cst.Call, depth: int) -> None:
        """``sorted(handles, key=lambda h: h.get())``: go on in the key, or in what filters."""
        for arg in call.args:
            if arg.keyword is not None and arg.keyword.value != "key":
                continue
            for value in self._evaluator.values(arg.value):
                if isinstance(value, (Function, BoundMethod, Lambda)):
                    names = positional_names(value.node.params)[isinstance(value, BoundMethod) :]
                    bindings = self._tree.scopes[value.node].bindings
                    for binding in bindings.get(names[0], ()) if names else ():
                        if binding.kind is Bound.PARAMETER:
                            self._tracer.bound(binding, depth - 1, through=True)

    def _into_function(
        self,
        value: Function | BoundMethod | Class,
        call: cst.Call,
        arg: cst.Arg,
        depth: int,
        through: bool,
    ) -> bool:
        """Go on inside a function of this module; false if the parameter can't be told."""
        function: cst.FunctionDef | None
        skip = 0
        if isinstance(value, Class):
            function = self._evaluator.classes.method(value.node, "__init__")
            skip = 1
        else:
            function = value.node
            skip = 1 if isinstance(value, BoundMethod) else 0
        if function is None and isinstance(value, Class):
            return self._into_record(value.node, call, arg, depth, through)
        if function is None or self._evaluator.calls.is_opaque(function):
            return False
        names = positional_names(function.params)
        if arg.keyword is not None:
            name = arg.keyword.value
        else:
            before = call.args[: next(i for i, a in enumerate(call.args) if a is arg)]
            if any(a.star for a in before):
                return False
            index = skip + sum(1 for a in before if a.keyword is None)
            if index >= len(names):
                return False
            name = names[index]
        scope = self._tree.scopes[function]
        found = False
        for binding in scope.bindings.get(name, ()):
            if isinstance(binding.node, cst.Param) and not binding.node.star:
                self._tracer.bound(binding, depth, through=through)
                found = True
        return found

    def _into_record(
        self, cls: cst.ClassDef, call: cst.Call, arg: cst.Arg, depth: int, through: bool
    ) -> bool:
        """A dataclass or named tuple keeps what its constructor gets."""
        records = self._evaluator.records
        fields = records.fields(cls)
        if any(a.star for a in call.args):
            return False
        if arg.keyword is not None:
            name = arg.keyword.value
        else:
            index = next(i for i, a in enumerate(call.args) if a is arg)
            name = fields[index] if index < len(fields) else ""
        if name not in fields:
            return False
        if records.is_tuple(cls) and any(
            self._takes_apart(use, cls) for use in self._tracer.others(call)
        ):
            return False
        declared = records.binding(cls, name).node
        self._tracer.storing.kept(name, cls, declared, arg.value, depth, through, record=call)
        return True

    def _takes_apart(self, use: Use, cls: cst.ClassDef) -> bool:
        """Does a use of a named tuple do more than read a field?"""
        if use.kind in (UseKind.METHOD, UseKind.MEMBER):
            if use.name in self._evaluator.records.fields(cls):
                return False
            return self._evaluator.classes.method(cls, use.name) is None
        if use.kind is UseKind.RETURNED:
            function = self._tree.function_of(use.node).node
            return not self._evaluator.references.calls(function)
        if use.kind is UseKind.TESTED:
            return isinstance(use.node, cst.Subscript)
        return use.kind is UseKind.ITERATED or (
            use.kind in HANDED_ON and use.kind is not UseKind.KEPT
        )
