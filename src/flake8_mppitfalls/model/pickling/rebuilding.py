"""Rebuilding: can an exception be made again from what pickle keeps of it?

``BaseException.__reduce__`` keeps the class, ``args`` and the attributes; the other side calls the
class with ``args``. What is in ``args`` is decided by ``__new__`` (the positional arguments of the
call that made it) and by ``BaseException.__init__`` (what ``super().__init__`` gives it).
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.values import Class
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

_SPECIAL = ("UnicodeError", "BaseExceptionGroup")
"""Built-in exceptions whose own constructors take what others don't."""
_REBUILDING = frozenset({"__reduce__", "__reduce_ex__", "__getstate__", "__new__"})


class Signature(NamedTuple):
    """How many positional arguments a constructor needs and takes (``None``: any number)."""

    least: int
    most: int | None
    keyword_only: tuple[str, ...]
    """The required keyword-only parameters."""


class Rebuilding:
    """Answers for the exceptions of one module whether they survive pickle."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree

    def classes(self) -> list[cst.ClassDef]:
        """The exceptions of this module that have a constructor of their own."""
        return [cls for cls in self._tree.nodes(cst.ClassDef) if self._is_candidate(cls)]

    def failure(self, cls: cst.ClassDef, call: cst.Call) -> str | None:
        """Why an exception that ``call`` makes can't be made again; ``None`` where it can."""
        if not self._is_candidate(cls):
            return None
        signature = self._signature(cls)
        if signature is None:
            return None
        if signature.keyword_only:
            return f"it needs {signature.keyword_only[0]}= and gets no keywords"
        count = self._arguments(cls, _positional(call))
        if count is None:
            return None
        if count < signature.least:
            return f"it needs {_times(signature.least)} and gets {count}"
        if signature.most is not None and count > signature.most:
            return f"it takes {_times(signature.most)} and gets {count}"
        return None

    def _is_candidate(self, cls: cst.ClassDef) -> bool:
        classes = self._evaluator.classes
        bases = [getattr(builtins, name, None) for name in classes.external_bases(cls)]
        if not bases or not all(isinstance(b, type) and b.__module__ == "builtins" for b in bases):
            return False
        if not any(issubclass(base, BaseException) for base in bases if base is not None):
            return False
        if any(c.__name__ in _SPECIAL for base in bases if base is not None for c in base.__mro__):
            return False
        for c in classes.mro(cls):
            if not _REBUILDING.isdisjoint(self._tree.scopes[c].bindings):
                return False
            if classes.has_reducer(c):
                return False
        return self._constructor(cls) is not None or self._evaluator.records.is_record(cls)

    def _constructor(self, cls: cst.ClassDef) -> cst.FunctionDef | None:
        if self._evaluator.records.is_record(cls):
            return None
        return self._evaluator.classes.method(cls, "__init__")

    def _is_os_error(self, cls: cst.ClassDef) -> bool:
        bases = (getattr(builtins, n, None) for n in self._evaluator.classes.external_bases(cls))
        return any(isinstance(base, type) and issubclass(base, OSError) for base in bases)

    # -- what the constructor takes ------------------------------------------------------------

    def _signature(self, cls: cst.ClassDef) -> Signature | None:
        init = self._constructor(cls)
        if init is None:
            return self._dataclass_signature(cls)
        if init.decorators:
            return None
        params = init.params
        positional = [*params.posonly_params, *params.params][1:]
        least = sum(1 for p in positional if p.default is None)
        has_star = isinstance(params.star_arg, cst.Param)
        keyword_only = tuple(p.name.value for p in params.kwonly_params if p.default is None)
        return Signature(least, None if has_star else len(positional), keyword_only)

    def _dataclass_signature(self, cls: cst.ClassDef) -> Signature | None:
        fields = self._evaluator.records.fields(cls)
        least = most = 0
        for name in fields:
            bindings = next(
                self._tree.scopes[c].bindings[name]
                for c in self._evaluator.classes.mro(cls)
                if name in self._tree.scopes[c].bindings
            )
            if isinstance(bindings[0].value, cst.Call):
                return None  # a field() of some kind
            most += 1
            least += bindings[0].kind is Bound.ANNOTATED
        return Signature(least, most, ())

    # -- what is in args -------------------------------------------------------------------------

    def _arguments(self, cls: cst.ClassDef, given: int | None) -> int | None:
        """How many arguments ``args`` has in the end; ``None`` where that is not known."""
        if self._constructor(cls) is None:
            return given
        mro = self._evaluator.classes.mro(cls)
        return self._after(mro, 0, given, given)

    def _after(
        self, mro: Sequence[cst.ClassDef], start: int, given: int | None, kept: int | None
    ) -> int | None:
        """What the constructors from ``start`` on make of ``given`` arguments.

        ``kept`` is what ``__new__`` has put into ``args``.
        """
        for i in range(start, len(mro)):
            for binding in self._tree.scopes[mro[i]].bindings.get("__init__", ()):
                if isinstance(binding.node, cst.FunctionDef):
                    return self._in_init(mro, i, binding.node, kept)
        return given

    def _in_init(
        self, mro: Sequence[cst.ClassDef], index: int, init: cst.FunctionDef, kept: int | None
    ) -> int | None:
        counts: set[int | None] = set()
        name = next(iter((*init.params.posonly_params, *init.params.params))).name.value
        for node in self._tree.walk(init):
            if isinstance(node, cst.Assign):
                for target in node.targets:
                    if _is_args_of(target.target, name):
                        return _length(node.value)
            elif isinstance(node, cst.AugAssign) and _is_args_of(node.target, name):
                return None
            elif isinstance(node, cst.Call):
                skipped = self._base_call(node, name)
                if skipped is not None:
                    given = _positional(node, skipped)
                    counts.add(self._after(mro, index + 1, given, kept))
        if not counts:
            return 0 if self._is_os_error(mro[0]) else kept
        return counts.pop() if len(counts) == 1 else None

    def _base_call(self, call: cst.Call, name: str) -> int | None:
        """For a call of a base's ``__init__``: how many of its arguments are the object."""
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value != "__init__":
            return None
        if isinstance(func.value, cst.Call):
            return 0 if self._tree.qualified(func.value.func) == "super" else None
        first = call.args[0].value if call.args else None
        if isinstance(first, cst.Name) and first.value == name:
            values = self._evaluator.values(func.value)
            if any(isinstance(v, Class) for v in values) or self._tree.qualified(func.value):
                return 1
        return None


def _positional(call: cst.Call, skip: int = 0) -> int | None:
    """How many positional arguments a call gives; ``None`` with ``*args``."""
    if any(arg.star == "*" for arg in call.args):
        return None
    return sum(1 for arg in call.args if arg.keyword is None and not arg.star) - skip


def _is_args_of(node: cst.BaseExpression, name: str) -> bool:
    return (
        isinstance(node, cst.Attribute)
        and node.attr.value == "args"
        and isinstance(node.value, cst.Name)
        and node.value.value == name
    )


def _length(node: cst.BaseExpression) -> int | None:
    if isinstance(node, (cst.Tuple, cst.List)):
        if not any(isinstance(e, cst.StarredElement) for e in node.elements):
            return len(node.elements)
    return None


def _times(number: int) -> str:
    return f"{number} argument" + "s" * (number != 1)
