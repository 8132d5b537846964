"""The flake8 face: cheap where there is nothing to do, and never in the way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import libcst as cst
import pytest
from linting import TRAP, lint, messages

from flake8_mppitfalls import analysis, project
from flake8_mppitfalls.plugin import DEBUG_VARIABLE, Plugin
from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.rules.base import Finding, Rule

DEEP_TRAP = f"import multiprocessing\nmultiprocessing.Pool()\nx = {' and '.join('a' * 5000)}\n"
#: LibCST takes no annotated name in parentheses.
UNPARSABLE_TRAP = TRAP + "(limit): int = 2\n"


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_a_finding() -> None:
    assert lint(TRAP) == [(6, 18, "MPP201")]
    [(line, column, text, kind)] = Plugin(
        ast.parse(TRAP), TRAP.splitlines(keepends=True), "program.py"
    ).run()
    assert (line, column) == (6, 17)
    assert text.startswith("MPP201 ")
    assert kind is Plugin


def test_reports_come_in_the_order_of_the_lines() -> None:
    source = TRAP + TRAP.replace("pool.map(lambda", "pool.map(\n  lambda")
    found = lint(source)
    assert [report.code for report in found] == ["MPP201"] * 2
    assert found == sorted(found)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x = 1\n",
        "# multiprocessing\n",
        "from multiprocessing import cpu_count\n",
        DEEP_TRAP[45:],
    ],
)
def test_files_without_processes_cost_nothing(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("analysed")

    monkeypatch.setattr(analysis, "run", fail)
    assert messages(source) == []


def test_libcst_is_imported_only_for_files_that_use_processes() -> None:
    code = """
import ast, sys
from flake8_mppitfalls.plugin import Plugin

def heavy():
    return [name for name in ("libcst", "pathlib", "tomllib") if name in sys.modules]

before = heavy()
for source in ("x = 1", "from multiprocessing import cpu_count", "import concurrent.futures"):
    assert not list(Plugin(ast.parse(source), [source], "x.py").run())
print(before == heavy() and "libcst" not in sys.modules)
source = "from multiprocessing import Pool"
list(Plugin(ast.parse(source), [source], "x.py").run())
print("libcst" in sys.modules)
"""
    assert run_python(code).split() == ["True", "True"]


def test_what_flake8_imports_at_every_start_is_little() -> None:
    code = """
import sys, flake8.main.cli
before = set(sys.modules)
import flake8_mppitfalls.plugin
print(*sorted(set(sys.modules) - before))
"""
    ours = {
        "dataclasses",
        "flake8_mppitfalls",
        "flake8_mppitfalls.plugin",
        "flake8_mppitfalls.prefilter",
        "flake8_mppitfalls.project",
        "flake8_mppitfalls.settings",
    }
    assert set(run_python(code).split()) <= ours


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (UNPARSABLE_TRAP, "LibCST cannot parse line 7, though Python can"),
        (DEEP_TRAP, "an expression or statement is nested over 2,000 levels deep"),
        (TRAP + "#\n" * 120_000, "it is larger than 120,000 lines or 4,000,000 characters"),
    ],
    ids=["unparsable", "deep", "large"],
)
def test_files_that_can_not_be_analysed(source: str, reason: str) -> None:
    assert messages(source) == [
        (1, 0, f"MPP001 this file uses processes but was not checked for traps: {reason}")
    ]


def test_files_without_processes_need_no_analysis() -> None:
    assert messages("(limit): int = 2\nx = " + " and ".join("a" * 5000)) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RecursionError("deep"), "the code is nested too deeply"),
        (MemoryError(), "there is not enough memory"),
        (TypeError("no {x}"), "internal error (TypeError: no {x}), please report it"),
        (ValueError("two\nlines"), "internal error (ValueError: two lines), please report it"),
    ],
)
def test_errors_in_the_analysis_do_not_end_flake8(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(analysis, "run", fail)
    monkeypatch.delenv(DEBUG_VARIABLE)
    assert messages(TRAP) == [
        (1, 0, f"MPP001 this file uses processes but was not checked for traps: {reason}")
    ]


def test_errors_in_the_analysis_are_raised_when_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise TypeError

    monkeypatch.setattr(analysis, "run", fail)
    with pytest.raises(TypeError):
        messages(TRAP)


def test_a_frozen_script_is_analysed_though_it_uses_no_processes_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def may_be_frozen_entry(text: str, tree: ast.Module, filename: str, option: str) -> bool:
        asked.append((text, filename, option))
        return True

    monkeypatch.setattr(project, "may_be_frozen_entry", may_be_frozen_entry)
    monkeypatch.setattr(analysis, "run", lambda *_: [(3, 4, "MPP102 text")])
    source = "import work\nwork.start()\n"
    assert messages(source, "--mpp-frozen=yes") == [(3, 4, "MPP102 text")]
    assert asked == [(source, "program.py", "yes")]
    assert messages(TRAP) == [(3, 4, "MPP102 text")]
    assert len(asked) == 1, "asked about a file that uses processes"


def test_no_report_on_a_frozen_script_that_can_not_be_analysed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(project, "may_be_frozen_entry", lambda *_: True)
    assert messages("(limit): int = 2\n") == []


class _Fake(Rule):
    """Finds each call twice."""

    code = "MPP999"
    name = "fake"
    message = "a call of {name}"

    def check(self, program: object) -> Iterator[Finding]:
        for node in program.tree.nodes(cst.Call):  # type: ignore[attr-defined]
            yield self.finding(node, name=" ".join(("f", "or {g}\n  h")))
            yield self.finding(node, name="again")


class _OptIn(_Fake):
    """The same, opt-in."""

    code = "MPP503"
    opt_in = True


def test_one_report_for_each_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "all_rules", lambda: (_Fake, _OptIn))
    source = "from multiprocessing import Pool\nf(g())\n"
    text = "a call of f or {g} h"
    assert messages(source) == [(2, 0, f"MPP999 {text}"), (2, 2, f"MPP999 {text}")]
    assert messages(source, "--mpp-opt-in=MPP503") == [
        (2, 0, f"MPP503 {text}"),
        (2, 0, f"MPP999 {text}"),
        (2, 2, f"MPP503 {text}"),
        (2, 2, f"MPP999 {text}"),
    ]
