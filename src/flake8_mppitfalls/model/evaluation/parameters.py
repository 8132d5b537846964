"""Parameters: what the functions of the module may get from their callers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.classes import decorator_names
from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    Class,
    Container,
    Instance,
    Made,
    Value,
    Values,
    is_none,
    is_plain,
    union,
)

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.syntax.scopes import Binding


class Parameters:
    """The part of :class:`Evaluator` that follows parameters to what callers give."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._classes = evaluator.classes

    def of(self, binding: Binding) -> Values:
        """What a parameter may be: what the calls give, its default, what its annotation says."""
        param = binding.node
        function = binding.scope.node
        assert isinstance(param, cst.Param)
        if isinstance(function, cst.FunctionDef):
            own = self.own_object(function, param)
            if own is not None:
                return (own,)
        if isinstance(param.star, str) and param.star:
            return self._starred(function, param)
        groups: list[Values] = []
        references = self._evaluator.references.wherever(function)
        is_left_out = not references
        for reference in references:
            given = list(self._evaluator.references.given_by(reference, function, param))
            groups += [self._evaluator.given(one) for one in given]
            is_left_out = is_left_out or not given
        if self._evaluator.are_too_many(sum(map(len, groups))):
            groups = [(UNKNOWN,)]
        declared = (
            self._evaluator.annotations.of(binding.annotation)
            if binding.annotation is not None
            else ()
        )
        undecided = not groups or any(UNKNOWN in group for group in groups)
        if param.default is not None and is_left_out:
            groups.append(self._evaluator.values(param.default))
        found = tuple(v for v in union((), *groups) if v is not UNKNOWN)
        if declared and all(is_plain(v) for v in declared):
            # What tests like ``isinstance(x, str)`` let through is not followed.
            found = tuple(v for v in found if not isinstance(v, (Instance, Made)))
        if declared and declared != (UNKNOWN,):
            if undecided or all(is_none(v) for v in found):
                return union(found, declared)
            return found
        if not found:
            return (UNKNOWN,)
        return (*found, UNKNOWN) if undecided else found

    def _starred(self, function: cst.CSTNode, param: cst.Param) -> Values:
        """``*args`` and ``**kwargs``: a tuple and a dict of what the calls give besides."""
        calls = self._evaluator.references.calls(function)
        if not calls:
            return (UNKNOWN,)  # the annotation says what its elements are
        container = Container(param, "dict" if param.star == "**" else "tuple")
        everywhere = len(calls) == len(self._evaluator.references.wherever(function))
        return (container,) if everywhere else (container, UNKNOWN)

    def own_object(self, function: cst.FunctionDef, param: cst.Param) -> Value | None:
        """``self`` or ``cls``: the first parameter of a method."""
        names = positional_names(function.params)
        if not names or names[0] != param.name.value:
            return None
        cls = self._classes.of_method(function)
        if cls is None:
            return None
        decorators = decorator_names(self._evaluator.tree, function)
        if "staticmethod" in decorators:
            return None
        if "classmethod" in decorators or function.name.value in {
            "__new__",
            "__init_subclass__",
            "__class_getitem__",
        }:
            return Class(cls)
        return self._evaluator.instance(cls, None)
