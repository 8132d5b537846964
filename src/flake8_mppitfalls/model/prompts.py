"""Prompts: where a program reads its standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.values import External

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluate import Evaluator
    from flake8_mppitfalls.model.runs import Step
    from flake8_mppitfalls.model.values import Values

_ASKING = frozenset({"input", "raw_input", "builtins.input", "getpass.getpass"})
_READING = frozenset(
    f"{stream}{buffer}.{method}"
    for stream in ("sys.stdin", "sys.__stdin__")
    for buffer in ("", ".buffer")
    for method in ("read", "readline", "readlines", "read1", "readinto")
)
_STREAMS = frozenset({"sys.stdin", "sys.stdin.buffer", "sys.__stdin__"})
_EAGER = frozenset(
    "all any collections.Counter collections.deque dict frozenset json.load list max min next "
    "numpy.loadtxt pandas.read_csv pickle.load set sorted sum tomllib.load tuple yaml.load "
    "yaml.safe_load".split()
)
"""Functions that read all of a stream, or its next line, at once."""
_LAZY = frozenset("csv.DictReader csv.reader enumerate filter iter map reversed zip".split())
"""Functions that read a stream when what they give is iterated over."""


class Prompts:
    """Answers where the code of one module reads standard input."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree

    def read(self, step: Step) -> Iterator[cst.CSTNode]:
        """The place where a step reads standard input: the call, or the loop over it."""
        node = step.node
        if step.entered:
            loop = self._tree.parent(node)
            if isinstance(loop, (cst.For, cst.CompFor)) and self._is_stream(step.values):
                yield self.loop(node)
        elif isinstance(node, cst.Call):
            names = [v.name for v in step.values if isinstance(v, External)]
            if any(name in _ASKING or name in _READING for name in names):
                yield node
            elif any(name in _EAGER for name in names) or self._joins(node):
                if any(self._holds_stream(arg.value) for arg in node.args):
                    yield node
            elif any(name in _LAZY for name in names):
                loop = self._tree.parent(node)
                if isinstance(loop, (cst.For, cst.CompFor)) and node is loop.iter:
                    if self._holds_stream(node):
                        yield self.loop(node)

    def loop(self, iterable: cst.CSTNode) -> cst.CSTNode:
        """The loop or comprehension that goes over ``iterable``."""
        for parent in self._tree.ancestors(iterable):
            if not isinstance(parent, cst.CompFor):
                return parent
        return iterable

    def _holds_stream(self, node: cst.BaseExpression) -> bool:
        """The stream itself, or what reads it lazily."""
        values = self._evaluator.values(node)
        if self._is_stream(values):
            return True
        if isinstance(node, cst.Call):
            called = self._evaluator.values(node.func)
            if any(isinstance(v, External) and v.name in _LAZY for v in called):
                return any(self._holds_stream(arg.value) for arg in node.args)
        return isinstance(node, cst.GeneratorExp) and self._holds_stream(node.for_in.iter)

    @staticmethod
    def _is_stream(values: Values) -> bool:
        return any(
            isinstance(v, External) and (v.name in _STREAMS or v.name in _READING) for v in values
        )

    @staticmethod
    def _joins(call: cst.Call) -> bool:
        """``"".join(…)``"""
        func = call.func
        return (
            isinstance(func, cst.Attribute)
            and func.attr.value == "join"
            and isinstance(func.value, cst.SimpleString)
        )
