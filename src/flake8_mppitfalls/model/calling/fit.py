"""Fit: do the arguments that a worker API passes on fit the signature of the function?

``Fit.misfit(task)`` binds them as the call in the child will do, and says what does not fit in the
words of the ``TypeError`` that it raises there. Where the file does not show the function, its
signature or the number of arguments, there is no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.numbers.lengths import Lengths
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Function,
    Instance,
    Lambda,
    Made,
    Partial,
)
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flake8_mppitfalls.model.evaluation.tasks import Task
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value
    from flake8_mppitfalls.syntax.scopes import Binding

MOST_WAYS = 12
"""With more numbers of arguments than this nothing is said."""


class Passed(NamedTuple):
    """The arguments of one call, as far as the file shows them.

    Attributes:
        positional: how many there are by position.
        keywords: the names of those by keyword.
        more: there may be further ones by position.
        more_keywords: there may be further ones by keyword.
    """

    positional: int
    keywords: tuple[str, ...] = ()
    more: bool = False
    more_keywords: bool = False


class Target(NamedTuple):
    """A function of this module, and what is bound already when it is called.

    Attributes:
        node: the ``def`` or lambda; ``None`` for a class whose constructor takes nothing.
        name: as the ``TypeError`` has it.
        filled: the positional arguments that are put in front (``self``, those of a partial).
        keywords: the keyword arguments of a partial.
    """

    node: cst.FunctionDef | cst.Lambda | None
    name: str
    filled: int = 0
    keywords: tuple[str, ...] = ()


class Fit:
    """Answers whether calls fit, for one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._evaluator = program.evaluator
        self._tree = program.tree
        self.lengths = Lengths(program)

    # -- questions -----------------------------------------------------------------------------

    def misfit(self, task: Task) -> str | None:
        """The ``TypeError`` of a task's call in the child, if it is sure to be raised."""
        ways = self.passed(task)
        return self._sure(task.callable, ways, task.call) if ways else None

    def misfit_of(self, function: cst.BaseExpression, positional: int) -> str | None:
        """The same for a call of what ``function`` stands for with so many arguments."""
        return self._sure(function, [Passed(positional)], function)

    def _sure(
        self, function: cst.BaseExpression | None, ways: Sequence[Passed], place: cst.CSTNode
    ) -> str | None:
        """An error where each function fails with each of the ways, or where it is shown to.

        Several functions and several numbers of arguments may belong together, and so may a
        function and a test around the call, or what a function is chosen by from a table: then
        one pair that fails says nothing. Nor does a method in whose place a subclass has one.
        """
        values = self._evaluator.values(function)
        targets = [target for value in values for target in self.targets(value)]
        if not targets or len(targets) < len(values):
            return None
        errors = [[bind(target, way) for way in ways] for target in targets]
        found = [error for row in errors for error in row if error is not None]
        if not found or self._fits_an_heir(function, ways):
            return None
        sure = all(error is not None for row in errors for error in row)
        alone = len(targets) == 1 or (
            len(ways) == 1 and not self._is_conditional(place) and not self._is_chosen(function)
        )
        return found[0] if sure or alone else None

    def _fits_an_heir(self, function: cst.BaseExpression | None, ways: Sequence[Passed]) -> bool:
        """``self.step``, which is meant to be, or may be, the one of a subclass."""
        if not isinstance(function, cst.Attribute):
            return False
        for heir in self._program.sides.of_heirs(function):
            filled = int("staticmethod" not in decorator_names(self._tree, heir))
            target = Target(heir, heir.name.value, filled)
            if self._evaluator.calls.is_opaque(heir) or any(bind(target, w) is None for w in ways):
                return True
        return False

    def _is_chosen(self, function: cst.BaseExpression | None) -> bool:
        """Is it what ``handler_for(kind)`` or ``HANDLERS[kind]`` gives, or a name for it?"""
        names = self._evaluator.names
        bindings = names.bindings(function) if isinstance(function, cst.Name) else ()
        origins = [b.value for b in bindings if b.kind is Bound.ASSIGN] or [function]
        found = map(self._evaluator.names.behind, origins)
        return any(isinstance(origin, (cst.Call, cst.Subscript)) for origin in found)

    def _is_conditional(self, node: cst.CSTNode) -> bool:
        """Does a test of its function decide about ``node``, or an error that is caught?"""
        for parent in self._tree.ancestors(node):
            if isinstance(parent, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
                break
            if isinstance(parent, (cst.If, cst.IfExp, cst.Match, cst.BooleanOperation)):
                return True
            if isinstance(parent, (cst.Try, cst.TryStar)) and parent.handlers:
                return True
        return next(self._program.conditions.holding(node), None) is not None

    def targets(self, value: Value) -> list[Target]:
        """The functions of this module that a call of ``value`` calls; empty if not known."""
        if isinstance(value, Lambda):
            return [Target(value.node, "<lambda>")]
        if isinstance(value, (Function, BoundMethod)):
            if self._evaluator.calls.is_opaque(value.node):
                return []
            filled = int(isinstance(value, BoundMethod))
            return [Target(value.node, self.qualified_name(value.node), filled)]
        if isinstance(value, Class):
            return self._constructor(value.node)
        if isinstance(value, (Instance, Made)) and value.cls is not None:
            method = self._evaluator.classes.method(value.cls, "__call__")
            if method is None or self._evaluator.calls.is_opaque(method):
                return []
            return [Target(method, self.qualified_name(method), 1)]
        if isinstance(value, Partial):
            return self._partial(value)
        return []

    def _constructor(self, cls: cst.ClassDef) -> list[Target]:
        classes = self._evaluator.classes
        if cls.keywords or cls.decorators or classes.method(cls, "__new__") is not None:
            return []
        method = classes.method(cls, "__init__")
        if method is not None:
            if self._evaluator.calls.is_opaque(method):
                return []
            return [Target(method, self.qualified_name(method), 1)]
        if any(name != "object" for name in classes.external_bases(cls)):
            return []
        return [Target(None, cls.name.value)]

    def _partial(self, value: Partial) -> list[Target]:
        args = value.site.args[1:]
        if any(arg.star for arg in args) or value.site.args[0].star:
            return []
        filled = sum(1 for arg in args if arg.keyword is None)
        keywords = tuple(arg.keyword.value for arg in args if arg.keyword is not None)
        found = []
        for inner in value.targets:
            targets = self.targets(inner)
            if not targets:
                return []
            for target in targets:
                merged = tuple(dict.fromkeys((*target.keywords, *keywords)))
                found.append(target._replace(filled=target.filled + filled, keywords=merged))
        return found

    def qualified_name(self, node: cst.FunctionDef) -> str:
        """``Parser.split``, ``main.<locals>.work``: the ``__qualname__``."""
        parts = [node.name.value]
        scope = self._tree.function_of(node)
        while scope.kind is not ScopeKind.MODULE and scope.parent is not None:
            if isinstance(scope.node, cst.ClassDef):
                parts.append(scope.node.name.value)
            else:
                parts.append("<locals>")
                named = isinstance(scope.node, cst.FunctionDef)
                parts.append(scope.node.name.value if named else "<lambda>")  # type: ignore[attr-defined]
            scope = scope.parent.function()
        return ".".join(reversed(parts))

    def parameter(self, target: Target, index: int) -> Binding | None:
        """The parameter that gets the positional argument at ``index`` of the call."""
        if target.node is None:
            return None
        params = target.node.params
        names = [*params.posonly_params, *params.params]
        place = target.filled + index
        if place >= len(names):
            return None
        bindings = self._tree.scopes[target.node].bindings.get(names[place].name.value, ())
        return next((b for b in bindings if b.node is names[place]), None)

    def is_swallowed(self, target: Target) -> bool:
        """Does a ``*rest`` take the first argument, and nobody reads it?"""
        if target.node is None or not isinstance(target.node.params.star_arg, cst.Param):
            return False
        params = target.node.params
        if target.filled < len(params.posonly_params) + len(params.params):
            return False
        name = target.node.params.star_arg.name.value
        bindings = self._tree.scopes[target.node].bindings.get(name, ())
        return not any(self._tree.loads_of(binding) for binding in bindings)

    # -- the arguments of a task -----------------------------------------------------------------

    def passed(self, task: Task) -> list[Passed]:
        """The ways in which a task's function may be called; empty where nobody knows."""
        call = task.call
        starred = any(arg.star == "*" for arg in call.args)
        double = any(arg.star == "**" for arg in call.args)
        ways = [Passed(task.shape.leading)]
        for parameter, spread in task.shape.arguments:
            if spread is api.Spread.DIRECT:
                ways = self._direct(task, ways)
            elif spread is api.Spread.COLUMNS:
                ways = self._columns(task, ways)
            elif starred:
                return []
            else:
                expression = task.argument(parameter)
                if expression is None:
                    if double:
                        mapping = spread is api.Spread.MAPPING
                        ways = [
                            w._replace(more=w.more or not mapping, more_keywords=True) for w in ways
                        ]
                    continue
                ways = self._spread(ways, expression, spread)
            if not ways or len(ways) > MOST_WAYS:
                return []
        return ways

    def _spread(
        self, ways: list[Passed], expression: cst.BaseExpression, spread: api.Spread
    ) -> list[Passed]:
        if spread is api.Spread.ITEMS:
            return [w._replace(positional=w.positional + 1) for w in ways]
        if spread is api.Spread.MAPPING:
            names = self.lengths.keys(expression)
            return [
                w._replace(keywords=(*w.keywords, *keys), more_keywords=w.more_keywords or more)
                for w in ways
                for keys, more in names
            ]
        if spread is api.Spread.TUPLES:
            lengths = self.lengths.of_items(expression)
        else:
            lengths = self.lengths.of(expression)
        return [
            w._replace(positional=w.positional + n, more=w.more or more)
            for w in ways
            for n, more in lengths
        ]

    def _direct(self, task: Task, ways: list[Passed]) -> list[Passed]:
        """``submit(f, a, key=b)``: what follows the callable."""
        skip = len(task.parameters)
        count, more, more_keywords = 0, False, False
        keywords: list[str] = []
        for arg in task.call.args:
            if arg.star == "**":
                more_keywords = True
            elif arg.star:
                known = self.lengths.exact(arg.value) if not skip else None
                count += known or 0
                more = more or known is None
                skip = 0
            elif arg.keyword is not None:
                if arg.keyword.value not in task.parameters:
                    keywords.append(arg.keyword.value)
                else:
                    skip -= 1
            elif skip:
                skip -= 1
            else:
                count += 1
        if task.name == "run_in_executor" and keywords:
            return []  # it takes none itself
        return [Passed(w.positional + count, tuple(keywords), more, more_keywords) for w in ways]

    def _columns(self, task: Task, ways: list[Passed]) -> list[Passed]:
        """``executor.map(f, xs, ys)``: one argument of each iterable."""
        given = [arg for arg in task.call.args if arg.keyword is None]
        if any(arg.star for arg in given):
            return []
        columns = len(given) - len(task.parameters)
        if columns < 1:
            return []
        return [w._replace(positional=w.positional + columns) for w in ways]


# -- binding ---------------------------------------------------------------------------------------


def bind(target: Target, passed: Passed) -> str | None:
    """The ``TypeError`` that a call with these arguments raises, if it is sure to raise one."""
    if target.node is None:
        if passed.positional or passed.keywords:
            return f"{target.name}() takes no arguments"
        return None
    params = target.node.params
    posonly = [p.name.value for p in params.posonly_params]
    plain = [p.name.value for p in params.params]
    only = [p.name.value for p in params.kwonly_params]
    names = [*posonly, *plain]
    count = target.filled + passed.positional
    keywords = tuple(dict.fromkeys((*target.keywords, *passed.keywords)))
    taken = set(names[:count])
    by_keyword = {*plain, *only}
    error = None
    for keyword in keywords:
        if keyword in by_keyword:
            if keyword in taken:
                return f"{target.name}() got multiple values for argument '{keyword}'"
        elif params.star_kwarg is None:
            if keyword in posonly:
                return (
                    f"{target.name}() got some positional-only arguments passed as keyword"
                    f" arguments: '{keyword}'"
                )
            return f"{target.name}() got an unexpected keyword argument '{keyword}'"
    if count > len(names) and not isinstance(params.star_arg, cst.Param):
        error = _too_many(target, count, keywords)
    elif not passed.more and not passed.more_keywords:
        error = _missing(target, count, keywords)
    elif not passed.more_keywords:
        error = _missing_keywords(target, keywords)
    return error


def _too_many(target: Target, count: int, keywords: tuple[str, ...]) -> str:
    assert target.node is not None
    params = target.node.params
    positional = [*params.posonly_params, *params.params]
    defaults = sum(1 for p in positional if p.default is not None)
    most = len(positional)
    plural = most != 1
    takes = str(most)
    if defaults:
        takes = f"from {most - defaults} to {most}"
        plural = True
    only = sum(1 for p in params.kwonly_params if p.name.value in keywords)
    if only:
        given = (
            f"{count} positional argument{'s' * (count != 1)} (and {only} keyword-only"
            f" argument{'s' * (only != 1)}) were"
        )
    else:
        given = f"{count} {'was' if count == 1 else 'were'}"
    return f"{target.name}() takes {takes} positional argument{'s' * plural} but {given} given"


def _missing(target: Target, count: int, keywords: tuple[str, ...]) -> str | None:
    assert target.node is not None
    params = target.node.params
    positional = [*params.posonly_params, *params.params]
    left = [p for p in positional[count:] if p.default is None and p.name.value not in keywords]
    if left:
        return f"{target.name}() {_listed([p.name.value for p in left], 'positional')}"
    return _missing_keywords(target, keywords)


def _missing_keywords(target: Target, keywords: tuple[str, ...]) -> str | None:
    assert target.node is not None
    left = [
        p.name.value
        for p in target.node.params.kwonly_params
        if p.default is None and p.name.value not in keywords
    ]
    return f"{target.name}() {_listed(left, 'keyword-only')}" if left else None


def _listed(names: list[str], kind: str) -> str:
    quoted = [f"'{name}'" for name in names]
    if len(quoted) == 1:
        text = quoted[0]
    elif len(quoted) == 2:
        text = f"{quoted[0]} and {quoted[1]}"
    else:
        text = f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
    return f"missing {len(names)} required {kind} argument{'s' * (len(names) != 1)}: {text}"
