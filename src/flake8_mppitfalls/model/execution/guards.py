"""Guards: the tests that part the main program from an import of the file."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.worlds import CHILD, PROGRAM

if TYPE_CHECKING:
    from flake8_mppitfalls.model.execution.conditions import Conditions
    from flake8_mppitfalls.syntax.tree import Tree

_BRANCHES = (cst.If, cst.Match, cst.IfExp, cst.BooleanOperation)
_TESTS = (cst.Comparison, cst.BooleanOperation, cst.UnaryOperation, cst.Name)


class Guards:
    """Finds the guards of one module."""

    def __init__(self, tree: Tree, conditions: Conditions) -> None:
        self._tree = tree
        self._conditions = conditions

    def all(self) -> list[cst.CSTNode]:
        """The statements and operators that part the main program from an import, in order.

        Those at module level, and where there is none those in functions.
        """
        found = [node for node in self._asking() if self._parts(node)]
        at_module_level = [n for n in found if not self._tree.function_of(n).is_function]
        found = at_module_level or found
        if len(found) > 1:
            before = self._tree.before
            found.sort(key=functools.cmp_to_key(lambda a, b: -1 if before(a, b) else 1))
        return found

    def _asking(self) -> list[cst.CSTNode]:
        """The statements and operators that test what may tell a child from the main program."""
        tree = self._tree
        work: list[cst.CSTNode] = [*tree.loads.get("__name__", ())]
        for name in ("current_process", "parent_process"):
            work += [*tree.loads.get(name, ()), *tree.attributes.get(name, ())]
        found: dict[cst.CSTNode, None] = {}
        seen: set[cst.CSTNode] = set()
        while work:
            child = work.pop()
            for parent in tree.ancestors(child):
                if parent in seen:
                    break
                if isinstance(parent, _BRANCHES):
                    found[parent] = None
                elif isinstance(parent, (cst.Assign, cst.NamedExpr, cst.Return)):
                    seen.add(parent)
                    work += self._other_names(parent)
                if isinstance(parent, (cst.BaseSuite, cst.BaseSmallStatement)):
                    break
        return list(found)

    def _other_names(self, statement: cst.Assign | cst.NamedExpr | cst.Return) -> list[cst.Name]:
        """The reads of a name that a test is bound to, or of the function that returns it."""
        if not isinstance(statement.value, _TESTS):
            return []
        names: list[cst.CSTNode] = []
        if isinstance(statement, cst.Assign):
            names += [target.target for target in statement.targets]
        elif isinstance(statement, cst.NamedExpr):
            names.append(statement.target)
        else:
            function = self._tree.function_of(statement).node
            if isinstance(function, cst.FunctionDef):
                return self._tree.loads.get(function.name.value, [])
        return [
            load
            for name in names
            if isinstance(name, cst.Name)
            for load in self._tree.loads.get(name.value, ())
        ]

    def _parts(self, node: cst.CSTNode) -> bool:
        """Does ``node`` have a branch that only the main program takes?"""
        if isinstance(node, (cst.If, cst.IfExp)):
            program = self._conditions.truths.of(node.test, PROGRAM)
            child = self._conditions.truths.of(node.test, CHILD)
            if child is True:
                return program is False and node.orelse is not None
            return child is False and program is not False
        if self._conditions.is_guarded(node):
            return False
        if isinstance(node, cst.BooleanOperation):
            return self._tree.parent(node).__class__ is cst.Expr and self._conditions.is_guarded(
                node.right
            )
        return isinstance(node, cst.Match) and any(
            self._conditions.is_guarded(c.body) for c in node.cases
        )
