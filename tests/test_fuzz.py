"""No program, however odd, ends the plugin, or gets a report that is not one.

The long run is ``python tests/fuzz.py --programs 50000``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import fuzz
import pytest
from mutations import Mutator, fixtures

SEED = 1


def problems(programs: Iterable[fuzz.Program]) -> list[tuple[str, str]]:
    """What is wrong with each program that shows a problem, and its source."""
    return [
        (outcome.problem, program.source)
        for program in programs
        if (outcome := fuzz.check(program)).problem
    ]


def test_mutations_of_the_fixtures() -> None:
    print("seed", SEED)
    programs = fuzz.mutated(Mutator(SEED, fixtures()))
    assert problems(itertools.islice(programs, 120)) == []


def test_programs_of_the_grammar() -> None:
    pytest.importorskip("hypothesmith", reason="no hypothesmith for this interpreter")
    print("seed", SEED)
    assert problems(fuzz.grammatical(Mutator(SEED, fixtures()), 15)) == []


#: What long runs have found.
FOUND = {
    "one of two ends, at random": """\
import multiprocessing

def end(pool, quickly):
    if quickly:
        pool.terminate()
    else:
        pool.close()

if __name__ == "__main__":
    pool = multiprocessing.Pool(2)
    end(pool, quickly=len(names) > 10)
    pool.starmap(print, names)
""",
    "a plain name for the base's __init__()": """\
from multiprocessing import Process
from multiprocessing.pool import Pool
from bases import __init__

class Worker(Process):
    def __init__(self):
        __init__(self)

class Workers(Pool):
    def __init__(self):
        __init__(self, 100)
""",
}


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("turn", range(4))
def test_what_was_found(name: str, turn: int) -> None:
    assert fuzz.check(fuzz.Program(FOUND[name])).problem == ""
