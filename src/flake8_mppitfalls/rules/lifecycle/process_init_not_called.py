"""MPP410."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.model.values import Class, External, Result
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Point

_DATA_CLASSES = frozenset(
    (
        "dataclasses.dataclass attr.s attr.attrs attr.dataclass attr.define attr.mutable "
        "attr.frozen attrs.define attrs.mutable attrs.frozen attr.attributes"
    ).split()
)
_HOOKS = ("__post_init__", "__attrs_post_init__", "__attrs_pre_init__")
_ERRORS = {
    "daemon": "it raises AttributeError: no attribute '_popen'",
    "authkey": "it raises AttributeError: no attribute '_config'",
    "name": "the name is lost",
}


class ProcessInitNotCalled(Rule):
    """A ``Process`` subclass does not begin as a process.

    What it does:
        Finds a subclass of ``Process`` whose ``__init__()`` never calls ``super().__init__()``,
        one that sets ``name``, ``daemon`` or ``authkey`` before it does, and a dataclass (or
        attrs class) that derives from ``Process`` without calling it in ``__post_init__()``.

    Why it is bad:
        Without the call the object is no process: ``start()`` raises ``AttributeError: 'Worker'
        object has no attribute '_closed'``. ``self.daemon = True`` before it raises
        ``AttributeError: … '_popen'``; a name that is set before it is lost without a word, since
        ``Process.__init__()`` sets its own.

    Example:
        ::

            class Worker(multiprocessing.Process):
                def __init__(self, queue):
                    self.queue = queue

    Use instead:
        ::

            class Worker(multiprocessing.Process):
                def __init__(self, queue):
                    super().__init__()
                    self.queue = queue

    Known limits:
        A call anywhere in ``__init__()``, or in a function of this module that it calls, will do.
        So does a call of the ``__init__()`` of something that is not known here.

    References:
        Python documentation, ``multiprocessing.Process``: "If a subclass overrides the
        constructor, it must make sure it invokes the base class constructor"; CPython's
        ``Lib/multiprocessing/process.py``, ``BaseProcess.__init__``.
    """

    code = "MPP410"
    name = "process-init-not-called"
    message = "{what}: {result}; {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each constructor that does not make a process."""
        for cls in program.tree.nodes(cst.ClassDef):
            maker = program.evaluator.classes.maker(cls)
            if maker is None or maker.makes is not api.Kind.PROCESS:
                continue
            own = [
                binding.node
                for binding in program.tree.scopes[cls].bindings.get("__init__", ())
                if isinstance(binding.node, cst.FunctionDef)
            ]
            if own:
                yield from self._written(program, cls, own[-1])
            elif self._is_generated(program, cls):
                if not any(self._calls_base(program, hook) for hook in self._hooks(program, cls)):
                    yield self._never(cls, cls, f"the generated __init__() of {cls.name.value}")

    def _written(
        self, program: Program, cls: cst.ClassDef, init: cst.FunctionDef
    ) -> Iterator[Finding]:
        if not self._calls_base(program, init):
            yield self._never(init, cls, f"{cls.name.value}.__init__()")
            return
        for store in self._early(program, cls, init):
            attribute = store.attr.value
            yield self.finding(
                store,
                what=f"{program.source(store, 'this')} is set before super().__init__()",
                result=_ERRORS[attribute],
                cure="set it after the call, or pass it to it",
            )

    def _never(self, node: cst.CSTNode, cls: cst.ClassDef, what: str) -> Finding:
        return self.finding(
            node,
            what=f"{what} never calls super().__init__()",
            result=f"start() raises AttributeError: '{cls.name.value}' object has no attribute"
            " '_closed'",
            cure="call it first",
        )

    # -- the call of the base's __init__ -------------------------------------------------------

    def _calls_base(self, program: Program, function: cst.FunctionDef) -> bool:
        reached = program.sides.reach([function])
        return any(
            self._is_base_init(program, call)
            for other in reached
            for call in program.tree.calls_in(program.tree.scopes[other], "__init__")
        )

    def _is_base_init(self, program: Program, call: cst.Call) -> bool:
        """``super().__init__()``, ``Process.__init__(self)``, or something that nobody knows."""
        if not isinstance(call.func, cst.Attribute):
            return True
        for value in program.values(call.func.value):
            if isinstance(value, Class):
                maker = program.evaluator.classes.maker(value.node)
                if maker is not None and maker.makes is api.Kind.PROCESS:
                    return True
            elif isinstance(value, External):
                if value.name not in {"object", "threading.Thread"}:
                    return True
            elif not isinstance(value, Result) or value.name == "super":
                return True
        return False

    # -- data classes --------------------------------------------------------------------------

    def _is_generated(self, program: Program, cls: cst.ClassDef) -> bool:
        names = decorator_names(program.tree, cls)
        for name, decorator in zip(names, cls.decorators, strict=True):
            if name not in _DATA_CLASSES:
                continue
            if isinstance(decorator.decorator, cst.Call):
                for arg in decorator.decorator.args:
                    if arg.star or (arg.keyword is not None and arg.keyword.value == "init"):
                        return False
            return True
        return False

    def _hooks(self, program: Program, cls: cst.ClassDef) -> Iterator[cst.FunctionDef]:
        for name in _HOOKS:
            method = program.evaluator.classes.method(cls, name)
            if method is not None:
                yield method

    # -- what is set too early -----------------------------------------------------------------

    def _early(
        self, program: Program, cls: cst.ClassDef, init: cst.FunctionDef
    ) -> Iterator[cst.Attribute]:
        tree, evaluator = program.tree, program.evaluator
        scope = tree.scopes[init]
        names = positional_names(init.params)
        calls = [
            call for call in tree.calls_in(scope, "__init__") if self._is_base_init(program, call)
        ]
        if not calls or not names:
            return
        flow = evaluator.names.flow(scope)
        barriers = {point for call in calls for point in flow.points_of(call)}
        for attribute in _ERRORS:
            if self._has_its_own(program, cls, attribute):
                continue
            if attribute == "name" and any(_gives(call, "name") for call in calls):
                continue
            for store in evaluator.classes.stores_in(scope, attribute):
                node = store.node
                if not isinstance(node.value, cst.Name) or node.value.value != names[0]:
                    continue
                if _reaches(flow.entry, flow.points_of(node), barriers):
                    if any(_reaches(p, barriers, ()) for p in flow.points_of(node)):
                        yield node

    def _has_its_own(self, program: Program, cls: cst.ClassDef, attribute: str) -> bool:
        """A property or class attribute of that name: the class's own affair."""
        return program.evaluator.classes.is_overlaid(cls) or any(
            attribute in program.tree.scopes[c].bindings for c in program.evaluator.classes.mro(cls)
        )


def _gives(call: cst.Call, keyword: str) -> bool:
    return any(arg.star or (arg.keyword and arg.keyword.value == keyword) for arg in call.args)


def _reaches(start: Point, targets: Iterable[Point], barriers: Iterable[Point]) -> bool:
    """Does a path lead from ``start`` to one of ``targets`` without passing ``barriers``?"""
    wanted, stop = set(targets), set(barriers)
    seen: set[Point] = set()
    work = list(start.successors)
    while work:
        point = work.pop()
        if point in seen:
            continue
        seen.add(point)
        if point in wanted:
            return True
        if point not in stop:
            work.extend(point.successors)
    return False
