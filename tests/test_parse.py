"""LibCST's tree of any source: or a reason why there is none, and never the end of the process."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import threading

import libcst as cst
import pytest

from flake8_mppitfalls.syntax import parse as parse_module
from flake8_mppitfalls.syntax.parse import MAX_CHARACTERS, MAX_LINES, MAX_NESTING, Unparsable, parse

#: Chains whose length both parsers feel, as deep as the interpreter of any version takes them.
CHAINS = {
    "and": lambda n: "x = " + " and ".join(["a"] * n),
    "or over lines": lambda n: "x = (" + "\n or ".join(["a"] * n) + ")",
    "strings": lambda n: "x = (" + "\n".join(["'a'"] * n) + ")",
    "f-strings": lambda n: "x = (" + "\n".join(["f'{a}'"] * n) + ")",
    "plus": lambda n: "x = " + " + ".join(["a"] * n),
    "power": lambda n: "x = " + "**".join(["a"] * n),
    "not": lambda n: "x = " + "not " * n + "a",
    "lambda": lambda n: "x = " + "lambda: " * n + "a",
    "if else": lambda n: "x = " + "a if b else " * n + "c",
    "calls": lambda n: "x = f" + "()" * n,
    "attributes": lambda n: "x = a" + ".b" * n,
    "methods": lambda n: "x = (a" + "\n.b()" * n + ")",
    "items": lambda n: "x = a" + "[0]" * n,
    "elif": lambda n: "if a: pass\n" + "elif b: pass\n" * n,
    "comprehension": lambda n: "x = [a" + " for a in b" * n + "]",
    "dotted import": lambda n: "import a" + ".a" * n,
    "decorator": lambda n: "@a" + ".a" * n + "\ndef f(): pass",
    "default": lambda n: "def f(x=a" + ".a" * n + "): pass",
    "with": lambda n: "with a" + ".a" * n + ": pass",
    "case": lambda n: "match a:\n    case a" + ".a" * n + ": pass",
    "except": lambda n: "try: pass\nexcept a" + ".a" * n + ": pass",
}

#: Too long to be parsed on the stack of the caller.
LONG = "x = 1\n" * 1_000


def parsed(source: str) -> cst.Module:
    return parse(io.StringIO(source).readlines(), ast.parse(source))


@pytest.mark.parametrize("name", CHAINS)
def test_chains_that_people_write(name: str) -> None:
    source = CHAINS[name](190)
    assert parsed(source).code == source


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("links", [5_000, 20_000])
def test_chains_that_would_overflow_the_stack(name: str, links: int) -> None:
    source = CHAINS[name](links)
    try:
        tree = ast.parse(source)
    except (RecursionError, MemoryError):
        pytest.skip("the interpreter does not take it: flake8 never asks us")
    with pytest.raises(Unparsable, match=r"nested|cannot parse"):
        parse(io.StringIO(source).readlines(), tree)


def test_the_limit_of_nesting() -> None:
    assert parsed("x = " + " and ".join(["a"] * (MAX_NESTING - 10)))
    with pytest.raises(Unparsable, match="nested over 2,000 levels deep"):
        parsed("x = " + " and ".join(["a"] * (MAX_NESTING + 10)))


def test_what_is_long_but_not_deep() -> None:
    assert parsed("x = [" + "a, " * 10_000 + "]")
    assert parsed("x = '''" + "'\" #\n" * 10_000 + "'''")
    assert parsed("x = 1\n" * 5_000)
    assert parsed("class A:\n" + "    def f(self): return self.a.b.c()\n" * 2_000)


#: As deep as a short file can be, in the brackets and operators that take most of the stack.
DEEPEST_SHORT = {
    "brackets": "(" * 190 + "1" + ")" * 190,
    "lambdas": "lambda:" * 350 + "0",
    "signs": "-" * 1_900 + "1",
    "sums": "1" + "+1" * 1_900,
    "methods": "a" + ".a" * 1_900,
    "blocks": "".join(" " * n + "if 1:\n" for n in range(80)) + " " * 80 + "0\n",
}
PARSE_ON_HALF_THE_STACK = """
import io, resource, sys
resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
import ast
from flake8_mppitfalls.syntax import parse
parse._has_usual_stack = lambda: True
for source in ast.literal_eval(sys.stdin.read()):
    parse.parse(io.StringIO(source).readlines(), ast.parse(source))
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there, each file is parsed in a thread")
def test_short_files_have_room_on_half_the_usual_stack() -> None:
    sources = list(DEEPEST_SHORT.values())
    assert max(map(len, sources)) <= parse_module._SHORT
    run = subprocess.run(
        [sys.executable, "-c", PARSE_ON_HALF_THE_STACK],
        input=repr(sources),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "done\n", (run.returncode, run.stderr)


#: What LibCST reads again for each bracket around it: the statement, and how deep is still quick.
READ_AGAIN = {
    "tuples": ("case {}: pass", "(", ",)", 9),
    "brackets": ("case {}: pass", "(", ")", 9),
    "lists": ("case {}: pass", "[", "]", 18),
    "classes": ("case {}: pass", "A(", ")", 17),
    "keywords": ("case {}: pass", "A(b=", ")", 16),
    "mappings": ("case {}: pass", "{1: ", "}", 9),
    "alternatives": ("case {}: pass", "(1 | ", ")", 8),
    "strings": ("case {}: pass", '("))", ', ")", 7),
    "lines": ("case {}: pass", "(\n", ",\n)", 8),
    "del": ("del {}", "(", ",)", 17),
    "del over lines": ("del \\\n{}", "(", ",\n)", 16),
    "del behind something": ("a = 1; del {}", "(", ",)", 17),
}


@pytest.mark.parametrize("name", READ_AGAIN)
def test_patterns_that_libcst_reads_again_and_again(name: str) -> None:
    statement, begin, end, deep = READ_AGAIN[name]

    def source(depth: int) -> str:
        text = statement.format(begin * depth + "x" + end * depth)
        return f"match y:\n    {text}\n" if text.startswith("case") else f"{text}\n"

    assert parsed(source(deep)).code == source(deep)
    for depth in (deep + 3, 60):
        with pytest.raises(Unparsable, match="its patterns are nested so deeply"):
            parsed(source(depth))


def test_patterns_that_people_write() -> None:
    case = 'case {"a": {"b": [(1, 2), Point(x=Name("x"), y=0) | None], **rest}} if f((x), [(y)]):'
    source = "match y:\n" + f"    {case}\n        del a[(b, c)], (d, (e, [f]))\n" * 100
    assert parsed(source).code == source


def test_brackets() -> None:
    for begin, end in ("()", "[]", ("f(", ")"), ("{0: ", "}"), ("(yield ", ")")):
        source = "def g():\n    x = " + begin * 190 + "a" + end * 190
        assert parsed(source).code == source


def test_blocks() -> None:
    for head in ("if a:", "def f():", "class A:", "while a:", "with a:"):
        source = "".join(f"{' ' * n}{head}\n" for n in range(95)) + " " * 95 + "pass\n"
        assert parsed(source).code == source


def test_the_file_can_be_too_large() -> None:
    pass_ = ast.parse("pass")
    with pytest.raises(Unparsable, match="larger than 120,000 lines or 4,000,000 characters"):
        parse(["pass\n"] * (MAX_LINES + 1), pass_)
    with pytest.raises(Unparsable, match="larger than 120,000 lines or 4,000,000 characters"):
        parse(["#" * MAX_CHARACTERS + "\n"], pass_)


def test_what_only_the_interpreter_can_parse() -> None:
    with pytest.raises(Unparsable, match="LibCST cannot parse line 2, though Python can"):
        parsed("x = 1\n(y): int = 2\n")
    with pytest.raises(Unparsable, match="LibCST failed with CSTValidationError"):
        parsed("try: pass\nexcept: pass\nexcept: pass\n")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\n",
        "# only a comment",
        "x = 1",
        "x = 1\r\ny = 2\r\n",
        "x = 1\ry = 2\r",
        "x = 1\n\x0c\ny = 2\n",
        "\x0cx = 1\n",
        "def f():\n\tif x:\n\t\treturn 1\n",
        "if x:\n        y = 1\n\tz = 2\n",
        "# -*- coding: latin-1 -*-\nx = 'é'\n",
        "größe = 'ß'\nprint(größe)\n",
        "x = [\n    1,  # \N{SNOWMAN}\n]\n",
        "x = 1 \\\n    + 2\n",
        "x = '''a\r\nb\rc'''\n",
    ],
)
def test_ends_of_lines_and_encodings(source: str) -> None:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        pytest.skip("this interpreter refuses it")
    module = parse(io.StringIO(source).readlines(), tree)
    assert len(module.body) == len(tree.body)
    # LibCST leaves out a form feed at the beginning, and a lone CR at the end.
    assert ast.dump(ast.parse(module.code)) == ast.dump(tree)


def test_byte_order_mark() -> None:
    assert parse(["\ufeffx = 1\n"], ast.parse("x = 1\n")).code == "x = 1\n"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RecursionError(), "nested too deeply for LibCST"),
        (TypeError("no"), "LibCST failed with TypeError"),
        (BaseException("a panic in native code"), "LibCST failed with BaseException"),
    ],
)
def test_errors_of_libcst_are_reasons(
    error: BaseException, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: str) -> None:
        raise error

    monkeypatch.setattr(cst, "parse_module", fail)
    for source in ("x = 1\n", LONG):
        with pytest.raises(Unparsable, match=reason):
            parsed(source)


def test_who_interrupts_flake8_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(source: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cst, "parse_module", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parsed("x = 1\n")


def test_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = threading.stack_size()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(Unparsable, match="can't start new thread"):
        parsed(LONG)
    assert threading.stack_size() == before


def test_the_stack_size_of_other_threads_stays() -> None:
    before = threading.stack_size()
    parsed(LONG)
    assert threading.stack_size() == before
