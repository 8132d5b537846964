"""Source text to LibCST's tree, without ever taking the interpreter down.

LibCST's parser is native and recursive. A long chain of operators overflows the C stack, and the
process is gone: no exception, nothing to catch. So the nesting is measured first, on the tree that
flake8 has, and the parser runs in a thread whose stack is known to be large enough on every
platform, unless the file is too short to need more than there is.
"""

from __future__ import annotations

import ast
import re
import sys
import threading
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import libcst as cst

from flake8_mppitfalls.syntax.backtracking import takes_too_long

try:
    import resource
except ImportError:  # Windows, and small builds of Python
    resource = None  # type: ignore[assignment]

#: A larger file takes LibCST over a gigabyte of memory, and a quarter of a minute.
MAX_LINES = 120_000
MAX_CHARACTERS = 4_000_000

#: How deep expressions and statements may be nested. Seen with LibCST 1.5 and 1.9: chains of
#: operators, calls, attributes and elif cost about 1.3 KB of stack for each link; brackets 7 KB,
#: of which the interpreter takes no more than 200; chains of implicitly joined strings, and of
#: "for" in a comprehension, end in an ordinary error after 3,000. It is time that sets the limit:
#: most chains cost LibCST time in the square of their length, 1 to 7 seconds for 2,000 links.
MAX_NESTING = 2_000

#: Several times what that needs: 2,000 links in an expression below 2,000 times elif, and 200
#: brackets, come to 7 MB.
_STACK = 32 * 1024 * 1024

#: A file of so many characters has no room for nesting that takes more than half of the usual
#: stack. It is parsed without a thread, which takes longer to start than a small file to parse.
_SHORT = 4_000
_USUAL_STACK = 7 * 1024 * 1024

#: The fields of a statement that hold further statements.
_BLOCKS = frozenset({"body", "orelse", "handlers", "finalbody", "cases"})


class Unparsable(Exception):
    """The source cannot be analysed; the text says why."""


def parse(lines: Sequence[str], tree: ast.AST) -> cst.Module:
    """LibCST's tree of the source *lines*, of which *tree* is the interpreter's."""
    source = "".join(lines).removeprefix("\ufeff")
    if len(source) > MAX_CHARACTERS or len(lines) > MAX_LINES:
        raise Unparsable(f"it is larger than {MAX_LINES:,} lines or {MAX_CHARACTERS:,} characters")
    if _is_nested_too_deeply(source, tree):
        raise Unparsable(f"an expression or statement is nested over {MAX_NESTING:,} levels deep")
    if takes_too_long(source):
        raise Unparsable("its patterns are nested so deeply that LibCST would hardly end")
    if len(source) <= _SHORT and _has_usual_stack():
        result = _result(source)
    else:
        result = _result_on_large_stack(source)
    if isinstance(result, cst.Module):
        return result
    if isinstance(result, cst.ParserSyntaxError):
        raise Unparsable(f"LibCST cannot parse line {result.raw_line}, though Python can")
    if isinstance(result, RecursionError):
        raise Unparsable("the code is nested too deeply for LibCST")
    raise Unparsable(f"LibCST failed with {type(result).__name__}") from result


def _result(source: str) -> cst.Module | BaseException:
    try:
        return cst.parse_module(source)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of native code is no Exception
        return error


def _result_on_large_stack(source: str) -> cst.Module | BaseException:
    outcome: list[cst.Module | BaseException] = []
    thread = threading.Thread(
        target=lambda: outcome.append(_result(source)), name="flake8-mppitfalls-parse", daemon=True
    )
    before = threading.stack_size(_STACK)
    try:
        thread.start()
    except RuntimeError as error:
        raise Unparsable(f"no room for LibCST's stack: {error}") from error
    finally:
        threading.stack_size(before)
    thread.join()
    return outcome[0]


def _has_usual_stack() -> bool:
    """Is this the main thread, with the 8 MB of stack that Linux and macOS give it?"""
    if threading.current_thread() is not threading.main_thread():
        return False
    if sys.platform != "win32" and resource is not None:
        limit, _ = resource.getrlimit(resource.RLIMIT_STACK)
        return limit == resource.RLIM_INFINITY or limit > _USUAL_STACK
    return False


def _is_nested_too_deeply(source: str, tree: ast.AST) -> bool:
    """Whether anything in *tree* is nested deeper than LibCST's parser can take.

    Nothing has more levels than characters, so only what is long is looked into.
    """
    lines = re.split(r"\r\n|\r|\n", source)
    ends = [0, *accumulate(len(line) + 1 for line in lines)]
    blocks: list[tuple[Any, int]] = [(tree, 0)]
    while blocks:
        block, depth = blocks.pop()
        if depth > MAX_NESTING:
            return True
        inner, own = _parts(block)
        if _depth(own) > MAX_NESTING:
            return True
        for node in inner:
            first, last = _lines_of(node)
            if ends[last] - ends[first - 1] > MAX_NESTING:
                blocks.append((node, depth + 1))
    return False


def _lines_of(node: Any) -> tuple[int, int]:
    """The first line and the last of a statement or a case of ``match``."""
    if isinstance(node, ast.match_case):
        return node.pattern.lineno, (node.body[-1].end_lineno or node.body[-1].lineno)
    decorators = getattr(node, "decorator_list", None)
    return (decorators[0] if decorators else node).lineno, node.end_lineno


def _parts(block: ast.AST) -> tuple[list[Any], list[Any]]:
    """What stands in the blocks of a statement, and its own expressions."""
    inner: list[Any] = []
    own: list[Any] = []
    for name, value in ast.iter_fields(block):
        if isinstance(value, list):
            (inner if name in _BLOCKS else own).extend(value)
        elif isinstance(value, ast.AST):
            own.append(value)
    return inner, own


def _depth(nodes: Iterable[object]) -> int:
    """How deep the deepest of the expressions *nodes* is for LibCST."""
    deepest = 0
    todo = [(node, 1) for node in nodes if isinstance(node, ast.AST)]
    while todo:
        node, depth = todo.pop()
        if isinstance(node, ast.BoolOp):
            depth += len(node.values)
        elif isinstance(node, ast.alias):
            depth += node.name.count(".")
        deepest = max(deepest, depth)
        todo.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
    return deepest
