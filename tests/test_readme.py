"""What the README promises."""

from __future__ import annotations

import ast
import configparser
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from linting import messages, settings
from readme import README, ROOT, block, blocks
from run_fixture import end_group

#: The languages of the code blocks: each has a test below, or elsewhere.
LANGUAGES = set("console elisp ini json lua python starlark text toml vim yaml".split())


def test_the_example() -> None:
    found = messages(block("before"), filename="squares.py")
    reports = "".join(f"squares.py:{line}:{column + 1}: {text}\n" for line, column, text in found)
    assert reports == block("reports")
    assert messages(block("after"), filename="squares.py") == []


def test_the_example_hangs(tmp_path: Path) -> None:
    script = tmp_path / "squares.py"
    script.write_text(block("before"), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(5)
    finally:
        end_group(process)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read() == b""


@pytest.mark.parametrize(
    ("mark", "change"), [("before", ("100_000", "100")), ("after", ("100_000", "100_000"))]
)
def test_the_example_runs(tmp_path: Path, mark: str, change: tuple[str, str]) -> None:
    script = tmp_path / "squares.py"
    script.write_text(block(mark).replace(*change), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{int(change[1])} squares\n"
    assert done.stderr == ""


def test_the_table_of_the_rules() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from readme_table import renewed
    finally:
        sys.path.pop(0)
    assert renewed(README) == README, "python scripts/readme_table.py makes it new"


def test_the_options() -> None:
    assert set(re.findall(r"^\| `--(mpp-[a-z-]+)` \|", README, re.MULTILINE)) == {
        f"mpp-{name.replace('_', '-')}" for name in vars(settings())
    }


def test_the_command() -> None:
    [command] = re.findall(r"^mppitfalls (.+)$", "".join(blocks("console")), re.MULTILINE)
    subprocess.run(
        [sys.executable, "-m", "flake8_mppitfalls", *command.split()],
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )


def test_the_links_into_the_repository() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_languages() -> None:
    assert set(re.findall(r"^```(\w+)$", README, re.MULTILINE)) == LANGUAGES


@pytest.mark.parametrize("text", blocks("json"))
def test_json_parses(text: str) -> None:
    assert json.loads(text)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_parses(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(text)


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_parses(text: str) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("tomllib is new in Python 3.11")
    assert importlib.import_module("tomllib").loads(text)


@pytest.mark.parametrize("text", blocks("ini"))
def test_ini_parses(text: str) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    options = [f"--{name}={value}" for name, value in parser["flake8"].items()]
    assert settings(*options) != settings()


@pytest.mark.parametrize("text", blocks("starlark"))
def test_starlark_parses(text: str) -> None:
    """Starlark is Python's syntax, or less."""
    assert ast.parse(text).body


@pytest.mark.parametrize("text", blocks("lua"))
def test_lua_parses(tmp_path: Path, text: str) -> None:
    parser = next(filter(None, map(shutil.which, ("luac", "luac5.4", "luac5.3"))), None)
    if parser is None:
        pytest.skip("there is no luac")
    script = tmp_path / "init.lua"
    script.write_text(text, encoding="utf-8")
    subprocess.run([parser, "-p", script], timeout=60, check=True)


@pytest.mark.parametrize("text", blocks("elisp"))
def test_elisp_parses(text: str) -> None:
    emacs = shutil.which("emacs")
    if emacs is None:
        pytest.skip("there is no Emacs")
    subprocess.run([emacs, "-Q", "--batch", "--eval", f"(quote {text})"], timeout=60, check=True)
