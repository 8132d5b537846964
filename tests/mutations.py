"""Makes programs out of the fixtures that nobody would write.

Lines, blocks, tokens, names and expressions are left out, doubled, swapped, moved, renamed,
wrapped, or taken from another fixture, as long as the interpreter parses what comes out.
"""

from __future__ import annotations

import ast
import collections
import io
import random
import re
import tokenize
import warnings
from collections.abc import Callable
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def parsed(source: str) -> ast.Module | None:
    """The interpreter's tree, if there is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def fixtures() -> list[str]:
    """The sources of all fixtures that this interpreter parses."""
    sources = []
    for path in sorted(FIXTURES.rglob("*.py")):
        with tokenize.open(path) as file:
            sources.append(file.read())
    return [source for source in sources if parsed(source)]


class Mutator:
    """Makes programs out of other programs; the same seed makes the same."""

    def __init__(self, seed: int, sources: list[str]) -> None:
        self.random = random.Random(seed)
        self._sources = sources
        names = (name for source in sources for name in re.findall(r"\b[a-zA-Z_]\w*", source))
        counts = collections.Counter(names)
        self._vocabulary = [name for name, _ in counts.most_common(400)]

    def mutant(self) -> str:
        """A fixture with some mutations."""
        while True:
            source = self.random.choice(self._sources)
            for _ in range(self.random.choice((1, 1, 2, 3, 5, 8, 13))):
                mutated = self.random.choice(_MUTATIONS)(self, source)
                if mutated != source and len(mutated) < 20_000 and parsed(mutated):
                    source = mutated
            if source not in self._sources:
                return source

    def with_meaning(self, source: str) -> str:
        """The source with an import of processes, and with names that the fixtures have."""
        if self.random.random() < 0.5:
            for _, begin, end, _ in reversed(self._tokens(source, tokenize.NAME)):
                source = source[:begin] + self.random.choice(self._vocabulary) + source[end:]
        heads = (
            "import multiprocessing\nmultiprocessing.Pool()\n",
            "from multiprocessing import *\n",
            "import multiprocessing as mp, concurrent.futures\nmp.Process(target=mp)\n",
        )
        return self.random.choice(heads) + source

    # Lines and blocks.

    def _cut(self, source: str) -> str:
        """The file ends early, or begins late, perhaps in the middle of a line."""
        at = self.random.randrange(len(source) + 1)
        return source[:at] if self.random.random() < 0.7 else source[at:]

    def _delete_line(self, source: str) -> str:
        lines = source.splitlines(keepends=True)
        if lines:
            del lines[self.random.randrange(len(lines))]
        return "".join(lines)

    def _double_line(self, source: str) -> str:
        lines = source.splitlines(keepends=True)
        if lines:
            at = self.random.randrange(len(lines))
            lines.insert(at, lines[at])
        return "".join(lines)

    def _swap_lines(self, source: str) -> str:
        lines = source.splitlines(keepends=True)
        if lines:
            a, b = self.random.randrange(len(lines)), self.random.randrange(len(lines))
            indents = [re.match(r"[ \t]*", lines[i])[0] for i in (a, b)]  # type: ignore[index]
            lines[a], lines[b] = (
                indents[0] + lines[b].lstrip(" \t"),
                indents[1] + lines[a].lstrip(" \t"),
            )
        return "".join(lines)

    def _shift_line(self, source: str) -> str:
        lines = source.splitlines(keepends=True)
        if lines:
            at = self.random.randrange(len(lines))
            lines[at] = lines[at][4:] if self.random.random() < 0.5 else "    " + lines[at]
        return "".join(lines)

    def _block(self, source: str) -> tuple[list[str], list[str], list[str]]:
        """The lines before a statement with all that is in it, its own, and those after."""
        lines = source.splitlines(keepends=True) or [""]
        begin = self.random.randrange(len(lines))
        end = begin + 1
        while end < len(lines) and (
            not lines[end].strip() or _indent(lines[end]) > _indent(lines[begin])
        ):
            end += 1
        return lines[:begin], lines[begin:end], lines[end:]

    def _delete_block(self, source: str) -> str:
        before, block, after = self._block(source)
        gap = [" " * _indent(block[0]) + "pass\n"] if self.random.random() < 0.5 else []
        return "".join((*before, *gap, *after))

    def _double_block(self, source: str) -> str:
        before, block, after = self._block(source)
        return "".join((*before, *block * self.random.choice((2, 3)), *after))

    def _shift_block(self, source: str) -> str:
        before, block, after = self._block(source)
        by = self.random.choice((-8, -4, 4, 8))
        return "".join((*before, *_shifted(block, by), *after))

    def _move_block(self, source: str) -> str:
        """A block of this program, or of another one, stands elsewhere."""
        _, block, _ = self._block(self.random.choice((source, self.random.choice(self._sources))))
        before, there, after = self._block(source)
        here = _shifted(block, _indent(there[0]) - _indent(block[0]))
        keep = self.random.choice(([], there))
        return "".join((*before, *here, *keep, *after))

    def _wrap_block(self, source: str) -> str:
        before, block, after = self._block(source)
        space = " " * _indent(block[0])
        name, other = self.random.choices(self._vocabulary, k=2)
        head, tail = self.random.choice(_WRAPPERS)
        return "".join(
            (
                *before,
                f"{space}{head.format(name, other)}:\n",
                *_shifted(block, 4),
                f"{space}{tail.format(name, other)}\n" if tail else "",
                *after,
            )
        )

    # Tokens, names and expressions.

    def _tokens(self, source: str, *types: int) -> list[tuple[int, int, int, str]]:
        """Type, begin, end and text of the tokens (of these types), white space left out."""
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        found = []
        try:
            for token in tokenize.generate_tokens(io.StringIO(source).readline):
                if token.string.strip() and token.type in (types or _TYPES):
                    begin = starts[token.start[0] - 1] + token.start[1]
                    found.append((token.type, begin, begin + len(token.string), token.string))
        except (tokenize.TokenError, SyntaxError, IndexError):
            pass
        return [token for token in found if source[token[1] : token[2]] == token[3]]

    def _swap_tokens(self, source: str) -> str:
        tokens = self._tokens(source)
        if not tokens:
            return source
        kind, begin, end, text = self.random.choice(tokens)
        alike = [token for token in tokens if token[0] == kind and token[3] != text]
        if not alike:
            return source
        _, begin2, end2, text2 = self.random.choice(alike)
        (begin, end, text), (begin2, end2, text2) = sorted(
            ((begin, end, text), (begin2, end2, text2))
        )
        return source[:begin] + text2 + source[end:begin2] + text + source[end2:]

    def _delete_token(self, source: str) -> str:
        tokens = self._tokens(source)
        if not tokens:
            return source
        _, begin, end, _ = self.random.choice(tokens)
        return source[:begin] + source[end:]

    def _double_token(self, source: str) -> str:
        tokens = self._tokens(source)
        if not tokens:
            return source
        _, _, end, text = self.random.choice(tokens)
        return f"{source[:end]} {text} {source[end:]}"

    def _replace_token(self, source: str) -> str:
        tokens = self._tokens(source)
        if not tokens:
            return source
        kind, begin, end, _ = self.random.choice(tokens)
        words = {
            tokenize.NAME: self._vocabulary + list(_KEYWORDS),
            tokenize.NUMBER: ["0", "-1", "1e9", "10 ** 9", "1j", "0.5", "None"],
            tokenize.STRING: [
                "''",
                "'spawn'",
                "'fork'",
                "b'x'",
                "f'{pool}'",
                "'%s' % pool",
                "('a' 'b')",
            ],
        }.get(kind, _OPERATORS)
        return source[:begin] + self.random.choice(words) + source[end:]

    def _rename(self, source: str) -> str:
        """One name becomes another everywhere, perhaps one that is there already."""
        names = [text for *_, text in self._tokens(source, tokenize.NAME)]
        names = [name for name in names if name not in _KEYWORDS]
        if not names:
            return source
        old = self.random.choice(names)
        new = self.random.choice((self.random.choice(names), self.random.choice(self._vocabulary)))
        return re.sub(rf"\b{old}\b", new, source)

    def _expressions(self, source: str) -> list[tuple[int, int]]:
        """Where expressions of one line begin and end."""
        tree = parsed(source)
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        return [
            (starts[node.lineno - 1] + node.col_offset, starts[node.lineno - 1] + end)
            for node in (ast.walk(tree) if tree and source.isascii() else ())
            if isinstance(node, ast.expr)
            and node.lineno == node.end_lineno <= len(starts)
            and (end := node.end_col_offset) is not None
        ]

    def _replace_expression(self, source: str) -> str:
        """An expression of this program, or of another one, stands in the place of another one."""
        other = self.random.choice((source, self.random.choice(self._sources)))
        places, others = self._expressions(source), self._expressions(other)
        if not places or not others:
            return source
        begin, end = self.random.choice(places)
        begin2, end2 = self.random.choice(others)
        old, new = source[begin:end], other[begin2:end2]
        form = self.random.choice(_FORMS)
        return source[:begin] + form.format(new=new, old=old) + source[end:]

    def _end_lines_otherwise(self, source: str) -> str:
        return source.replace("\n", self.random.choice(("\r\n", "\n\n", "\n\x0c\n", "  # é\n")))


_MUTATIONS: tuple[Callable[[Mutator, str], str], ...] = (
    Mutator._cut,
    Mutator._delete_line,
    Mutator._double_line,
    Mutator._swap_lines,
    Mutator._swap_lines,
    Mutator._shift_line,
    Mutator._delete_block,
    Mutator._double_block,
    Mutator._shift_block,
    Mutator._move_block,
    Mutator._move_block,
    Mutator._move_block,
    Mutator._wrap_block,
    Mutator._wrap_block,
    Mutator._swap_tokens,
    Mutator._swap_tokens,
    Mutator._swap_tokens,
    Mutator._delete_token,
    Mutator._double_token,
    Mutator._replace_token,
    Mutator._replace_token,
    Mutator._rename,
    Mutator._rename,
    Mutator._replace_expression,
    Mutator._replace_expression,
    Mutator._replace_expression,
    Mutator._end_lines_otherwise,
)
_TYPES = (tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP)
_OPERATORS = (
    *"+-*/%=<>.,:;()[]{}|&~@",
    *("**", "//", "->", ":=", "==", "!=", "+=", "|=", " and ", " or ", " in ", " is not ", "..."),
)
_KEYWORDS = (
    *("None", "True", "False", "and", "or", "not", "in", "is", "if", "else", "lambda", "await"),
    *("yield", "del", "global", "nonlocal", "return", "raise", "break", "continue", "pass"),
    *("with", "while", "for", "async", "def", "class", "try", "except", "finally", "from"),
    *("import", "as", "assert", "elif", "match", "case", "type"),
)
_WRAPPERS = (
    ("if {0}", ""),
    ("if {0}", "else: {1}()"),
    ("if not ({0} := {1})", ""),
    ("while True", ""),
    ("while {0}", "else: {1} = {0}"),
    ("for {0} in {1}", ""),
    ("for {0}, *{1} in {1}", "else: raise"),
    ("try", "except {0} as {1}: raise {1} from {0}"),
    ("try", "finally: {0}.{1}()"),
    ("try", "except: pass"),
    ("with {0} as {1}", ""),
    ("with {0}, {1}() as {0}", ""),
    ("def {0}({1}, *, {0}={1})", ""),
    ("def {0}({1}=None)", "{0}({1})"),
    ("async def {0}(*{1}, **{0})", ""),
    ("class {0}({1})", ""),
    ("class {0}({0}, metaclass={1})", ""),
    ("match {0}:\n  case {1}({0}) if {0}", ""),
)
_FORMS = (
    *["{new}"] * 8,
    "({new})",
    "({old} or {new})",
    "({old} if {new} else {old})",
    "(lambda: {new})",
    "{old}({new})",
    "({new}).get({old})",
    "[{new}, {old}]",
    "[{new} for {old} in {old}]",
    "(yield {new})",
    "(x := {new})",
    "*{new}",
    "{old}[{new}]",
)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _shifted(lines: list[str], by: int) -> list[str]:
    if by >= 0:
        return [" " * by + line if line.strip() else line for line in lines]
    return [line[min(-by, _indent(line)) :] for line in lines]
