"""Files: which calls open a file for writing, and whether its path is always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.evaluation.signatures import argument, has_stars
from flake8_mppitfalls.model.values import External
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.scopes import Binding

_OPENERS = {
    "open": ("file", "mode", "r"),
    "io.open": ("file", "mode", "r"),
    "codecs.open": ("filename", "mode", "r"),
    "gzip.open": ("filename", "mode", "rb"),
    "bz2.open": ("filename", "mode", "rb"),
    "lzma.open": ("filename", "mode", "rb"),
    "gzip.GzipFile": ("filename", "mode", "rb"),
    "zipfile.ZipFile": ("file", "mode", "r"),
    "tarfile.open": ("name", "mode", "r"),
}
"""The parameters for path and mode of what opens a file, and its default mode."""

_SAVERS = {"numpy.save": "file", "numpy.savez": "file", "numpy.savetxt": "fname"}
"""What writes a file in one go, and its parameter for the path."""

_HANDLERS = {
    "logging.FileHandler": "filename",
    "logging.handlers.RotatingFileHandler": "filename",
    "logging.handlers.TimedRotatingFileHandler": "filename",
    "logging.handlers.WatchedFileHandler": "filename",
}
_WRITERS = ("write_text", "write_bytes")
_SAME_PATH = frozenset(
    "os.path.join os.path.abspath os.path.realpath os.path.expanduser os.path.normpath"
    " os.path.dirname os.path.basename os.fspath str pathlib.Path pathlib.PurePath"
    " pathlib.PosixPath pathlib.WindowsPath pathlib.Path.home pathlib.Path.cwd os.getcwd"
    " tempfile.gettempdir".split()
)
"""Functions whose result is the same in each process, for the same arguments."""
_SAME_METHODS = frozenset(
    "joinpath with_suffix with_name with_stem resolve absolute expanduser as_posix format".split()
)
_SAME_ATTRIBUTES = frozenset({"parent", "name", "stem", "suffix"})
_NO_FILES = ("/dev/", "/proc/")
_DEEPEST = 12


class Opening(NamedTuple):
    """A call that opens a file for writing; ``mode`` is empty for a logging handler."""

    call: cst.Call
    path: cst.BaseExpression
    mode: str


class Files:
    """Answers about the files that one module writes."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree

    def openings(self) -> Iterator[Opening]:
        """The calls that open a file for writing or appending."""
        for table in (_OPENERS, _HANDLERS, _SAVERS):
            for name in {full.rpartition(".")[2] for full in table}:
                for call in self._tree.calls_to(name):
                    opening = self._of_call(call)
                    if opening is not None:
                        yield opening
        for call in self._tree.calls_of.get("basicConfig", ()):
            if self._tree.qualified(call.func) == "logging.basicConfig":
                path = argument(call, (), "filename")
                if path is not None:
                    yield Opening(call, path, "")
        for name in _WRITERS:
            for call in self._tree.calls_of.get(name, ()):
                if isinstance(call.func, cst.Attribute):
                    yield Opening(call, call.func.value, "w")

    def _of_call(self, call: cst.Call) -> Opening | None:
        names = {v.name for v in self._program.values(call.func) if isinstance(v, External)}
        name = names.pop() if len(names) == 1 else ""
        if has_stars(call):
            return None
        if name in _HANDLERS:
            path = argument(call, (_HANDLERS[name],), _HANDLERS[name])
            return Opening(call, path, "") if path is not None else None
        if name in _SAVERS:
            path = argument(call, (_SAVERS[name],), _SAVERS[name])
            return Opening(call, path, "w") if path is not None else None
        if name in _OPENERS:
            first, second, default = _OPENERS[name]
            path = argument(call, (first, second), first)
            mode = self._mode(argument(call, (first, second), second), default)
        elif isinstance(call.func, cst.Attribute) and call.func.attr.value == "open":
            path = call.func.value
            mode = self._mode(argument(call, ("mode",), "mode"), "r")
        else:
            return None
        if path is None or not set(mode) & set("wa+"):
            return None
        return Opening(call, path, mode)

    def _mode(self, node: cst.BaseExpression | None, default: str) -> str:
        if node is None:
            return default
        return self._program.evaluator.text(node) or ""

    # -- paths ---------------------------------------------------------------------------------

    def is_fixed(self, node: cst.CSTNode | None, depth: int = 0) -> bool:
        """True if an expression is one and the same path (or part of one) in every process."""
        if node is None or depth > _DEEPEST:
            return False
        depth += 1
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
            value = node.evaluated_value if not _has_fields(node) else None
            return isinstance(value, str) and not value.startswith(_NO_FILES)
        if isinstance(node, cst.FormattedString):
            return all(
                self.is_fixed(part.expression, depth)
                for part in node.parts
                if isinstance(part, cst.FormattedStringExpression)
            )
        if isinstance(node, cst.Tuple):
            return all(self.is_fixed(element.value, depth) for element in node.elements)
        if isinstance(node, cst.BinaryOperation):
            if isinstance(node.operator, (cst.Add, cst.Divide, cst.Modulo)):
                return self.is_fixed(node.left, depth) and self.is_fixed(node.right, depth)
            return False
        if isinstance(node, cst.Call):
            return self._is_fixed_call(node, depth)
        if isinstance(node, cst.Subscript) and isinstance(node.value, cst.Attribute):
            return node.value.attr.value == "parents" and self.is_fixed(node.value.value, depth)
        if isinstance(node, cst.Attribute):
            return self._is_fixed_attribute(node, depth)
        if isinstance(node, cst.Name):
            bindings = self._program.names.bindings(node)
            if not bindings:
                return node.value == "__file__"
            return all(self._is_fixed_binding(b, depth) for b in self._all(node, bindings))
        return False

    def _all(self, node: cst.Name, bindings: list[Binding]) -> list[Binding]:
        """For a name of the module every binding: functions may bind it anew."""
        if bindings[0].scope is self._tree.module_scope:
            return bindings[0].scope.bindings[node.value]
        return bindings

    def _is_fixed_binding(self, binding: Binding, depth: int) -> bool:
        if binding.kind is Bound.ANNOTATED:
            return True
        return (
            binding.kind is Bound.ASSIGN
            and not binding.path
            and self.is_fixed(binding.value, depth)
        )

    def _is_fixed_call(self, node: cst.Call, depth: int) -> bool:
        if any(arg.star for arg in node.args):
            return False
        if not all(self.is_fixed(arg.value, depth) for arg in node.args):
            return False
        if self._tree.qualified(node.func) in _SAME_PATH:
            return True
        return (
            isinstance(node.func, cst.Attribute)
            and node.func.attr.value in _SAME_METHODS
            and self.is_fixed(node.func.value, depth)
        )

    def _is_fixed_attribute(self, node: cst.Attribute, depth: int) -> bool:
        """``HERE.parent``, or ``self.log`` where the class says what it is."""
        name = node.attr.value
        found = False
        for value in self._program.values(node.value):
            cls = getattr(value, "cls", None) or getattr(value, "node", None)
            if not isinstance(cls, cst.ClassDef):
                break
            for c in self._program.evaluator.classes.mro(cls):
                for binding in self._tree.scopes[c].bindings.get(name, ()):
                    if not self._is_fixed_binding(binding, depth):
                        return False
                    found = True
            for store in self._program.evaluator.members.stores(cls, name):
                if store.path or not self.is_fixed(store.value, depth):
                    return False
                found = True
        return found or (name in _SAME_ATTRIBUTES and self.is_fixed(node.value, depth))


def _has_fields(node: cst.SimpleString | cst.ConcatenatedString) -> bool:
    """True if an f-string is part of it."""
    return isinstance(node, cst.ConcatenatedString) and node.evaluated_value is None
