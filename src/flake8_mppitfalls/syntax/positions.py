"""Where a LibCST node stands: line and column, without LibCST's recursive and slow provider.

flake8 has parsed the same source into the interpreter's tree, whose nodes know their places. Both
trees have the same statements in the same order; and within the expressions of one statement the
n-th call of the one, in the order of the source, is the n-th call of the other, and so for names,
attributes, lambdas and all else. Where the two do not agree in number, a node has the place of its
statement.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import libcst as cst

from flake8_mppitfalls.syntax.fields import FIELDS, SCOPE_FIELDS

#: Line, from 1, and column, from 0 and in characters.
Place: TypeAlias = tuple[int, int]


class _Key(NamedTuple):
    """What a LibCST node has in common with a node of the interpreter's tree."""

    kind: str
    """What it is; empty for the statement itself."""

    rank: int
    """How many of the kind come before it in the statement."""

    part: str = ""
    """For what is a node to LibCST alone: ``attr`` or ``name`` of the other tree's node."""


#: The expressions that both trees have, by LibCST's name and by the interpreter's.
_KINDS: dict[str, str] = {
    "Attribute": "Attribute",
    "Await": "Await",
    "BinaryOperation": "BinOp",
    "BooleanOperation": "BoolOp",
    "Call": "Call",
    "Comparison": "Compare",
    "ConcatenatedString": "string",
    "Dict": "Dict",
    "DictComp": "DictComp",
    "Ellipsis": "Ellipsis",
    "Float": "number",
    "FormattedString": "string",
    "GeneratorExp": "GeneratorExp",
    "IfExp": "IfExp",
    "Imaginary": "number",
    "ImportAlias": "alias",
    "Integer": "number",
    "Lambda": "Lambda",
    "List": "List",
    "ListComp": "ListComp",
    "Name": "Name",
    "NamedExpr": "NamedExpr",
    "Param": "arg",
    "Set": "Set",
    "SetComp": "SetComp",
    "SimpleString": "string",
    "Slice": "Slice",
    "StarredElement": "Starred",
    "Subscript": "Subscript",
    "TemplatedString": "string",
    "Tuple": "Tuple",
    "UnaryOperation": "UnaryOp",
    "Yield": "Yield",
}
_KIND_OF_CST = {getattr(cst, name): kind for name, kind in _KINDS.items() if hasattr(cst, name)}
_KIND_OF_AST = {
    getattr(ast, name): kind
    for name, kind in {
        **{kind: kind for kind in (*_KINDS.values(), "keyword") if kind != "Ellipsis"},
        "JoinedStr": "string",
        "TemplateStr": "string",
        "YieldFrom": "Yield",
    }.items()
    if hasattr(ast, name)
}

#: The names that are nodes to LibCST alone, by the node that they are part of.
_NAMES: dict[type[cst.CSTNode], tuple[tuple[str, str], ...]] = {
    cst.Arg: (("keyword", ""),),
    cst.Attribute: (("attr", "attr"),),
    cst.ClassDef: (("name", "name"),),
    cst.FunctionDef: (("name", "name"),),
    cst.Param: (("name", ""),),
}
_DEFINITION = re.compile(rb"(?:async\s+)?(?:def|class)\s+")

#: Nodes of LibCST alone: they begin where the first expression in them begins.
_WRAPPERS = frozenset(
    {
        cst.Annotation,
        cst.Arg,
        cst.AsName,
        cst.AssignTarget,
        cst.CompFor,
        cst.CompIf,
        cst.ComparisonTarget,
        cst.Decorator,
        cst.DictElement,
        cst.Element,
        cst.FormattedStringExpression,
        cst.From,
        cst.Index,
        cst.StarredDictElement,
        cst.SubscriptElement,
        cst.WithItem,
    }
)

_STRINGS = tuple(kind for kind, name in _KIND_OF_CST.items() if name == "string")
_JOINED = tuple(kind for kind, name in _KIND_OF_AST.items() if name == "string")

#: What stands in replacement fields has no right place in the tree of an older interpreter.
_LOOKS_INTO_STRINGS = sys.version_info >= (3, 12)

_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
_STATEMENTS = (
    cst.BaseCompoundStatement,
    cst.ExceptHandler,
    cst.ExceptStarHandler,
    cst.MatchCase,
)
_BLOCK_NODES = (cst.BaseSuite, cst.Else, cst.Finally, *_STATEMENTS)

#: The fields with the expressions of a node, in the order of the source.
_FIELDS: dict[type[cst.CSTNode], tuple[str, ...]] = {
    node: tuple(name for name in fields if name not in _BLOCKS)
    if issubclass(node, _STATEMENTS)
    else fields
    for node, fields in {**FIELDS, **SCOPE_FIELDS}.items()
}
_FIELDS |= {
    cst.Assign: ("targets", "value"),
    cst.CompFor: ("target", "iter", "ifs", "inner_for_in"),
    cst.DictComp: ("key", "value", "for_in"),
    cst.ExceptHandler: ("type",),
    cst.ExceptStarHandler: ("type",),
    cst.For: ("target", "iter"),
    cst.GeneratorExp: ("elt", "for_in"),
    cst.IfExp: ("body", "test", "orelse"),
    cst.Import: ("names",),
    cst.ImportFrom: ("names",),
    cst.ListComp: ("elt", "for_in"),
    cst.MatchCase: ("guard",),
    cst.NamedExpr: ("target", "value"),
    cst.SetComp: ("elt", "for_in"),
    cst.TypeAlias: ("name", "value"),
}


def locate(
    module: cst.Module, tree: ast.AST, lines: Sequence[str], nodes: Iterable[cst.CSTNode]
) -> dict[cst.CSTNode, Place]:
    """The place of each of the *nodes* of *module*; of its source are *lines* and *tree*."""
    # A line of simple statements begins with the first of them.
    asked = {n: n.body[0] if isinstance(n, cst.SimpleStatementLine) else n for n in nodes}
    wanted = set(asked.values())
    found = dict.fromkeys(wanted, (1, 0))
    source = _Source(lines)
    seen: list[tuple[cst.CSTNode, ast.AST]] = []
    for statement, twin in _paired_statements(module, tree):
        if not wanted:
            break
        seen.append((statement, twin))
        keys = _keys(statement)
        here = wanted.intersection(keys)
        if here:
            twins = _Twins(twin, keys)
            for node in here:
                found[node] = source.place(twins.of(node) or twin, keys[node].part, node)
            wanted -= here
    for statement, twin in seen:
        # What is no expression (the names of an import, a pattern) is looked for more slowly.
        for node in wanted.intersection(_all_below(statement)) if wanted else ():
            found[node] = source.place(twin)
    return {node: found[anchor] for node, anchor in asked.items()}


def _paired_statements(module: cst.Module, tree: ast.AST) -> Iterator[tuple[cst.CSTNode, ast.AST]]:
    """Each statement, ``except`` clause and ``case``, with what it is in the other tree."""
    blocks: list[tuple[list[cst.CSTNode], list[ast.AST]]] = []

    def pair(block: cst.CSTNode | Sequence[cst.CSTNode] | None, twins: list[ast.AST]) -> None:
        statements = list(_statements_of(block))
        if len(statements) == len(twins):
            blocks.append((statements, twins))

    pair(module, getattr(tree, "body", []))
    while blocks:
        for statement, twin in zip(*blocks.pop(), strict=True):
            yield statement, twin
            for name in _BLOCKS:
                twins = getattr(twin, name, None)
                if isinstance(twins, list):
                    pair(getattr(statement, name, None), twins)


def _statements_of(
    block: cst.CSTNode | Sequence[cst.CSTNode] | None,
) -> Iterator[cst.CSTNode]:
    """The statements in a block, clauses in a list of clauses, or the ``elif`` after an ``if``."""
    if isinstance(block, (cst.Else, cst.Finally)):
        block = block.body
    if isinstance(block, (cst.Module, cst.BaseSuite)):
        block = block.body
    if isinstance(block, cst.CSTNode):
        yield block
        return
    for statement in block or ():
        if isinstance(statement, cst.SimpleStatementLine):
            yield from statement.body
        else:
            yield statement


def _keys(statement: cst.CSTNode) -> dict[cst.CSTNode, _Key]:
    """The key of the *statement* and of each expression in it, but not of what is in its blocks."""
    keys: dict[cst.CSTNode, _Key] = {}
    counts: Counter[str] = Counter()
    wrappers: list[cst.CSTNode] = []
    # What shares the key of the node around it, and what is a link of a chain that the other tree
    # has as one node.
    todo: list[tuple[cst.CSTNode, _Key | None]] = [(statement, None)]
    links: dict[cst.CSTNode, _Key] = {}
    while todo:
        node, key = todo.pop()
        shared = key
        if node is statement:
            key = _Key("", 0)
        elif key is None:
            key = links.get(node)
            if key is None and (kind := _kind_of_cst(node)):
                key = _Key(kind, counts[kind])
                counts[kind] += 1
        if key is None:
            if type(node) in _WRAPPERS:
                wrappers.append(node)
        else:
            keys[node] = key
            if node is not statement:
                keys.update(dict.fromkeys(wrappers, key))
                wrappers.clear()
            for name, part in _NAMES.get(type(node), ()):
                if isinstance(inner := getattr(node, name), cst.CSTNode):
                    keys[inner] = key._replace(part=part)
            if isinstance(node, cst.BooleanOperation) and _is_link(node.left, node):
                links[node.left] = key
            if isinstance(node, (cst.ConcatenatedString, cst.ImportAlias)):
                shared = key
            elif isinstance(node, _STRINGS):
                shared = None if _LOOKS_INTO_STRINGS else key
        children = [
            child
            for name in _FIELDS.get(type(node), ())
            for child in _as_nodes(getattr(node, name))
        ]
        todo.extend((child, shared) for child in reversed(children))
    return keys


def _as_nodes(value: object) -> Iterator[cst.CSTNode]:
    """The nodes in a field: one, several or none."""
    if isinstance(value, cst.CSTNode):
        yield value
    elif isinstance(value, (tuple, list)):
        yield from value


def _kind_of_cst(node: cst.CSTNode) -> str | None:
    if isinstance(node, cst.Arg) and (node.keyword is not None or node.star == "**"):
        return "keyword"
    if isinstance(node, (cst.Arg, cst.Index)) and node.star == "*":
        return "Starred"
    return _KIND_OF_CST.get(type(node))


def _is_link(left: cst.BaseExpression, whole: cst.BooleanOperation) -> bool:
    """Whether ``a and b`` is in ``a and b and c`` as it stands here, without parentheses."""
    return (
        isinstance(left, cst.BooleanOperation)
        and type(left.operator) is type(whole.operator)
        and not left.lpar
    )


class _Twins:
    """The interpreter's nodes for the expressions of one statement."""

    def __init__(self, statement: ast.AST, keys: Mapping[cst.CSTNode, _Key]) -> None:
        self._keys = keys
        self._nodes = _by_kind(statement)
        self._counts: dict[str, int] = {}
        for key in keys.values():
            self._counts[key.kind] = max(self._counts.get(key.kind, 0), key.rank + 1)

    def of(self, node: cst.CSTNode) -> ast.AST | None:
        """What *node* is; nothing for the statement, and where the trees do not agree."""
        kind, rank, _ = self._keys[node]
        nodes = self._nodes.get(kind, ())
        if len(nodes) != self._counts[kind]:
            return None
        twin: ast.AST = nodes[rank]
        if isinstance(node, cst.Name) and isinstance(twin, ast.Name) and node.value.isascii():
            return twin if twin.id == node.value else None
        return twin


def _by_kind(statement: ast.AST) -> dict[str, list[Any]]:
    """The expressions of a statement, but not those in its blocks: by kind, in their order."""
    found: dict[str, list[Any]] = defaultdict(list)
    todo: list[ast.AST] = [
        node
        for name, value in ast.iter_fields(statement)
        if name not in _BLOCKS and name not in ("pattern", "type_params")
        for node in (value if isinstance(value, list) else [value])
        if isinstance(node, ast.AST)
    ]
    while todo:
        node = todo.pop()
        if kind := _kind_of_ast(node):
            found[kind].append(node)
        if isinstance(node, _JOINED):
            if _LOOKS_INTO_STRINGS:
                todo.extend(_replacement_fields(node))
        elif isinstance(node, ast.Subscript) and _is_bare_tuple(node.slice):
            todo.extend((node.value, *ast.iter_child_nodes(node.slice)))
        else:
            todo.extend(ast.iter_child_nodes(node))
    for nodes in found.values():
        # Of two that begin at one place, the outer one comes first.
        nodes.sort(
            key=lambda node: (node.lineno, node.col_offset, -node.end_lineno, -node.end_col_offset)
        )
    return found


def _kind_of_ast(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant):
        if node.value is None or isinstance(node.value, bool):
            return "Name"
        if isinstance(node.value, (str, bytes)):
            return "string"
        return "Ellipsis" if node.value is ... else "number"
    return _KIND_OF_AST.get(type(node))


def _replacement_fields(string: Any) -> Iterator[ast.AST]:
    """The expressions in the replacement fields of a string, and in their format specifications."""
    for part in string.values:
        if not isinstance(part, ast.Constant):
            yield part.value
            if part.format_spec is not None:
                yield from _replacement_fields(part.format_spec)


def _is_bare_tuple(index: ast.expr) -> bool:
    """Whether the brackets hold several items: to LibCST these make no tuple."""
    return (
        isinstance(index, ast.Tuple)
        and bool(index.elts)
        and (index.lineno, index.col_offset) == (index.elts[0].lineno, index.elts[0].col_offset)
    )


def _all_below(statement: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Each node below a statement, but not those in its blocks."""
    todo = [statement]
    while todo:
        node = todo.pop()
        yield node
        if node is statement or not isinstance(node, _BLOCK_NODES):
            todo.extend(node.children)


class _Source:
    """The lines as the interpreter counts them."""

    def __init__(self, lines: Sequence[str]) -> None:
        text = "".join(lines).removeprefix("\ufeff")
        self._lines = re.split(r"\r\n|\r|\n", text)

    def place(self, node: Any, part: str = "", name: cst.CSTNode | None = None) -> Place:
        """Where *node* begins, or the *part* of it that is the LibCST node *name*."""
        node = getattr(node, "pattern", node)
        line, column = node.lineno, node.col_offset
        if isinstance(name, cst.Name):
            if part == "attr" and isinstance(node, ast.Attribute):
                line, column = node.end_lineno, node.end_col_offset or 0
                column -= len(name.value.encode())
            elif part == "name" and (begin := _DEFINITION.match(self._bytes(line), column)):
                column = begin.end()
        return line, len(self._bytes(line)[:column].decode(errors="ignore"))

    def _bytes(self, line: int) -> bytes:
        return self._lines[line - 1].encode() if 0 < line <= len(self._lines) else b""
