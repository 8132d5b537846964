"""Files that are hard to read, through the real flake8: with the plugin, and without it.

What flake8 says without the plugin it says with it, be it reports or an error of its own; and what
the plugin adds is the trap, or the reason why it can't look for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from linting import TRAP, Report, reports_by_file

#: flake8's main function, after something else was done.
_MAIN = "import sys; from flake8.main.cli import main; sys.exit(main(sys.argv[1:]))"
_WITHOUT_PLUGIN = f"""\
import importlib.metadata as metadata
found = metadata.distributions
metadata.distributions = lambda: (
    each for each in found() if each.metadata["name"] != "flake8-mppitfalls"
)
{_MAIN}
"""
#: A plugin that gives the rights of the user away when everything is loaded.
_GIVES_RIGHTS_AWAY = """\
import importlib, os, pkgutil
from flake8_mppitfalls import project
from flake8_mppitfalls.rules import registry

class Plugin:
    name, version = "rights", "1"

    def __init__(self, tree):
        pass

    @staticmethod
    def parse_options(options):
        registry.all_rules()
        for module in pkgutil.iter_modules(project.__path__):
            importlib.import_module(f"flake8_mppitfalls.project.{module.name}")
        if os.geteuid() == 0:
            os.seteuid(65534)

    def run(self):
        return []
"""
#: A plugin that takes the whole project away while it is linted.
_TAKES_FILES_AWAY = """\
import shutil

class Plugin:
    name, version = "vanish", "1"

    def __init__(self, tree):
        shutil.rmtree("project", ignore_errors=True)

    def run(self):
        return []
"""


def run(
    *arguments: str, cwd: Path, main: str = _MAIN, other_plugin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run flake8, perhaps with a plugin that comes before ours; no signal may end it."""
    options = ["--select=MPP,E9,F", "-j1", "--isolated"]
    if other_plugin:
        (cwd / "other_plugin.py").write_text(other_plugin, encoding="utf-8")
        (cwd / "config").write_text(
            "[flake8:local-plugins]\nextension =\n    AAA = other_plugin:Plugin\npaths = .\n",
            encoding="utf-8",
        )
        options[-1] = "--config=config"
    done = subprocess.run(
        [sys.executable, "-c", main, *options, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", "MPPITFALLS_DEBUG": ""},
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1), f"{done.returncode}: {done.stderr[-1000:]}"
    return done


def ours(reports: list[Report]) -> list[tuple[int, int, str]]:
    return [tuple(report) for report in reports if report.code.startswith("MPP")]  # type: ignore[misc]


def others(output: str) -> list[str]:
    return [line for line in output.splitlines() if ": MPP" not in line]


FOUND = [(6, 18, "MPP201")]
REASON = [(1, 1, "MPP001")]


def after(more: str) -> bytes:
    """The trap, and more code below it."""
    return (TRAP + more).encode()


# --- encodings, ends of lines, and syntax: one run of flake8 over all ----------------------------

FILES: dict[str, tuple[bytes, list[tuple[int, int, str]]]] = {
    "utf-8": (TRAP.encode(), FOUND),
    "utf-8, byte order mark": (TRAP.encode("utf-8-sig"), FOUND),
    "byte order mark and coding line": (
        ("# coding: utf-8\n" + TRAP).encode("utf-8-sig"),
        [(7, 18, "MPP201")],
    ),
    "latin-1": (
        ("# coding: latin-1\n" + TRAP.replace("rows", "r\xf6ws")).encode("latin-1"),
        [(7, 18, "MPP201")],
    ),
    "latin-1 that does not say so": (TRAP.replace("rows", "r\xf6ws").encode("latin-1"), FOUND),
    "unknown coding": (("# coding: klingon\n" + TRAP).encode(), [(7, 18, "MPP201")]),
    "cp1252": (
        ("# coding: cp1252\n" + TRAP.replace("3]", "'\u20ac']")).encode("cp1252"),
        [(7, 18, "MPP201")],
    ),
    "CRLF": (TRAP.replace("\n", "\r\n").encode(), FOUND),
    "lone CR": (TRAP.replace("\n", "\r").encode(), FOUND),
    "CR, LF and both": (TRAP.replace("\n", "\r\n", 2).replace("\n\n", "\r\n").encode(), FOUND),
    "form feed": (TRAP.replace("\n\n", "\n\x0c\n").encode(), FOUND),
    "form feed before code": (TRAP.replace("if ", "\x0cif ").encode(), FOUND),
    "vertical tab and others in strings": (
        TRAP.replace("rows = [", "'''\x0b\x1c\x1d\x85\u2028'''; rows = [").encode(),
        FOUND,
    ),
    "tabs": (TRAP.replace("    ", "\t").encode(), [(6, 12, "MPP201")]),
    "no final newline": (TRAP.rstrip("\n").encode(), FOUND),
    "ends in a backslash": (after("\\"), []),
    "ends in an indented comment": (after("        # multiprocessing"), FOUND),
    "empty": (b"", []),
    "one line end": (b"\n", []),
    "only a byte order mark": (b"\xef\xbb\xbf", []),
    "only comments": (b"# multiprocessing\n# from multiprocessing import Pool", []),
    "only a docstring": (b'"""from multiprocessing import Pool"""', []),
    "identifiers that are not ASCII": (
        TRAP.replace("rows", "größe_ñ").replace("pool.map(", "größe_ñ, pool.map(").encode(),
        [(6, 27, "MPP201")],
    ),
    "identifiers beyond 16 bits": (
        TRAP.replace("        pool.map(", "        '\U0001f40d', pool.map(").encode(),
        [(6, 23, "MPP201")],
    ),
    "identifiers that are normalised": (
        TRAP.replace("rows", "ﬁle").replace("pool.map(", "ﬁle, pool.map(").encode(),
        [(6, 23, "MPP201")],
    ),
    "combining marks": (
        TRAP.replace("pool.map(", "'e\u0301', pool.map(").encode(),
        [(6, 24, "MPP201")],
    ),
    "line continuations": (
        TRAP.replace("pool.map(", "pool \\\n . \\\n map( \\\n      ").encode(),
        [(9, 7, "MPP201")],
    ),
    "continued in brackets": (
        TRAP.replace("pool.map(", "pool.map(  # (\n\n      ").encode(),
        [(8, 7, "MPP201")],
    ),
    "match": (
        after("match rows:\n    case [Pool(), *_] | {'a': 1, **others}: pass\n    case _: pass\n"),
        FOUND,
    ),
    "except*": (after("try: pass\nexcept* ValueError as error: print(error)\n"), FOUND),
    "type parameters": (
        after("def f[T: (int, str), *Ts, **P](x: T) -> T: return x\nclass A[T]: pass\n"),
        FOUND,
    ),
    "type statements": (after("type A[T] = list[T]\ntype = 1\n"), FOUND),
    "f-strings in f-strings": (
        after("print(f\"{f'{rows!r:>{2}}'}\", f'''{\nrows\n}''', f'{{}}{rows=}')\n"),
        FOUND,
    ),
    "the same quotes in f-strings": (
        after('print(f"{"a" + f"{rows["b"]}"}", f"{\'\\n\'.join(rows)}")\n'),
        FOUND,
    ),
    "positional-only parameters": (after("def f(a, /, b, *, c): return lambda d, /: d\n"), FOUND),
    "async comprehensions": (
        after("async def f(a): return [x async for x in a if await x], {x async for x in a}\n"),
        FOUND,
    ),
    "walrus": (after("print([y := 1, y**2], (z := [w for w in (v := rows)]))\n"), FOUND),
    "decorator of any expression": (after("@(lambda f: f)\n@rows[0].a\ndef f(): pass\n"), FOUND),
    "with in parentheses": (after("with (open('a') as a, open('b') as b):\n    pass\n"), FOUND),
    "return and await outside of functions": (after("await rows\nyield rows\n"), FOUND),
    "stars": (after("a, *b = *rows, *rows\nprint(*a, **b)\nx[a, *b]\n"), FOUND),
    "print of Python 2": (after("print rows\n"), []),
    "exec and backquotes of Python 2": (after("exec 'a' in b\nprint `a`\n"), []),
    "tabs and spaces mixed": (after("if rows:\n        a = 1\n\tb = 2\n"), []),
    "not closed": (after("print(\n"), []),
    "octal of Python 2": (after("a = 0777\n"), []),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What flake8 prints about all the files, with the plugin and without it."""
    folder = tmp_path_factory.mktemp("files")
    for number, (data, _) in enumerate(FILES.values()):
        (folder / f"f{number:03}.py").write_bytes(data)
    outputs = []
    for main in (_MAIN, _WITHOUT_PLUGIN):
        done = run(cwd=folder, main=main)
        assert done.stderr == ""
        outputs.append(done.stdout)
    return outputs[0], outputs[1]


def test_the_plugin_can_be_left_out(both: tuple[str, str]) -> None:
    assert ": MPP201 " in both[0]
    assert ": MPP" not in both[1]


def test_what_flake8_says_itself_stays(both: tuple[str, str]) -> None:
    assert others(both[0]) == both[1].splitlines()


@pytest.mark.parametrize("name", FILES)
def test_files(both: tuple[str, str], name: str) -> None:
    _, expected = FILES[name]
    path = f"./f{list(FILES).index(name):03}.py"
    reports, alone = (reports_by_file(output).get(path, []) for output in both)
    if {report.code for report in alone} & {"E902", "E999"}:
        assert expected == [] or sys.version_info < (3, 12), "only old interpreters refuse it"
        expected = []
    assert ours(reports) == expected


# --- deep, large and binary: a run for each, as flake8 itself may fail ----------------------------

#: What stands below the trap, and the reports that there are if flake8 itself does not fail.
DEEP = {
    "190 parentheses": ("x = " + "(" * 190 + ")" * 190, FOUND),
    "95 blocks": ("".join(f"{' ' * n}if x:\n" for n in range(95)) + " " * 95 + "pass\n", FOUND),
    "95 functions": (
        "".join(f"{' ' * n}def f():\n" for n in range(95)) + " " * 95 + "pass\n",
        FOUND,
    ),
    "95 classes": ("".join(f"{' ' * n}class A:\n" for n in range(95)) + " " * 95 + "x\n", FOUND),
    "300 elif": ("if x: pass\n" + "elif x: pass\n" * 300, FOUND),
    "600 terms": ("x = " + " and ".join(["rows"] * 600), FOUND),
    "5,000 terms": ("x = " + " and ".join(["rows"] * 5_000), REASON),
    "20,000 terms": ("x = " + " and ".join(["rows"] * 20_000), REASON),
    "20,000 sums": ("x = " + " + ".join(["rows"] * 20_000), REASON),
    "800 calls": ("x = rows" + "()" * 800, FOUND),
    "800 methods": ("x = (rows" + "\n.f(0)" * 800 + ")", FOUND),
    "90 lambdas": ("x = " + "lambda: " * 90 + "rows", FOUND),
    "5,000 strings": ("x = (" + "\n'a'" * 5_000 + ")", REASON),
    "5,000 f-strings": ("x = (" + "\nf'{rows}'" * 5_000 + ")", REASON),
    "a line of 1 MB, a list": ("x = [" + f"'{'a' * 1_000}', " * 1_000 + "]", FOUND),
    "a line of 1 MB, a string": ("x = '" + "a" * 1_000_000 + "'", FOUND),
    "a line of 1 MB, a comment": ("# " + "a" * 1_000_000, FOUND),
}


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The type of the error that ended flake8, if one did."""
    return done.stderr.splitlines()[-1].partition(":")[0] if done.stderr else ""


def check_alone(folder: Path, data: bytes, expected: list[tuple[int, int, str]]) -> None:
    """Look at one file, with the plugin and without it."""
    (folder / "hard.py").write_bytes(data)
    alone = run(cwd=folder, main=_WITHOUT_PLUGIN)
    with_plugin = run(cwd=folder)
    assert error_of(with_plugin) == error_of(alone)
    assert others(with_plugin.stdout) == alone.stdout.splitlines()
    codes = {report.code for report in reports_by_file(alone.stdout).get("./hard.py", [])}
    if alone.stderr or "failed during execution" in alone.stdout or codes & {"E902", "E999"}:
        expected = []
    assert ours(reports_by_file(with_plugin.stdout).get("./hard.py", [])) == expected


@pytest.mark.parametrize("name", DEEP)
def test_deep_and_large(tmp_path: Path, name: str) -> None:
    more, expected = DEEP[name]
    check_alone(tmp_path, after(more), expected)


@pytest.mark.parametrize(
    "data",
    [
        TRAP.encode("utf-16"),
        TRAP.encode("utf-16-le"),
        TRAP.encode("utf-32"),
        after("x = '\0'\n"),
        after("# \0\n"),
        b"\0" + TRAP.encode(),
    ],
    ids=["utf-16", "utf-16 without a mark", "utf-32", "null", "null in a comment", "null first"],
)
def test_null_bytes(tmp_path: Path, data: bytes) -> None:
    check_alone(tmp_path, data, [])


@pytest.mark.slow
def test_more_lines_than_can_be_analysed(tmp_path: Path) -> None:
    (tmp_path / "hard.py").write_bytes(after("#\n" * 200_000))
    done = run(cwd=tmp_path)
    assert done.stderr == ""
    assert ours(reports_by_file(done.stdout)["./hard.py"]) == REASON


# --- files and folders ---------------------------------------------------------------------------

ENTRY = "import work\n\nif __name__ == '__main__':\n    work.run()\n"
WORK = TRAP.replace('if __name__ == "__main__":', "def run():")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may go into; pytest's are for its own user alone."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for path in folder.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such rights here")
def test_what_may_not_be_read(open_folder: Path) -> None:
    for name, text in {
        "main.py": ENTRY,
        "trap.py": TRAP,
        "work/__init__.py": WORK,
        "work/inner.py": TRAP,
        "pyproject.toml": "[tool.x]\n",
        "packaging/main.spec": "Analysis(['../main.py'])",
        "scripts/build.sh": "pyinstaller main.py",
        "Makefile": "exe:\n\tpyinstaller main.py\n",
    }.items():
        (open_folder / name).parent.mkdir(exist_ok=True)
        (open_folder / name).write_text(text, encoding="utf-8")
    for name in ("work", "packaging", "scripts", "pyproject.toml", "Makefile"):
        (open_folder / name).chmod(0)
    files = ["main.py", "trap.py", "work/inner.py"]
    done = run(*files, cwd=open_folder, other_plugin=_GIVES_RIGHTS_AWAY)
    assert done.stderr == ""
    found = reports_by_file(done.stdout)
    assert ours(found.pop("trap.py")) == FOUND
    assert {path: {report.code for report in each} for path, each in found.items()} == {
        "work/inner.py": {"E902"}
    }


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "work").mkdir(parents=True)
    (project / "setup.cfg").touch()
    (project / "main.py").write_text(ENTRY, encoding="utf-8")
    (project / "trap.py").write_text(TRAP, encoding="utf-8")
    (project / "work" / "__init__.py").write_text(WORK, encoding="utf-8")
    files = ["project/trap.py", "project/main.py", "project/gone.py"]
    done = run(*files, cwd=tmp_path, other_plugin=_TAKES_FILES_AWAY)
    assert done.stderr == ""
    assert not project.exists()
    found = reports_by_file(done.stdout)
    assert ours(found.pop("project/trap.py")) == FOUND
    assert {report.code for each in found.values() for report in each} == {"E902"}


def test_links_that_lead_in_a_circle(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in (".git", "pyproject.toml", "setup.cfg", "scripts", "Makefile"):
        (folder / name).symlink_to(name)
    (folder / "setup.py").symlink_to("setup.cfg")
    (folder / "packaging").symlink_to(folder, target_is_directory=True)
    (folder / "work").symlink_to(folder, target_is_directory=True)
    (folder / "main.py").write_text(ENTRY, encoding="utf-8")
    (folder / "trap.py").write_text(TRAP, encoding="utf-8")
    files = ["main.py", "trap.py", "work/work/main.py", "work/packaging/work/trap.py"]
    done = run("--mpp-frozen=auto", *files, cwd=folder)
    assert done.stderr == ""
    assert {path: ours(each) for path, each in reports_by_file(done.stdout).items()} == {
        "trap.py": FOUND,
        "work/packaging/work/trap.py": FOUND,
    }
