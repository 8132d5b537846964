"""Prompts: where a program reads its standard input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.execution.worlds import CHILD
from flake8_mppitfalls.model.values import External, ResultMember
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.execution.worlds import World
    from flake8_mppitfalls.model.values import Value, Values

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
_DEBUGGING = frozenset(
    "IPython.embed breakpoint code.interact ipdb.post_mortem ipdb.set_trace pdb.pm "
    "pdb.post_mortem pdb.run pdb.runcall pdb.runeval pdb.set_trace pdb.xpm".split()
)
_DEBUGGERS = frozenset({"bdb.Bdb", "code.InteractiveConsole", "pdb.Pdb"})
"""Classes whose methods read standard input, unless they are made with another stream."""
_COMMANDS = frozenset({"interact", "run", "runcall", "runeval", "set_trace"})
_COMMANDS_AND_FUNCTIONS = sorted({name.rpartition(".")[2] for name in _DEBUGGING} | _COMMANDS)
_NAMES = ("stdin", "__stdin__")
_REPLACING = frozenset({"os.dup2", "unittest.mock.patch", "unittest.mock.patch.object"})

IN_WORKER: World = {
    **{key: value for key, value in CHILD.items() if key != "__name__"},
    "sys.stdin.isatty()": False,
}
"""What is so in a child process, whichever start method started it."""


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
                if not self._is_consumed(self.loop(node)):
                    yield self.loop(node)
        elif isinstance(node, cst.Call):
            names = [v.name for v in step.values if isinstance(v, External)]
            if any(name in _ASKING for name in names) or self._is_stream(step.values):
                yield node
            elif any(name in _EAGER for name in names) or self._joins(node):
                if any(self._holds_stream(arg.value) for arg in node.args):
                    yield node
            elif any(name in _LAZY for name in names):
                loop = self._tree.parent(node)
                if isinstance(loop, (cst.For, cst.CompFor)) and node is loop.iter:
                    if self._holds_stream(node):
                        yield self.loop(node)

    def may_read(self) -> bool:
        """Whether the file has the words for reading standard input at all."""
        tree = self._tree
        return bool(
            tree.calls_to("input")
            or tree.calls_to("raw_input")
            or tree.calls_to("getpass")
            or any(name in tree.attributes for name in _NAMES)
            or self._imports_stream()
        )

    def _imports_stream(self) -> bool:
        """``from sys import stdin``"""
        return any(
            dotted_name(alias.name) in _NAMES
            for statement in self._tree.nodes(cst.ImportFrom)
            if not isinstance(statement.names, cst.ImportStar)
            for alias in statement.names
        )

    def may_debug(self) -> bool:
        """Whether the file has the words for starting a debugger at all."""
        return any(self._tree.calls_to(name) for name in _COMMANDS_AND_FUNCTIONS)

    def asked(self, step: Step) -> Iterator[cst.CSTNode]:
        """The place where a step reads standard input, itself or by a debugger."""
        yield from self.read(step)
        yield from self.debugged(step)

    def debugged(self, step: Step) -> Iterator[cst.Call]:
        """The step's call, if it starts a debugger on standard input."""
        call = step.node
        if not step.entered and isinstance(call, cst.Call):
            if any(self._is_debugger(value) for value in step.values):
                yield call

    def is_debugger(self, call: cst.Call) -> bool:
        """True for a call that starts a debugger on standard input."""
        return any(self._is_debugger(value) for value in self._evaluator.values(call.func))

    @staticmethod
    def _is_debugger(value: Value) -> bool:
        if isinstance(value, External):
            return value.name in _DEBUGGING
        if not isinstance(value, ResultMember) or value.name not in _COMMANDS:
            return False
        made = value.receiver.site
        if value.receiver.name not in _DEBUGGERS or not isinstance(made, cst.Call):
            return False
        return not any(arg.keyword and arg.keyword.value == "stdin" for arg in made.args)

    def replaced(self, function: cst.CSTNode) -> bool:
        """True if the code of a function gives the process another standard input."""
        for node in self._tree.attributes.get("stdin", ()):
            if self._tree.qualified(node) == "sys.stdin" and self._tree.is_within(node, function):
                if self._evaluator.classes.store_of(node) is not None:
                    return True
        return any(
            self._tree.qualified(call.func) in _REPLACING
            for name in ("dup2", "patch", "object")
            for call in self._tree.calls_to(name)
            if self._tree.is_within(call, function)
        )

    def loop(self, iterable: cst.CSTNode) -> cst.CSTNode:
        """The loop or comprehension that goes over ``iterable``."""
        for parent in self._tree.ancestors(iterable):
            if not isinstance(parent, cst.CompFor):
                return parent
        return iterable

    def _is_consumed(self, loop: cst.CSTNode) -> bool:
        """Is it a generator expression that a call reads at once: ``sum(1 for line in stdin)``?"""
        arg = self._tree.parent(loop)
        call = self._tree.parent(arg) if isinstance(arg, cst.Arg) else None
        if not isinstance(loop, cst.GeneratorExp) or not isinstance(call, cst.Call):
            return False
        called = self._evaluator.values(call.func)
        eager = any(isinstance(v, External) and v.name in _EAGER for v in called)
        return eager or self._joins(call)

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
        """Of several, one alone may be what this reader is given."""
        return bool(values) and all(
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
