"""The way of the data, for a file that uses processes: source, trees, program, rules, reports."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import libcst as cst

from flake8_mppitfalls.model.program import Program
from flake8_mppitfalls.rules import registry
from flake8_mppitfalls.rules.analysis.analysis_incomplete import AnalysisIncomplete
from flake8_mppitfalls.settings import Settings
from flake8_mppitfalls.syntax.parse import Unparsable, parse
from flake8_mppitfalls.syntax.positions import locate
from flake8_mppitfalls.syntax.tree import Tree

__all__ = ["Report", "Unparsable", "incomplete", "run"]

#: Line (from 1), column (from 0) and text.
Report: TypeAlias = tuple[int, int, str]


def run(tree: ast.Module, lines: Sequence[str], filename: str, settings: Settings) -> list[Report]:
    """What there is to report about a file, in the order of its lines.

    Raises `Unparsable` for a file that LibCST can't parse.
    """
    with _no_search_for_garbage():
        module = parse(lines, tree)
        program = Program(Tree(module), settings, filename, lines)
        program.source_tree = tree
        findings = registry.check(program)
        if not findings:
            return []
        shorthands = program.tree.shorthands
        shorthands.undo()
        nodes = [shorthands.written(finding.node) for finding in findings]
        places = locate(module, tree, lines, nodes)
        return sorted(
            (*places[node], finding.text) for node, finding in zip(nodes, findings, strict=True)
        )


@contextmanager
def _no_search_for_garbage() -> Iterator[None]:
    """The tree and the model live to the end: Python would search them in vain, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def incomplete(reason: str) -> Report:
    """The report that says why there is no other."""
    return 1, 0, AnalysisIncomplete().finding(cst.Module([]), reason=reason).text
