"""Where the command line is parsed, and which functions a command-line library calls itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Constant,
    Container,
    External,
    Function,
    Result,
    ResultMember,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.execution.runs import Step
    from flake8_mppitfalls.model.values import Value

_METHODS = frozenset(
    {"parse_args", "parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args"}
)
_FUNCTIONS = frozenset(
    "absl.app.run argh.dispatch argh.dispatch_command argh.dispatch_commands clize.run defopt.run "
    "docopt.docopt docopt_ng.docopt fire.Fire getopt.getopt getopt.gnu_getopt jsonargparse.CLI "
    "plac.call simple_parsing.parse typer.run tyro.cli".split()
)
_COMMAND_PACKAGES = frozenset({"click", "rich_click", "asyncclick", "cloup"})
_COMMANDS = frozenset({"command", "group", "callback"})
_APPLICATIONS = frozenset(
    f"{package}.{name}"
    for package, names in {
        "click": ("Group", "Command"),
        "typer": ("Typer",),
        "cyclopts": ("App",),
    }.items()
    for name in names
)


class CommandLine:
    """Answers about the command line of one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree

    def parsed(self, step: Step) -> Iterator[cst.CSTNode]:
        """The step's call, if it parses the command line of the process."""
        call = step.node
        if step.entered or not isinstance(call, cst.Call):
            return
        func = call.func
        if isinstance(func, cst.Attribute) and func.attr.value in _METHODS:
            if self._is_parser(func) and not self._is_given(call):
                yield call
        elif any(self._is_application(value) for value in step.values):
            yield call

    def is_command(self, function: cst.CSTNode) -> bool:
        """True for a function that a command-line library calls after it has parsed."""
        if not isinstance(function, cst.FunctionDef):
            return False
        return any(self._makes_command(d.decorator) for d in function.decorators)

    def _makes_command(self, decorator: cst.BaseExpression) -> bool:
        if isinstance(decorator, cst.Call):
            decorator = decorator.func
        name = self._tree.qualified(decorator)
        head, _, last = name.partition(".")
        if (head in _COMMAND_PACKAGES and last in _COMMANDS) or name == "hydra.main":
            return True
        if isinstance(decorator, cst.Attribute) and decorator.attr.value in (*_COMMANDS, "default"):
            return any(self._is_application(v) for v in self._evaluator.values(decorator.value))
        return False

    def _is_application(self, value: Value) -> bool:
        if isinstance(value, External):
            return value.name in _FUNCTIONS
        if isinstance(value, ResultMember) and value.name == "main":
            value = value.receiver
        if isinstance(value, Result):
            return value.name in _APPLICATIONS
        return isinstance(value, Function) and self.is_command(value.node)

    def _is_parser(self, func: cst.Attribute) -> bool:
        """False for a method of this module that happens to be called ``parse_args``."""
        return not any(
            isinstance(value, (Function, BoundMethod, Class))
            for value in self._evaluator.values(func)
        )

    def _is_given(self, call: cst.Call) -> bool:
        """True if the words to parse are written there: ``parse_args(["--fast"])``."""
        given = argument(call, ("args",), "args")
        if given is None:
            return False
        values = self._evaluator.values(given)
        return all(
            isinstance(v, Container) or (isinstance(v, Constant) and v.value is not None)
            for v in values
        )
