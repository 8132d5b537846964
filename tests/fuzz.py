"""Lints programs that nobody would write, and says where the plugin does not behave.

    python tests/fuzz.py --programs 50000 --keep DIRECTORY

Most programs are fixtures with mutations (``mutations.py``). The others come from hypothesmith,
which knows the grammar and nothing else; they get an import of processes, and half of them names
that mean something to the plugin. The same seed makes the same programs (those of hypothesmith:
under the same versions of Python and hypothesis).
"""

from __future__ import annotations

import argparse
import ast
import collections
import io
import itertools
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import libcst as cst
from mutations import Mutator, fixtures, parsed

from flake8_mppitfalls.plugin import Plugin
from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.settings import OPT_IN_CODES, Settings

#: An analysis that takes longer than this, and than so many times the parse, is slow.
SLOW_SECONDS = 0.1
SLOW_RATIO = 20
#: One that takes longer than this does not end.
ENDLESS_SECONDS = 60

FILENAMES = ("program.py", "package/__main__.py", "package/__init__.py", "tests/test_it.py")
SETTINGS = (
    Settings(opt_in=frozenset(OPT_IN_CODES), frozen="yes"),
    Settings(opt_in=frozenset(OPT_IN_CODES), frozen="no", max_workers=2),
    Settings(start_methods=frozenset({"fork"})),
    Settings(),
)
REASONS = "MPP001 this file uses processes but was not checked for traps: "
#: Code that only the interpreter parses; two ``except:``, which it refuses later.
REFUSED = re.compile("LibCST (cannot parse|failed with CSTValidationError)")


class Program(NamedTuple):
    """A source, and how it is linted."""

    source: str
    settings: Settings = SETTINGS[0]
    filename: str = FILENAMES[0]


class Endless(BaseException):
    """The analysis does not end."""


# --- what must hold ------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What a program showed."""

    problem: str
    """What is wrong; empty if all is well."""

    slowness: float
    """How many times the parse the analysis takes, if that is slow; else 0."""

    reports: list[tuple[int, int, str]]


def check(program: Program) -> Outcome:
    """Lint a program twice, and look whether all that must hold does."""
    lines = io.StringIO(program.source).readlines()
    try:
        start = time.process_time()
        reports = lint(program, lines)
        took = time.process_time() - start
        ballast = _ballast()
        again = lint(program, lines)
        del ballast
    except (Exception, Endless) as error:
        return Outcome(_describe(error), 0, [])
    problem = _problem(reports, lines)
    if not problem and reports != again:
        problem = f"not the same twice: {set(reports) ^ set(again)}"
    slow = took > SLOW_SECONDS and not problem
    return Outcome(problem, _slowness(program, lines) if slow else 0, reports)


def _ballast() -> list[bytes]:
    """Takes memory in pieces, so that sets of nodes come in another order the next time."""
    pieces = [bytes(size) for size in range(16, 512, 16) for _ in range(40)]
    random.Random(len(pieces)).shuffle(pieces)
    return pieces[::2]


def lint(program: Program, lines: list[str]) -> list[tuple[int, int, str]]:
    """What the plugin yields."""
    tree = parsed(program.source)
    assert tree is not None
    given = list(lines)
    nodes = [(node, list(vars(node).values())) for node in ast.walk(tree)]
    plugin = type("Configured", (Plugin,), {"settings": program.settings})
    with _time_limit():
        reports = [report[:3] for report in plugin(tree, given, program.filename).run()]
    # flake8 has other plugins, which get the same lines and tree.
    assert given == lines, "the plugin changes the lines"
    for node, values in nodes:
        assert list(vars(node).values()) == values, "the plugin changes the tree"
    return reports


def _problem(reports: list[tuple[int, int, str]], lines: list[str]) -> str:
    """What is wrong with the reports about a file of these lines."""
    # Only these end a line for the interpreter, and for flake8.
    ends = re.split(r"\r\n|\r|\n", "".join(lines).removeprefix("\ufeff"))
    for line, column, text in reports:
        if not 1 <= line <= len(ends) or not 0 <= column <= len(ends[line - 1]):
            return f"outside the file: {line}:{column} {text}"
        if not re.fullmatch(r"MPP\d{3} \S.*\S", text):
            return f"not a message: {text!r}"
        if text.startswith(REASONS) and not REFUSED.match(text, len(REASONS)):
            return text
    if reports != sorted(reports):
        return "the reports are not sorted"
    places = collections.Counter((*place, text.split()[0]) for *place, text in reports)
    doubled = [place for place, number in places.items() if number > 1]
    return f"reported twice: {doubled}" if doubled else ""


def _slowness(program: Program, lines: list[str]) -> float:
    """How many times the parse the analysis takes, if that is slow; else 0."""
    worst = 0.0
    for _ in range(3):  # chance is no reason
        start = time.process_time()
        try:
            cst.parse_module(program.source)
        except cst.ParserSyntaxError:
            return 0
        parsed = time.process_time()
        with _time_limit():
            lint(program, lines)
        beyond = time.process_time() - parsed - (parsed - start)
        worst = beyond / (parsed - start)
        if beyond < SLOW_SECONDS or worst < SLOW_RATIO:
            return 0
    return worst


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise `Endless` in what takes too long, where there are signals."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Endless(f"no end after {ENDLESS_SECONDS} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, ENDLESS_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _describe(error: BaseException) -> str:
    """The error, and where in the plugin it came from."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "flake8_mppitfalls" in code.co_filename:
            places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__}: {error} in {' > '.join(places[-3:])}"


# --- programs from the grammar alone -------------------------------------------------------------


def from_grammar(number: int, seed: int) -> list[str]:
    """Programs that hypothesmith makes."""
    import hypothesis
    import hypothesmith

    programs: list[str] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(hypothesmith.from_grammar() | hypothesmith.from_node())
    def collect(source: str) -> None:
        programs.append(source)

    collect()
    return programs


def programs(seed: int) -> Iterator[Program]:
    """Programs without end: mutations of the fixtures, and every twentieth from the grammar."""
    mutator = Mutator(seed, fixtures())
    while True:
        yield from grammatical(mutator, 50)
        yield from itertools.islice(mutated(mutator), 950)


def mutated(mutator: Mutator) -> Iterator[Program]:
    """Mutations of the fixtures, without end."""
    choose = mutator.random.choice
    while True:
        yield Program(mutator.mutant(), choose(SETTINGS), choose(FILENAMES))


def grammatical(mutator: Mutator, number: int) -> Iterator[Program]:
    """Programs that hypothesmith makes."""
    choose = mutator.random.choice
    for source in from_grammar(number, mutator.random.randrange(10**9)):
        source = mutator.with_meaning(source)
        if parsed(source):
            yield Program(source, choose(SETTINGS), choose(FILENAMES))


# --- the long run --------------------------------------------------------------------------------


def shrunk(program: Program, problem: str) -> Program:
    """A smaller program with the same problem: lines are left out while it stays."""
    kind = problem.split(":")[0]
    lines = program.source.splitlines(keepends=True)
    size = len(lines) // 2
    while size:
        for begin in range(len(lines) - size, -1, -size):
            fewer = program._replace(source="".join(lines[:begin] + lines[begin + size :]))
            if parsed(fewer.source) and check(fewer).problem.startswith(kind):
                lines[begin : begin + size] = []
        size = min(size, len(lines)) // 2
    return program._replace(source="".join(lines))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--programs", type=int, default=1000, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a directory for the programs that show problems")
    options = parser.parse_args()
    registry.all_rules()
    print(f"seed {options.seed}, Python {sys.version.split()[0]}, LibCST {cst.LIBCST_VERSION}")
    start = time.monotonic()
    seen: collections.Counter[str] = collections.Counter()
    codes: collections.Counter[str] = collections.Counter()
    digest = 0
    for number, program in enumerate(programs(options.seed), 1):
        outcome = check(program)
        problem = outcome.problem
        if outcome.slowness:
            problem = f"slow: {outcome.slowness:.0f} times the parse"
        if problem:
            seen[problem.split(":")[0]] += 1
            print(f"program {number}: {problem}", flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                small = program if outcome.slowness else shrunk(program, problem)
                text = f"# {small.filename} {small.settings}\n# {problem}\n{small.source}"
                (options.keep / f"{number}.py").write_text(text, encoding="utf-8")
        codes.update(text.split()[0] for *_, text in outcome.reports)
        digest = hash((digest, number, *_numbers(outcome)))
        if number % 5000 == 0 or number == options.programs:
            took = time.monotonic() - start
            print(f"{number} programs, {took:.0f} s, problems: {dict(seen)}", flush=True)
        if number == options.programs:
            break
    print(f"reports: {sum(codes.values())} of {len(codes)} codes; digest {digest:x}")
    print(dict(sorted(codes.items())))
    return 1 if seen else 0


def _numbers(outcome: Outcome) -> Iterator[int]:
    """What is the same however Python hashes strings."""
    for line, column, text in outcome.reports:
        yield from (line, column, *text.encode())


if __name__ == "__main__":
    os.environ["MPPITFALLS_DEBUG"] = "1"
    sys.exit(main())
