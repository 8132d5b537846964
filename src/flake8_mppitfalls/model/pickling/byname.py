"""By name: can the other side find a function or class under the name that pickle writes?

Pickle writes a function or class as its module and ``__qualname__``. What a function defines, and
what a decorator puts in the place of a function without taking over its name, isn't found there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.records import DATACLASSES
from flake8_mppitfalls.model.pickling import picklable
from flake8_mppitfalls.model.values import BoundMethod, Function, Lambda, Result
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

_TYPE_MAKERS = frozenset(
    {"collections.namedtuple", "typing.NamedTuple", "dataclasses.make_dataclass", "enum.Enum"}
    | {"enum.IntEnum", "type"}
)
_NEUTRAL_FOR_CLASSES = frozenset(
    {"functools.total_ordering", "typing.final", "enum.unique", "typing.runtime_checkable"}
)


class ByName:
    """Answers for one module what is found by its name."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._modules: set[str] | None = None

    def local(self, node: cst.CSTNode, spawning: bool) -> str | None:
        """What to call a function or class that is defined inside a function, if it is one.

        ``spawning`` says whether the other side imports the module anew.
        """
        if not self.is_local(node, spawning):
            return None
        if isinstance(node, cst.FunctionDef):
            if self.is_renamed(node) or self._evaluator.calls.is_opaque(node):
                return None
            return f"{node.name.value}()"
        assert isinstance(node, cst.ClassDef)
        names = decorator_names(self._tree, node)
        if not all(n in DATACLASSES or n in _NEUTRAL_FOR_CLASSES for n in names):
            return None
        return f"class {node.name.value}"

    def is_local(self, node: cst.CSTNode, spawning: bool) -> bool:
        """Is it defined inside a function, where the other side does not find it?"""
        scope = self._tree.scope_of(node)
        name = getattr(node, "name", None)
        if isinstance(name, cst.Name) and name.value in scope.global_names:
            return spawning  # found where the function has run: in this process and its forks
        return self.is_nested(node)

    def is_nested(self, node: cst.CSTNode) -> bool:
        """Does it stand in the body of a function, or in a class there?"""
        scope = self._tree.scope_of(node)
        return scope.is_function or any(outer.is_function for outer in scope.outer())

    def is_renamed(self, node: cst.CSTNode, attribute: str = "__qualname__") -> bool:
        """Is the name set by hand, or are ``wraps`` and ``update_wrapper`` at work?"""
        if isinstance(node, cst.FunctionDef):
            if "functools.wraps" in decorator_names(self._tree, node):
                return True
        for target in self._tree.attributes.get(attribute, ()):
            if self._evaluator.classes.store_of(target) is not None:
                if self._stands_for(target.value, node):
                    return True
        for call in self._tree.calls_of.get("update_wrapper", ()):
            if call.args and self._stands_for(call.args[0].value, node):
                return True
        return False

    def takes_name(self, node: cst.FunctionDef) -> bool:
        """Is it an inner function that ``functools.wraps`` gives the name of another?"""
        return self.is_nested(node) and "functools.wraps" in decorator_names(self._tree, node)

    def _stands_for(self, expression: cst.BaseExpression, node: cst.CSTNode) -> bool:
        return any(
            isinstance(v, (Function, Lambda, BoundMethod)) and v.node is node
            for v in self._evaluator.values(expression)
        )

    def local_type(self, result: Result) -> str | None:
        """What to call a class that ``namedtuple`` and the like make inside a function.

        For what calling such a class gives, too.
        """
        site: cst.CSTNode = result.site
        name = result.name
        while name.endswith("()") and isinstance(site, cst.Call):
            makers = [v for v in self._evaluator.values(site.func) if isinstance(v, Result)]
            if not makers or makers[0].site is site:
                return None
            name, site = makers[0].name, makers[0].site
        if name not in _TYPE_MAKERS or not isinstance(site, cst.Call):
            return None
        if name == "type" and len(site.args) != 3:
            return None
        if not self._is_bound_locally(site):
            return None
        title = self._evaluator.text(site.args[0].value) if site.args else None
        return f"class {title}" if title else "a class"

    def _is_bound_locally(self, site: cst.Call) -> bool:
        scope = self._tree.function_of(site)
        assign = self._tree.parent(site)
        if not scope.is_function or not isinstance(assign, cst.Assign):
            return False  # stored somewhere else: who knows under which name
        return all(
            isinstance(t.target, cst.Name) and t.target.value not in scope.global_names
            for t in assign.targets
        )

    def is_module(self, name: str) -> bool:
        """Is it the name of a module that an ``import`` of this file binds?"""
        if self._modules is None:
            self._modules = set(picklable.SUBMODULES)
            for node in self._tree.nodes(cst.Import):
                for alias in node.names:
                    parts = dotted_name(alias.name).split(".")
                    self._modules.update(".".join(parts[:i]) for i in range(1, len(parts) + 1))
        return name in self._modules
