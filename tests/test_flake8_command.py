"""The real flake8 with the plugin, as users run it: a subprocess in a folder of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from linting import TRAP, flake8, reports, reports_by_file

from flake8_mppitfalls import __version__

FOUND = (6, 18, "MPP201")
UNPARSABLE = TRAP + "(limit): int = 2\n"
#: Sets a value that only a switched-on rule, or part of one, objects to.
OPT_IN_TRAP = """\
import multiprocessing

if __name__ == "__main__":
    with multiprocessing.Pool(multiprocessing.cpu_count() - 1) as pool:
        print(pool.map(abs, range(4)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a script that has one trap, and one that uses no processes."""
    (tmp_path / "trap.py").write_text(TRAP, encoding="utf-8")
    (tmp_path / "plain.py").write_text("print('no processes here')\n", encoding="utf-8")
    return tmp_path


def lines_of(run: subprocess.CompletedProcess[str]) -> list[str]:
    assert run.stderr == ""
    return run.stdout.splitlines()


def usage_error(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    usage, _, error = run.stderr.partition("flake8: error: ")
    assert usage.startswith("usage: flake8")
    return error.strip()


def test_a_finding(folder: Path) -> None:
    run = flake8("--select=MPP", cwd=folder)
    [line] = lines_of(run)
    assert line.startswith(f".{Path('/trap.py')}:6:18: MPP201 ")
    assert run.returncode == 1


def test_nothing_found(folder: Path) -> None:
    run = flake8("--select=MPP", "plain.py", cwd=folder)
    assert lines_of(run) == []
    assert run.returncode == 0


def test_on_by_default(folder: Path) -> None:
    assert reports(flake8("trap.py", cwd=folder)) == [FOUND]


def test_version(folder: Path) -> None:
    assert f"flake8-mppitfalls: {__version__}" in " ".join(
        flake8("--version", cwd=folder).stdout.split()
    )


def test_help(folder: Path) -> None:
    text = " ".join(flake8("--help", cwd=folder).stdout.split())
    for option in (
        "--mpp-start-methods METHODS",
        "--mpp-frozen {auto,yes,no}",
        "--mpp-max-workers N",
        "--mpp-opt-in CODES",
    ):
        assert option in text
    for default in ("(Default: fork,forkserver,spawn)", "(Default: auto)", "(Default: 61)"):
        assert default in text


@pytest.mark.parametrize(
    ("comment", "silenced"),
    [
        ("# noqa", True),
        ("# noqa: MPP201", True),
        ("# noqa: E501,MPP201", True),
        ("# noqa: MPP", True),
        ("# noqa: MPP202", False),
        ("# noqa: E501", False),
    ],
)
def test_noqa(folder: Path, comment: str, silenced: bool) -> None:
    (folder / "trap.py").write_text(TRAP.rstrip("\n") + f"  {comment}\n", encoding="utf-8")
    assert reports(flake8("--select=MPP", cwd=folder)) == ([] if silenced else [FOUND])
    assert reports(flake8("--select=MPP", "--disable-noqa", cwd=folder)) == [FOUND]


def test_noqa_for_a_file(folder: Path) -> None:
    (folder / "trap.py").write_text("# flake8: noqa: MPP201\n" + TRAP, encoding="utf-8")
    assert reports(flake8("--select=MPP", cwd=folder)) == []


@pytest.mark.parametrize(
    "options",
    [
        ["--extend-ignore=MPP201"],
        ["--extend-ignore=MPP2"],
        ["--ignore=MPP"],
        ["--per-file-ignores=trap.py:MPP201"],
        ["--per-file-ignores=*.py:MPP"],
        ["--select=E,W,F"],
        ["--extend-exclude=trap.py"],
    ],
)
def test_left_out(folder: Path, options: list[str]) -> None:
    assert reports(flake8(*options, cwd=folder)) == []


@pytest.mark.parametrize(
    "options", [["--extend-ignore=MPP202"], ["--per-file-ignores=plain.py:MPP201"]]
)
def test_not_left_out(folder: Path, options: list[str]) -> None:
    assert reports(flake8(*options, cwd=folder)) == [FOUND]


def test_standard_input(folder: Path) -> None:
    run = flake8("--select=MPP", "-", cwd=folder, stdin=TRAP)
    [line] = lines_of(run)
    assert line.startswith("stdin:6:18: MPP201 ")
    run = flake8("--select=MPP", "--stdin-display-name=a/b.py", "-", cwd=folder, stdin=TRAP)
    [line] = lines_of(run)
    assert line.startswith("a/b.py:6:18: MPP201 ")


def test_several_processes(folder: Path) -> None:
    for number in range(8):
        (folder / f"copy{number}.py").write_text("\n" * number + TRAP, encoding="utf-8")
    run = flake8("--select=MPP", "-j2", "--mpp-max-workers=3", cwd=folder)
    assert run.stderr == ""
    expected = {f"./copy{n}.py": [(6 + n, 18, "MPP201")] for n in range(8)}
    found = {path.replace("\\", "/"): each for path, each in reports_by_file(run.stdout).items()}
    assert found == {**expected, "./trap.py": [FOUND]}


def test_options_reach_the_other_processes(folder: Path) -> None:
    for number in range(8):
        (folder / f"copy{number}.py").write_text(OPT_IN_TRAP, encoding="utf-8")
    (folder / "trap.py").unlink()
    assert lines_of(flake8("--select=MPP", "-j2", cwd=folder)) == []
    run = flake8("--select=MPP", "-j2", "--mpp-opt-in=MPP502", cwd=folder)
    assert len(lines_of(run)) == 8


def test_show_source(folder: Path) -> None:
    report, source, mark = lines_of(flake8("--select=MPP", "--show-source", cwd=folder))
    assert "MPP201" in report
    assert source == TRAP.splitlines()[5]
    assert mark == " " * 17 + "^"


def test_opt_in(folder: Path) -> None:
    (folder / "trap.py").write_text(OPT_IN_TRAP, encoding="utf-8")
    found = [(4, 31, "MPP502")]
    assert reports(flake8("--select=MPP", cwd=folder)) == []
    assert reports(flake8("--select=MPP502", cwd=folder)) == []
    assert reports(flake8("--select=MPP", "--mpp-opt-in=MPP502", cwd=folder)) == found
    assert reports(flake8("--select=MPP502", "--mpp-opt-in=all", cwd=folder)) == found
    assert reports(flake8("--select=MPP", "--mpp-opt-in=MPP402,MPP804", cwd=folder)) == []


CONFIGURED_TRAP = """\
from multiprocessing import Pool, cpu_count

if __name__ == "__main__":
    with Pool(5) as pool:
        print(pool.map(abs, range(4)))
    with Pool(cpu_count() - 1) as pool:
        print(pool.map(abs, range(4)))
    with Pool(2) as pool:
        print(pool.map(lambda number: -number, range(4)))
"""


@pytest.mark.parametrize("name", ["setup.cfg", "tox.ini", ".flake8"])
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("mpp-frozen = yes", [(3, 1, "MPP102")]),
        ("mpp_frozen = yes", [(3, 1, "MPP102")]),
        ("mpp-frozen = no", []),
        ("mpp-max-workers = 4", [(4, 15, "MPP501")]),
        ("mpp-opt-in =\n    MPP402,\n    MPP502", [(6, 15, "MPP502")]),
        ("mpp-opt-in = all", [(6, 15, "MPP502")]),
        ("mpp-frozen = yes\nmpp-start-methods = fork", []),
        ("mpp-frozen = yes\nmpp-start-methods = fork, spawn", [(3, 1, "MPP102")]),
    ],
)
def test_configuration_file(
    folder: Path, name: str, line: str, found: list[tuple[int, int, str]]
) -> None:
    (folder / "trap.py").write_text(CONFIGURED_TRAP, encoding="utf-8")
    (folder / name).write_text(f"[flake8]\n{line}\n", encoding="utf-8")
    always = [(9, 24, "MPP201")]
    select = "--select=MPP102,MPP201,MPP501,MPP502"
    assert sorted(reports(flake8(select, cwd=folder))) == found + always
    assert reports(flake8(select, "--isolated", cwd=folder)) == always
    # The command line has the last word.
    options = ["--mpp-frozen=no", "--mpp-max-workers=61", "--mpp-opt-in="]
    assert reports(flake8(select, *options, cwd=folder)) == always


WRONG = [
    ("mpp-start-methods", "thread", "unknown start method 'thread'", "fork, forkserver, spawn"),
    ("mpp-start-methods", "", "no start method given", "fork, forkserver, spawn"),
    ("mpp-frozen", "maybe", "unknown value 'maybe'", "auto, yes, no"),
    ("mpp-max-workers", "many", "'many' is no worker count", "a whole number, 1 or more"),
    ("mpp-max-workers", "0", "'0' is no worker count", "a whole number, 1 or more"),
    ("mpp-opt-in", "MPP201", "unknown opt-in code 'MPP201'", "all, or some of MPP402, MPP405"),
]


@pytest.mark.parametrize(("option", "value", "problem", "allowed"), WRONG)
def test_wrong_value_on_the_command_line(
    folder: Path, option: str, value: str, problem: str, allowed: str
) -> None:
    error = usage_error(flake8(f"--{option}={value}", cwd=folder))
    assert error.startswith(f"argument --{option}: {problem}")
    assert allowed in error


@pytest.mark.parametrize("name", ["setup.cfg", "tox.ini", ".flake8"])
@pytest.mark.parametrize(("option", "value", "problem", "allowed"), WRONG)
def test_wrong_value_in_a_configuration_file(
    folder: Path, name: str, option: str, value: str, problem: str, allowed: str
) -> None:
    (folder / name).write_text(f"[flake8]\n{option} = {value}\n", encoding="utf-8")
    error = usage_error(flake8(cwd=folder))
    assert error.startswith(f"argument --{option}: {problem}")
    assert allowed in error


def test_a_file_that_flake8_cannot_parse(folder: Path) -> None:
    (folder / "trap.py").write_text(TRAP + "def broken(:\n", encoding="utf-8")
    found = reports(flake8("--select=MPP,E9", cwd=folder))
    assert [report.code for report in found] == ["E999"]
    # This is why E9 is selected too.
    assert reports(flake8("--select=MPP", cwd=folder)) == []


def test_a_file_that_libcst_cannot_parse(folder: Path) -> None:
    (folder / "trap.py").write_text(UNPARSABLE, encoding="utf-8")
    run = flake8("--select=MPP,E9", cwd=folder)
    [line] = lines_of(run)
    assert re.search(r"trap\.py:1:1: MPP001 .*LibCST cannot parse line 7", line)
    assert run.returncode == 1
    (folder / "trap.py").write_text(UNPARSABLE.replace("Pool", "cpu_count"), encoding="utf-8")
    assert reports(flake8("--select=MPP,E9", cwd=folder)) == []


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    run = flake8("--select=MPP,E9", "gone.py", "trap.py", cwd=folder)
    found = reports_by_file(run.stdout)
    assert [report.code for report in found["gone.py"]] == ["E902"]
    assert found["trap.py"] == [FOUND]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (TRAP.encode("utf-8-sig"), [FOUND]),
        (TRAP.replace("\n", "\r\n").encode(), [FOUND]),
        (TRAP.replace("\n", "\r").encode(), [FOUND]),
        (TRAP.rstrip("\n").encode(), [FOUND]),
        (
            b"# coding: latin-1\n" + TRAP.replace("rows", "r\xf6ws").encode("latin-1"),
            [(7, 18, "MPP201")],
        ),
        (TRAP.replace("\n\n", "\n\x0c\n").encode(), [FOUND]),
        (
            TRAP.replace("        pool.map(", "        '\xe9\u2603', pool.map(").encode(),
            [(6, 24, "MPP201")],
        ),
        (TRAP.replace("pool.map(", "pool.map( \\\n      ").encode(), [(7, 7, "MPP201")]),
        (TRAP.replace("    ", "\t").encode(), [(6, 12, "MPP201")]),
        (b"", []),
        (b"# multiprocessing\n", []),
    ],
    ids=[
        "byte order mark",
        "CRLF",
        "lone CR",
        "no final newline",
        "latin-1",
        "form feed",
        "not ASCII",
        "continued line",
        "tabs",
        "empty",
        "comment",
    ],
)
def test_encodings_and_ends_of_lines(
    folder: Path, data: bytes, found: list[tuple[int, int, str]]
) -> None:
    (folder / "trap.py").write_bytes(data)
    assert reports(flake8("--select=MPP,E9", cwd=folder)) == found
