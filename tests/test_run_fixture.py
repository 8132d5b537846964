"""The runner of the fixtures sees what happens, and nothing slips through it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from fixture_header import Header, HeaderError, find_fixtures, parse_header, read_header
from run_fixture import (
    Limits,
    Run,
    StoppedError,
    group_lives,
    main,
    problems,
    report,
    run_fixture,
)

SHORT = Limits(ends=10.0, hangs=0.5)
STARTS = ("fork", "forkserver", "spawn")

PRINTS = "# start: fork\n# prints: ^all 3 done$\nprint('all', 3, 'done')\n"
RAISES = "# start: fork\n# raises: ^ValueError: no \\d+\nraise ValueError('no 7')\n"
HANGS = (
    "# start: fork\n# hangs: waiting\nimport time\nprint('waiting', flush=True)\ntime.sleep(60)\n"
)
LOSES = "# start: fork\n# loses: ^0 of 4$\nprint('0 of 4')\n"


def write(folder: Path, text: str, name: str = "program.py") -> Header:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return read_header(path)


def run_text(folder: Path, text: str, start: str = "fork") -> tuple[Header, Run]:
    header = write(folder, text)
    return header, run_fixture(header, start, SHORT)


@pytest.mark.parametrize("text", [PRINTS, RAISES, HANGS, LOSES])
def test_right_header_is_confirmed(tmp_path: Path, text: str) -> None:
    header, run = run_text(tmp_path, text)
    assert problems(header, run) == []


@pytest.mark.parametrize(
    ("header", "program", "problem"),
    [
        (PRINTS, RAISES, "ended with status 1"),
        (PRINTS, RAISES, "there is a traceback"),
        (PRINTS, RAISES, "nothing like"),
        (PRINTS, LOSES, "nothing like"),
        (RAISES, PRINTS, "nothing like"),
        (HANGS, PRINTS, "it should hang, but it ended with status 0"),
        (HANGS, RAISES, "it should hang, but it ended with status 1"),
        (LOSES, PRINTS, "nothing like"),
    ],
)
def test_wrong_header_is_refuted(tmp_path: Path, header: str, program: str, problem: str) -> None:
    head = [line for line in header.splitlines() if line.startswith("#")]
    body = [line for line in program.splitlines() if not line.startswith("#")]
    read, run = run_text(tmp_path, "\n".join(head + body) + "\n")
    assert any(problem in found for found in problems(read, run)), problems(read, run)


@pytest.mark.parametrize("kind", ["raises", "loses", "leaks", "slower", "prints"])
def test_a_program_that_should_end_and_hangs_is_refuted(tmp_path: Path, kind: str) -> None:
    text = HANGS.replace("hangs", kind)
    header = write(tmp_path, text)
    run = run_fixture(header, "fork", Limits(ends=1.5))
    assert "still running" in problems(header, run)[0]


def test_a_hanging_program_must_print_what_it_should(tmp_path: Path) -> None:
    header = write(tmp_path, HANGS.replace("hangs: waiting", "hangs: never printed"))
    run = run_fixture(header, "fork", Limits(ends=1.5))
    assert not run.ended
    assert "nothing like 'never printed'" in problems(header, run)[0]


def test_a_silent_hanging_program_gets_the_long_limit(tmp_path: Path) -> None:
    slow = "# start: fork\n# hangs:\nimport time\ntime.sleep(1)\n"
    header = write(tmp_path, slow)
    run = run_fixture(header, "fork", Limits(ends=10.0, hangs=0.1))
    assert run.ended
    assert problems(header, run)


def test_an_exit_status_alone_is_enough_to_refute(tmp_path: Path) -> None:
    text = "# start: fork\n# prints: done\nimport sys\nprint('done')\nsys.exit(3)\n"
    header, run = run_text(tmp_path, text)
    assert problems(header, run) == ["all should be well, but it ended with status 3"]


@pytest.mark.parametrize("start", STARTS)
def test_start_method_is_the_default_in_parent_and_child(tmp_path: Path, start: str) -> None:
    text = f"""\
# start: {start}
# prints: ^parent {start}$
# prints: ^child {start}$
import multiprocessing

def tell(who):
    print(who, multiprocessing.get_start_method(), flush=True)

if __name__ == "__main__":
    child = multiprocessing.Process(target=tell, args=("child",))
    child.start()
    child.join()
    tell("parent")
"""
    header, run = run_text(tmp_path, text, start)
    assert problems(header, run) == [], run.output


def test_the_program_can_still_choose_its_start_method(tmp_path: Path) -> None:
    text = (
        "# start: spawn\n# prints: ^fork$\nimport multiprocessing\n"
        "multiprocessing.set_start_method('fork')\nprint(multiprocessing.get_start_method())\n"
    )
    header, run = run_text(tmp_path, text, "spawn")
    assert problems(header, run) == [], run.output


def test_program_is_alone_with_its_arguments_and_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-q")
    text = """\
# start: fork
# argv: --limit 2 "two words"
# stdin: first
# stdin:
# stdin: third
# prints: ^\\[\\]$
# prints: ^\\['--limit', '2', 'two words'\\]$
# prints: ^'first\\\\n\\\\nthird\\\\n'$
# prints: ^no PYTEST$
import os, sys
print(os.listdir())
print(sys.argv[1:])
print(repr(sys.stdin.read()))
print("PYTEST" if any("PYTEST" in name for name in os.environ) else "no PYTEST")
"""
    header, run = run_text(tmp_path, text)
    assert problems(header, run) == [], run.output


def test_without_input_stdin_is_empty(tmp_path: Path) -> None:
    header, run = run_text(tmp_path, "# start: fork\n# raises: ^EOFError\ninput()\n")
    assert problems(header, run) == [], run.output


def test_folder_is_run_as_a_package(tmp_path: Path) -> None:
    folder = tmp_path / "trap_package"
    text = (
        "# start: fork\n# raises: trap_package 5\n"
        "from .part import FIVE\nprint(__package__, FIVE)\n"
    )
    write(folder, text, "__main__.py")
    (folder / "part.py").write_text("FIVE = 5\n", encoding="utf-8")
    header = read_header(folder)
    assert problems(header, run_fixture(header, "fork", SHORT)) == []


@pytest.mark.parametrize("stubborn", [False, True])
def test_nothing_is_left_behind(tmp_path: Path, stubborn: bool) -> None:
    """Neither by a program that is stopped nor by one that ended before its child."""
    text = f"""\
# start: fork
# leaks: ^group \\d+$
import os, signal, sys, time
print("group", os.getpgrp(), flush=True)
if os.fork() == 0:
    if {stubborn}:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
"""
    header, run = run_text(tmp_path, text)
    assert problems(header, run) == []
    group = int(run.output.split()[1])
    assert group != os.getpgrp()
    deadline = time.monotonic() + 5
    while group_lives(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not group_lives(group)


def test_output_of_a_child_that_outlives_the_program_counts(tmp_path: Path) -> None:
    text = (
        "# start: fork\n# raises: ^late$\nimport os, time\n"
        "if os.fork() == 0:\n    time.sleep(0.5)\n    print('late', flush=True)\nos._exit(0)\n"
    )
    header, run = run_text(tmp_path, text)
    assert problems(header, run) == [], run.output


def test_named_semaphores_of_a_stopped_program_are_freed(tmp_path: Path) -> None:
    text = """\
# start: spawn
# hangs: ^lock
import multiprocessing, time
lock = multiprocessing.Lock()
print("lock", lock._semlock.name, flush=True)
time.sleep(60)
"""
    shm = Path("/dev/shm")
    if not shm.is_dir():
        pytest.skip("semaphores can't be seen on this platform")
    header, run = run_text(tmp_path, text, "spawn")
    assert problems(header, run) == [], run.output
    name = run.output.split()[1].removeprefix("/")
    assert not (shm / f"sem.{name}").exists()


def test_a_run_can_be_given_up(tmp_path: Path) -> None:
    header = write(tmp_path, HANGS)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        run_fixture(header, "fork", SHORT, stop)


def test_report_has_the_output(tmp_path: Path) -> None:
    header, run = run_text(tmp_path, RAISES)
    text = report(header, "fork", run)
    assert "program.py under fork" in text
    assert "| ValueError: no 7" in text


def test_command_says_what_was_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, PRINTS, "MPP000/right_a.py")
    write(tmp_path, PRINTS.replace("prints", "raises"), "MPP000/trap_b.py")
    write(tmp_path, LOSES.replace("'0 of 4'", "'1 of 4'"), "MPP000/trap_c.py")
    (tmp_path / "MPP000" / "trap_d.py").write_text("print('no header')\n", encoding="utf-8")
    assert main([str(tmp_path / "MPP000"), "--quiet"]) == 1
    printed = capsys.readouterr().out
    assert "ok    MPP000/right_a.py fork" in printed
    assert "trap_c.py under fork:\n  loses: its output has nothing like '^0 of 4$'" in printed
    assert "    | 1 of 4" in printed
    assert "neither 'start' nor 'not run'" in printed
    assert "3 runs, 2 wrong" in printed
    assert main([str(tmp_path / "MPP000" / "right_a.py"), "--start", "spawn"]) == 0
    assert "right_a.py under spawn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("print()\n", "neither 'start' nor 'not run'"),
        ("\n# start: fork\n# prints: a\n", "neither 'start' nor 'not run'"),
        ("# start: fork\n", "nothing says what is seen"),
        ("# start: fork\n# print: a\n", "unknown key 'print'"),
        ("# Start: fork\n# prints: a\n", "unknown key 'Start'"),
        ("# start: fork\n# start: spawn\n# prints: a\n", "'start' is given twice"),
        ("# start: thread\n# prints: a\n", "unknown start method 'thread'"),
        ("# start: fork, fork\n# prints: a\n", "a start method is given twice"),
        ("# start:\n# prints: a\n", "'start' is empty"),
        ("# start: fork\n# prints:\n", "'prints' is empty"),
        ("# start: fork\n# prints: (\n", "no regular expression"),
        ("# start: fork\n# hangs: a\n# raises: b\n", "'hangs'"),
        ("# start: fork\n# prints: a\n# loses: b\n", "'prints'"),
        ("# not run: needs Windows\n# start: fork\n# prints: a\n", "'not run' together"),
        ("# not run: needs Windows\n# raises: b\n", "'not run' together"),
        ("# start: fork\n# python: 3.12\n# prints: a\n", "'python' is not a list"),
        ("# start: fork\n# python: >=3.12 or so\n# prints: a\n", "'python' is not a list"),
        ("# start: fork\n# argv: 'open\n# prints: a\n", "can't be split"),
    ],
)
def test_header_is_strict(text: str, problem: str) -> None:
    with pytest.raises(HeaderError, match=problem):
        parse_header(Path("program.py"), text)


def test_kind_must_fit_the_name() -> None:
    good = "# start: fork\n# prints: a\n"
    bad = "# start: fork\n# loses: a\n"
    parse_header(Path("right_a.py"), good)
    parse_header(Path("trap_a.py"), bad)
    with pytest.raises(HeaderError, match="a right fixture says 'prints'"):
        parse_header(Path("right_a.py"), bad)
    with pytest.raises(HeaderError, match="needs a comment or docstring that says why"):
        parse_header(Path("trap_a.py"), good)
    parse_header(Path("trap_a.py"), good + "# CPython waits for its workers anyway.\n")
    parse_header(Path("trap_a.py"), good + '"""CPython waits for its workers anyway."""\n')


def test_header_is_read_whole() -> None:
    header = parse_header(
        Path("trap_a.py"),
        "#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\n# options: --mpp-frozen=yes -j1\n"
        "# start: fork, spawn\n# python: >=3.11, <3.14\n# raises: Error: a\n# raises: ^b\n"
        "# loses: c\nprint()\n# start: ignored, this is no header any more\n",
    )
    assert header.options == ("--mpp-frozen=yes", "-j1")
    assert header.starts == ("fork", "spawn")
    assert [(e.kind, e.pattern.pattern) for e in header.expectations] == [
        ("raises", "Error: a"),
        ("raises", "^b"),
        ("loses", "c"),
    ]
    assert [header.runs_on((3, minor)) for minor in (10, 11, 13, 14)] == [False, True, True, False]
    assert header.stdin is None
    assert not header.hangs
    assert parse_header(Path("a.py"), "# not run: Windows only\n").not_run == "Windows only"


def test_unreadable_fixture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "trap_empty").mkdir()
    with pytest.raises(HeaderError, match="can't be read"):
        read_header(tmp_path / "trap_empty")


def test_fixtures_are_found(tmp_path: Path) -> None:
    for name in ("MPP000/trap_a.py", "MPP000/right_b/__main__.py", "frozen/trap_c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "MPP000" / "notes.txt").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_fixtures(tmp_path)]
    assert found == ["MPP000/right_b", "MPP000/trap_a.py"]
