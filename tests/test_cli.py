"""The command mppitfalls, as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flake8_mppitfalls import __version__
from flake8_mppitfalls.cli import main
from flake8_mppitfalls.rules import registry

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "flake8_mppitfalls"]
UNSET = ("NO_COLOR", "FORCE_COLOR", "PYTHONUNBUFFERED")


def environment(**changes: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in UNSET}
    return {**plain, "PYTHONUTF8": "1", "TERM": "xterm", **changes}


def command(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(**changes),
        timeout=60,
        check=False,
    )


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )


def test_explain() -> None:
    run = command("explain", "MPP403")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("MPP403 pool-exits-with-pending-work\n\nThe `with` block of a ")
    assert "\n        pool.close()\n        pool.join()\n" not in run.stdout
    assert "\n            pool.close()\n            pool.join()\n" in run.stdout
    assert run.stdout.endswith("`Pool.__exit__`.\n")


def test_several_by_code_and_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "mpp404", "lambda-to-worker", "Pool_Not_Joined", "MPP404"]) == 0
    out = capsys.readouterr().out
    heads = [line for line in out.splitlines() if line.startswith("MPP")]
    assert heads == [
        "MPP404 join-before-close",
        "MPP201 lambda-to-worker",
        "MPP401 pool-not-joined",
    ]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        (
            "mpp43",
            "did you mean MPP403 (pool-exits-with-pending-work) or MPP413 (shared-memory-leak)?",
        ),
        ("pool-not-join", "did you mean MPP401 (pool-not-joined)?"),
        ("403", "did you mean MPP403 (pool-exits-with-pending-work)?"),
        ("xyz", "'mppitfalls rules' lists them all"),
        ("", "'mppitfalls rules' lists them all"),
    ],
)
def test_near_names(name: str, advice: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", name]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error == f"mppitfalls: there is no rule {name!r}: {advice}\n"


def test_what_is_known_is_explained_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "MPP999", "MPP404"]) == 1
    out, error = capsys.readouterr()
    assert out.startswith("MPP404 join-before-close\n")
    assert "'MPP999'" in error


def test_rules() -> None:
    run = command("rules")
    assert (run.returncode, run.stderr) == (0, "")
    lines = {line[:6]: line for line in run.stdout.splitlines() if line.startswith("MPP")}
    assert list(lines) == [rule.code for rule in registry.all_rules()]
    assert lines["MPP401"].split()[1:3] == ["pool-not-joined", "on"]
    assert lines["MPP402"].split()[1:4] == ["pool-not-closed", "part", "opt-in"]
    assert lines["MPP606"].split()[1:3] == ["error-callback-always", "opt-in"]
    assert "\nErrors that vanish\nMPP601" in run.stdout


def test_version() -> None:
    run = command("--version")
    assert (run.returncode, run.stdout) == (0, f"mppitfalls {__version__}\n")


@pytest.mark.parametrize("arguments", [(), ("explain",), ("rules", "MPP401"), ("mend",)])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    run = command(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("usage: mppitfalls")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("explain", "--help"), ()])
def test_libcst_is_not_imported_in_vain(arguments: tuple[str, ...]) -> None:
    run = run_python(
        "import atexit, sys; atexit.register(lambda: print([m for m in sys.modules if m =="
        f" 'libcst' or 'rules' in m])); sys.argv = ['mppitfalls', *{arguments!r}];"
        " from flake8_mppitfalls.cli import main; main()"
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_flake8_does_not_import_the_command() -> None:
    heavy = ("libcst", *(f"flake8_mppitfalls.{name}" for name in ("cli", "pages", "rules")))
    run = run_python(
        f"import atexit, sys; atexit.register(lambda: print([m for m in sys.modules"
        f" if m.startswith({heavy!r})])); sys.argv = ['flake8', '--version'];"
        " from flake8.main.cli import main; main()"
    )
    assert "flake8-mppitfalls" in " ".join(run.stdout.split())
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("changes", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_in_a_pipe(changes: dict[str, str], coloured: bool) -> None:
    for arguments in (("explain", "MPP404"), ("rules",)):
        assert ("\x1b[" in command(*arguments, **changes).stdout) is coloured


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(
    ("changes", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_in_a_terminal(changes: dict[str, str], coloured: bool) -> None:
    import pty

    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "explain", "MPP404"], stdout=child, env=environment(**changes)
    )
    os.close(child)
    shown = b""
    try:
        while part := os.read(parent, 1 << 16):
            shown += part
    except OSError:
        pass  # Linux says so when the process has ended.
    os.close(parent)
    assert process.wait(60) == 0
    assert (b"\x1b[" in shown) is coloured
    assert b"join-before-close" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such error")
def test_a_reader_that_goes_away() -> None:
    process = subprocess.Popen(
        [*COMMAND, "explain", *(rule.code for rule in registry.all_rules())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1


def test_a_stream_that_lacks_a_character() -> None:
    run = subprocess.run(
        [*COMMAND, "explain", "MPP302"],
        capture_output=True,
        env=environment(PYTHONUTF8="0", PYTHONIOENCODING="ascii"),
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"MPP302" in run.stdout
