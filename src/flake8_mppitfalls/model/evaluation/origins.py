"""Origins: the test that a name, an attribute or a call stands for.

``parallel`` after ``parallel = jobs > 1``; ``self.parallel`` where that is a property, or was
stored when the object was made; ``is_parallel(jobs)`` where a function of this module returns the
test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.signatures import argument, has_stars, positional_names
from flake8_mppitfalls.model.numbers.facts import Origin, key_of
from flake8_mppitfalls.model.values import BoundMethod, Class, Function, Instance, Made
from flake8_mppitfalls.syntax.scopes import Bound
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.syntax.scopes import Scope

MOST_NAMES = 4
_TESTS = (cst.Comparison, cst.BooleanOperation, cst.UnaryOperation)


class Origins:
    """Answers about the tests of one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._known: dict[cst.CSTNode, Origin | None] = {}

    def of(self, node: cst.CSTNode) -> Origin | None:
        """The test that an expression stands for, and what its names are called there."""
        if node not in self._known:
            self._known[node] = None
            if isinstance(node, cst.Name):
                self._known[node] = self._of_name(node)
            elif isinstance(node, cst.Attribute):
                self._known[node] = self._of_attribute(node)
            elif isinstance(node, cst.Call):
                self._known[node] = self._of_call(node)
        return self._known[node]

    def _of_name(self, name: cst.Name) -> Origin | None:
        bindings = self._tree.lookup(name)
        if len(bindings) == 1 and bindings[0].kind is Bound.ASSIGN and not bindings[0].path:
            test = self._meant(bindings[0].value)
            if test is not None:
                return Origin(test, {})
        return None

    def _meant(self, value: cst.BaseExpression | None) -> cst.BaseExpression | None:
        """The test itself: in ``bool(jobs > 1)``, and of a name that stands for it alone."""
        explicit = False
        for _ in range(MOST_NAMES):
            if isinstance(value, cst.Call) and self._tree.qualified(value.func) == "bool":
                if len(value.args) != 1 or value.args[0].star:
                    return None
                value, explicit = value.args[0].value, True
            elif isinstance(value, cst.Name) and not explicit:
                bindings = self._tree.lookup(value)
                only = bindings[0] if len(bindings) == 1 else None
                if only is None or only.kind is not Bound.ASSIGN or only.path:
                    return None
                value = only.value
            elif isinstance(value, cst.IfExp) and _are(value.body, value.orelse) == (*_ANSWERS,):
                value, explicit = value.test, True
            else:
                break
        if isinstance(value, cst.Call) and self.of(value) is not None:
            return value
        meant = (*_TESTS, cst.Name, cst.Attribute) if explicit else _TESTS
        return value if isinstance(value, meant) else None

    def _of_attribute(self, node: cst.Attribute) -> Origin | None:
        receiver = dotted_name(node.value)
        values = self._evaluator.values(node.value) if receiver else ()
        only = values[0] if len(values) == 1 else None
        cls = only.cls if isinstance(only, (Instance, Made)) else None
        if cls is None:
            return None
        name = node.attr.value
        method = self._evaluator.classes.method(cls, name)
        if method is not None:
            is_property = self._evaluator.classes.is_property(method)
            return self._of_method(method, receiver, None) if is_property else None
        stores = self._evaluator.members.stores(cls, name)
        store = stores[0] if len(stores) == 1 else None
        if store is None or store.kind is not Bound.ASSIGN or store.path:
            return None
        scope = self._tree.function_of(store.node)
        own = dotted_name(store.node.value)
        test = self._meant(store.value)
        if test is None or "." in own:
            return None
        return Origin(test, self._stored_names(scope, own, receiver))

    def _stored_names(self, scope: Scope, own: str, receiver: str) -> dict[str, str]:
        """What the parameters are called that the object keeps: ``self.jobs = jobs``."""
        names = dict.fromkeys(scope.bindings, "")
        for name, bindings in scope.bindings.items():
            if len(bindings) == 1 and bindings[0].kind is Bound.PARAMETER:
                for load in self._tree.loads_of(bindings[0]):
                    assign = self._tree.parent(load)
                    target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
                    if isinstance(target, cst.Attribute) and dotted_name(target.value) == own:
                        names[name] = f"{receiver}.{target.attr.value}"
        names[own] = receiver
        return names

    def _of_call(self, call: cst.Call) -> Origin | None:
        if has_stars(call) or len(call.args) > 3:
            return None
        values = self._evaluator.values(call.func)
        only = values[0] if len(values) == 1 else None
        if isinstance(only, Function):
            return self._of_function(only.node, call, {}, 0)
        if isinstance(only, BoundMethod) and isinstance(call.func, cst.Attribute):
            if not isinstance(only.receiver, Class):
                return self._of_method(only.node, dotted_name(call.func.value), call)
        return None

    def _of_method(
        self, method: cst.FunctionDef, receiver: str, call: cst.Call | None
    ) -> Origin | None:
        names = positional_names(method.params)
        if not names or not receiver:
            return None
        return self._of_function(method, call, {names[0]: receiver}, 1)

    def _of_function(
        self, function: cst.FunctionDef, call: cst.Call | None, names: dict[str, str], skip: int
    ) -> Origin | None:
        test = self._told_by(function)
        if test is None:
            return None
        if call is not None and self._evaluator.calls.is_opaque(function):
            return None
        parameters = positional_names(function.params)
        known = dict.fromkeys(self._tree.scopes[function].bindings, "")
        for name in known if call is not None else ():
            given = argument(call, parameters, name, skip=skip) if call is not None else None
            if given is not None:
                known[name] = key_of(given)
        origin = Origin(test, {**known, **names})
        for name, bindings in self._tree.scopes[function].bindings.items():
            value = bindings[0].value
            if len(bindings) == 1 and bindings[0].kind is Bound.ASSIGN and not bindings[0].path:
                known[name] = origin.key(dotted_name(value))
        return Origin(test, {**known, **names})

    def _told_by(self, function: cst.FunctionDef) -> cst.BaseExpression | None:
        """The test that a function returns, if it decides nothing else.

        ``if jobs < 1: return False`` and then ``return True``; names for tests, and messages.
        """
        *before, last = function.body.body
        told, found = self._last(last)
        for statement in reversed(before):
            if isinstance(statement, cst.If) and statement.orelse is None:
                if _returned(statement.body) is not None:
                    told, found = self._or_else(statement, told), found + 1
                    continue
            if told is None or not _is_harmless(statement):
                return None
        whole = found == len(self._tree.scopes[function].returns)
        return told if whole and isinstance(told, cst.BaseExpression) else None

    def _last(self, end: cst.CSTNode) -> tuple[cst.BaseExpression | bool | None, int]:
        """What the end of a function tells, and in how many ``return`` statements."""
        if isinstance(end, cst.If):
            told, found = self._last(end.orelse) if end.orelse is not None else (None, 0)
            return self._or_else(end, told), found + 1
        return self._answer(_returned(end)), 1

    def _answer(self, value: cst.BaseExpression | None) -> cst.BaseExpression | bool | None:
        if isinstance(value, cst.Name) and value.value in _ANSWERS:
            return _ANSWERS[value.value]
        return self._meant(value)

    def _or_else(
        self, choice: cst.If, otherwise: cst.BaseExpression | bool | None
    ) -> cst.BaseExpression | bool | None:
        """What ``if test: return True`` tells, with what follows it."""
        answer = self._answer(_returned(choice.body))
        if otherwise is None or not isinstance(answer, bool):
            return None
        if otherwise is answer:
            return answer
        told = choice.test if answer else cst.UnaryOperation(cst.Not(), choice.test)
        if isinstance(otherwise, bool):
            return told
        return cst.BooleanOperation(told, cst.Or() if answer else cst.And(), otherwise)


def _is_harmless(statement: cst.CSTNode) -> bool:
    """``enough = jobs > 1``, a docstring, a message, or an ``if`` around such things."""
    if isinstance(statement, cst.If):
        blocks = [statement.body, *([statement.orelse.body] if statement.orelse else [])]
        return all(
            isinstance(block, cst.BaseSuite) and all(map(_is_harmless, block.body))
            for block in blocks
        )
    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(part, cst.Expr)
        or (
            isinstance(part, cst.Assign)
            and all(isinstance(target.target, cst.Name) for target in part.targets)
        )
        or (isinstance(part, cst.AnnAssign) and isinstance(part.target, cst.Name))
        for part in statement.body
    )


def _returned(statement: cst.CSTNode) -> cst.BaseExpression | None:
    """What a statement returns, or a block of which it is the end."""
    if isinstance(statement, cst.Else):
        statement = statement.body
    if isinstance(statement, (cst.IndentedBlock, cst.SimpleStatementLine)):
        *before, last = statement.body
        return _returned(last) if all(map(_is_harmless, before)) else None
    return statement.value if isinstance(statement, cst.Return) else None


def _are(*answers: cst.BaseExpression) -> tuple[str, ...]:
    return tuple(answer.value if isinstance(answer, cst.Name) else "" for answer in answers)


_ANSWERS = {"True": True, "False": False}
