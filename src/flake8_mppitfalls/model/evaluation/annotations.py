"""Annotations: what a name is that the code declares."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import (
    UNDECIDED,
    UNKNOWN,
    Constant,
    Container,
    Made,
    Result,
    Values,
    union,
)

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator

_RESULT_CLASSES = {
    "AsyncResult": api.Kind.ASYNC_RESULT,
    "ApplyResult": api.Kind.ASYNC_RESULT,
    "MapResult": api.Kind.ASYNC_RESULT,
    "Connection": api.Kind.CONNECTION,
}

_CONTEXTS = frozenset(
    {"multiprocessing.context.BaseContext", "multiprocessing.context.DefaultContext"}
)
"""A context of some start method."""

_PROXIES_TOO = frozenset(
    {"queue.Queue"}
    | {
        f"threading.{name}"
        for name in "Barrier BoundedSemaphore Condition Event Lock RLock Semaphore".split()
    }
)
"""Type checkers know a manager's proxies by these names, too."""

_WRAPPERS = frozenset({"Optional", "Annotated", "Final", "ClassVar", "Required"})
SEQUENCES = frozenset({"list", "sequence", "iterable", "iterator", "set", "tuple", "deque"})
MAPPINGS = frozenset({"dict", "mapping", "defaultdict", "mutablemapping", "ordereddict"})


class Annotations:
    """Reads the annotations of one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def of(self, annotation: cst.BaseExpression | None) -> Values:
        """An instance of what an annotation names."""
        if annotation is None:
            return (UNKNOWN,)
        if isinstance(annotation, (cst.SimpleString, cst.ConcatenatedString)):
            return self._annotated_text(annotation)
        if isinstance(annotation, cst.BinaryOperation) and isinstance(
            annotation.operator, cst.BitOr
        ):
            return union(self.of(annotation.left), self.of(annotation.right))
        if isinstance(annotation, cst.Name) and annotation.value == "None":
            return (Constant(None, annotation),)
        if isinstance(annotation, cst.Subscript):
            return self._annotated_generic(annotation)
        cls = self._evaluator.classes.named(annotation)
        if cls is not None:
            return (self._evaluator.instance(cls, annotation),)
        return self._declared(self._evaluator.classes.qualified(annotation), annotation)

    def _declared(self, name: str, site: cst.BaseExpression) -> Values:
        if not name or name in {"typing.Any", "object"} or name in _PROXIES_TOO:
            return (UNKNOWN,)
        maker = api.maker(name)
        if maker is not None and maker.makes is not None:
            made = Made(maker.makes, site, maker.name, maker.method, api.flavour(name))
            return (made,)
        last = name.rpartition(".")[2]
        if api.canonical(name) in _CONTEXTS:
            return (Made(api.Kind.CONTEXT, site, "get_context", UNDECIDED, api.flavour(name)),)
        if api.canonical(name).startswith("multiprocessing.") and last in _RESULT_CLASSES:
            return (Made(_RESULT_CLASSES[last], site, last),)
        return (Result(name, site),)

    def _annotated_text(self, annotation: cst.SimpleString | cst.ConcatenatedString) -> Values:
        text = annotation.evaluated_value
        if not isinstance(text, str):
            return (UNKNOWN,)
        try:
            expression = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return (UNKNOWN,)
        return self._quoted(expression, annotation)

    def _quoted(self, part: ast.expr, site: cst.BaseExpression) -> Values:
        """An instance of what a part of an annotation in quotes names."""
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitOr):
            return union(self._quoted(part.left, site), self._quoted(part.right, site))
        if isinstance(part, ast.Constant) and part.value is None:
            return (Constant(None, site),)
        if isinstance(part, ast.Subscript):
            inner = part.slice.elts if isinstance(part.slice, ast.Tuple) else [part.slice]
            name = ast.unparse(part.value).rpartition(".")[2]
            if name in _WRAPPERS and inner:
                return self._quoted(inner[0], site)
            if name == "Union":
                return union(*(self._quoted(one, site) for one in inner))
            if name.lower() in SEQUENCES | MAPPINGS:
                return (UNKNOWN,)
            return self._quoted(part.value, site)
        if isinstance(part, (ast.Name, ast.Attribute)):
            return self._quoted_name(ast.unparse(part), site)
        return (UNKNOWN,)

    def _quoted_name(self, name: str, site: cst.BaseExpression) -> Values:
        head, _, rest = name.partition(".")
        owner = self._evaluator.tree.scope_of(site).owner_of(head)
        bindings = owner.bindings[head] if owner is not None else []
        classes = [b.node for b in bindings if isinstance(b.node, cst.ClassDef)]
        if classes and not rest:
            return (self._evaluator.instance(classes[-1], site),)
        names = {b.qualified for b in bindings} or {self._evaluator.classes.starred(head) or head}
        if len(names) != 1 or "" in names:
            return (UNKNOWN,)
        return self._declared(names.pop() + ("." + rest if rest else ""), site)

    def _annotated_generic(self, annotation: cst.Subscript) -> Values:
        name = self._evaluator.tree.qualified(annotation.value).rpartition(".")[2]
        inner = [e.slice.value for e in annotation.slice if isinstance(e.slice, cst.Index)]
        if name in _WRAPPERS and inner:
            return self.of(inner[0])
        if name == "Union":
            return union(*(self.of(part) for part in inner))
        if name.lower() in SEQUENCES or name.lower() in MAPPINGS:
            return (Container(annotation, "annotation"),)
        return self.of(annotation.value)
