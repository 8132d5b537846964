"""Platforms: does the code ask on which platform it runs before it comes to a place?"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.values import BoundMethod, Computed, External, Function, Result
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program

DEEPEST = 4
"""How many calls, or names for other expressions, are followed."""

_FACTS = frozenset(
    "os.fork os.name os.uname platform.mac_ver platform.platform platform.system platform.uname "
    "platform.win32_ver sys.getwindowsversion sys.platform".split()
)
_ASKING = frozenset({"get_all_start_methods", "get_start_method"})
_NAMED = re.compile(r"(?i)win(32|dows)|posix|linux|darwin|mac_?os|osx|unix|cygwin|platform|fork")
"""What a name from elsewhere is about, for which there is nothing else to go by."""
_SKIPPING = frozenset({"error", "exit", "fail", "skip", "skipTest"})


class Platforms:
    """Answers about the platform tests of one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree

    def is_tested(self, node: cst.CSTNode, depth: int = 0) -> bool:
        """True if a test on the way to ``node`` asks for the platform, here or in all callers."""
        if self._is_tested_here(node):
            return True
        owner = self._program.paths.owner(node)
        if owner is self._tree.module or depth > DEEPEST:
            return False
        if self._has_flag_for_others:
            return True
        callers = self._program.runs.callers(owner)
        return bool(callers) and all(self.is_tested(c.step.node, depth + 1) for c in callers)

    def asks(self, test: cst.CSTNode, depth: int = 0) -> bool:
        """True if the outcome of a test has to do with the platform."""
        return any(self._is_about_platform(part, depth) for part in self._tree.walk(test))

    @cached_property
    def _has_flag_for_others(self) -> bool:
        """``parallel_available = os.name == "posix"``, which only other modules read."""
        return any(
            binding.kind is Bound.ASSIGN
            and isinstance(binding.value, _OPERATIONS)
            and not self._tree.loads_of(binding)
            and self.asks(binding.value)
            for bindings in self._tree.module_scope.bindings.values()
            for binding in bindings
        )

    # -- places --------------------------------------------------------------------------------

    def _is_tested_here(self, node: cst.CSTNode) -> bool:
        if self._program.conditions.depends_on_platform(node):
            return True
        place: cst.CSTNode | None = node
        while place is not None:
            if any(self.asks(test) for test, _ in self._program.conditions.holding(place)):
                return True
            if any(self.asks(test) for test in self._tests_around(place)):
                return True
            place = self._function_around(place)
        return False

    def _function_around(self, node: cst.CSTNode) -> cst.CSTNode | None:
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)):
                return parent
        return None

    def _tests_around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Subjects of ``match``, decorators, assertions and skips, up to the function's ``def``."""
        child = node
        for parent in (node, *self._tree.ancestors(node)):
            if isinstance(parent, (cst.FunctionDef, cst.ClassDef)):
                yield from (decorator.decorator for decorator in parent.decorators)
            elif isinstance(parent, cst.Match) and child is not parent.subject:
                yield parent.subject
            elif isinstance(parent, (cst.Module, cst.IndentedBlock)):
                for statement in parent.body:
                    if statement is child:
                        break
                    yield from self._asserted(statement)
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)) and parent is not node:
                return
            child = parent

    def _asserted(self, statement: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """What holds behind a statement: ``assert``, ``if …: pytest.skip()``, ``pytestmark``."""
        if isinstance(statement, cst.If) and self._skips(statement.body):
            yield statement.test
        elif isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                if isinstance(small, cst.Assert):
                    yield small.test
                elif isinstance(small, cst.Assign):
                    if dotted_name(small.targets[0].target) == "pytestmark":
                        yield small.value

    def _skips(self, suite: cst.BaseSuite) -> bool:
        last = suite.body[-1] if suite.body else None
        small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else last
        if not isinstance(small, cst.Expr) or not isinstance(small.value, cst.Call):
            return False
        return dotted_name(small.value.func).rpartition(".")[2] in _SKIPPING

    # -- tests ---------------------------------------------------------------------------------

    def _is_about_platform(self, node: cst.CSTNode, depth: int) -> bool:
        if isinstance(node, cst.Call) and self._tree.qualified(node.func) in {"hasattr", "getattr"}:
            return bool(node.args) and self._tree.qualified(node.args[0].value) == "os"
        if not isinstance(node, (cst.Name, cst.Attribute)):
            return False
        name = self._tree.qualified(node)
        last = node.attr.value if isinstance(node, cst.Attribute) else node.value
        if name in _FACTS or last in _ASKING or name.rpartition(".")[2] in _ASKING:
            return True
        values = self._program.values(node)
        if not any(isinstance(v, (Function, BoundMethod, Computed, Result)) for v in values):
            elsewhere = all(isinstance(v, External) for v in values) and "." in name
            if (elsewhere or not name) and _NAMED.search(last):
                return True
        if depth >= DEEPEST:
            return False
        for value in values:
            if isinstance(value, (Computed, Result)) and value.site is not node:
                if self.asks(value.site, depth + 1):
                    return True
            elif isinstance(value, (Function, BoundMethod)):
                returns = self._tree.scopes[value.node].returns
                if any(r.value is not None and self.asks(r.value, depth + 1) for r in returns):
                    return True
        return isinstance(node, cst.Name) and any(
            self._program.conditions.depends_on_platform(binding.node)
            or (isinstance(binding.value, _OPERATIONS) and self.asks(binding.value, depth + 1))
            for binding in self._program.names.bindings(node)
        )


_OPERATIONS = (cst.BooleanOperation, cst.Comparison, cst.IfExp, cst.UnaryOperation)
