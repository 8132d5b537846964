"""MPP705."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import UNKNOWN, Made, is_none
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program

_SETTABLE = ("daemon", "name", "authkey")
_READ_ONLY = ("exitcode", "ident", "pid", "sentinel")
_METHODS = ("close", "interrupt", "is_alive", "join", "kill", "run", "start", "terminate")
_ATTRIBUTES = frozenset({*_SETTABLE, *_READ_ONLY, *_METHODS})
_WORDS = {word: word for word in sorted(_ATTRIBUTES)} | {"daemonic": "daemon"}
"""What one slip leads away from, and the attribute that is meant."""
_BARE = {word.replace("_", "") for word in _WORDS}
_STARTS = {(word[0], len(word) + more) for word in _BARE for more in (-1, 0, 1)}
_ENDS = {(word[-1], len(word) + more) for word in _BARE for more in (-1, 0, 1)}
"""One slip leaves the first or the last letter as it is."""
_TO_BE_SET = ("daemon", "authkey")


class MisspeltProcessAttribute(Rule):
    """An attribute of a process is misspelt.

    What it does:
        Finds an attribute on a ``Process`` that it lacks and that is one slip away from one that it
        has: ``deamon``, ``daemonic``, ``exit_code``, ``exitCode``, ``exicode``, ``isAlive``. And
        ``is_alive`` without a call in a test.

    Why it is bad:
        Python lets any attribute be set: ``p.deamon = True`` has no effect, and the program waits
        for the child at its end. Reading one that is not there raises
        ``AttributeError: 'Process' object has no attribute 'exit_code'``. A method is always
        true: ``while p.is_alive:`` never ends.

    Example:
        ::

            p = multiprocessing.Process(target=poll)
            p.deamon = True
            p.start()

    Use instead:
        ::

            p = multiprocessing.Process(target=poll, daemon=True)
            p.start()

    Known limits:
        In a subclass, what it defines (a method, property or class attribute, or an attribute
        that it sets and also reads) is its own. An attribute of a plain ``Process`` that this
        file sets and reads counts as its own too, unless it looks like ``daemon``, ``name`` or
        ``authkey``, which are there to be set.

    References:
        Python documentation, ``multiprocessing.Process``.
    """

    code = "MPP705"
    name = "misspelt-process-attribute"
    message = "{what}; write {cure}"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield the attributes that a process does not have, and those that are not called."""
        for name, nodes in program.tree.attributes.items():
            meant = _meant(name)
            if meant is None:
                continue
            places = [node for node in nodes if _is_of_process(program, node)]
            for node in places:
                if not _is_own(program, node, places, meant):
                    yield self._misspelt(program, node, places, meant)
        for node in program.tree.attributes.get("is_alive", ()):
            if _is_tested(program, node) and _is_of_process(program, node):
                receiver = program.source(node.value, "p")
                yield self.finding(
                    node,
                    what=f"{receiver}.is_alive is a method and always true here",
                    cure=f"{receiver}.is_alive()",
                )

    def _misspelt(
        self, program: Program, node: cst.Attribute, places: list[cst.Attribute], meant: str
    ) -> Finding:
        name = node.attr.value
        receiver = program.source(node.value, "the process")
        cls = next((m.cls for m in _processes(program, node) if m.cls is not None), None)
        owner = cls.name.value if cls is not None else "Process"
        what = f"{receiver}.{name} has no effect: a process has no such attribute"
        if all(program.evaluator.classes.store_of(place) is None for place in places):
            error = f"'{owner}' object has no attribute '{name}'"
            what = f"{receiver}.{name} raises AttributeError: {error}"
        return self.finding(node, what=what, cure=f"{receiver}.{meant}")


@functools.lru_cache(maxsize=4096)
def _meant(name: str) -> str | None:
    """The attribute of ``Process`` that is one slip away from ``name``."""
    if name in _ATTRIBUTES or name.startswith("_"):
        return None
    plain = name.replace("_", "").lower()
    if (plain[:1], len(plain)) not in _STARTS and (plain[-1:], len(plain)) not in _ENDS:
        return None  # more than one slip
    for word, meant in _WORDS.items():
        if plain == word.replace("_", ""):
            return meant
    for word, meant in _WORDS.items():
        bare = word.replace("_", "")
        if _is_one_slip(name, word) or (len(bare) > 4 and _is_one_slip(plain, bare)):
            return meant
    return None


def _is_one_slip(name: str, word: str) -> bool:
    """One letter left out, added, replaced, or two neighbours swapped."""
    if abs(len(name) - len(word)) > 1:
        return False
    start = 0
    while start < min(len(name), len(word)) and name[start] == word[start]:
        start += 1
    rest, other = name[start:], word[start:]
    if rest[1:] == other[1:] or rest == other[1:] or rest[1:] == other:
        return True
    return rest[:2] == other[:2][::-1] and rest[2:] == other[2:]


def _processes(program: Program, node: cst.Attribute) -> list[Made]:
    return [
        value
        for value in program.values(node.value)
        if isinstance(value, Made) and value.kind is api.Kind.PROCESS
    ]


def _is_of_process(program: Program, node: cst.Attribute) -> bool:
    """Is it an attribute of what this file shows to be a process, and of nothing else?"""
    if isinstance(node.value, (cst.SimpleString, cst.FormattedString)):
        return False
    values = [v for v in program.values(node.value) if v is not UNKNOWN and not is_none(v)]
    if not values or not all(isinstance(v, Made) and v.kind is api.Kind.PROCESS for v in values):
        return False
    return not program.conditions.expects(node, "AttributeError")


def _is_own(program: Program, node: cst.Attribute, places: list[cst.Attribute], meant: str) -> bool:
    """Does the program give the process this attribute on purpose?"""
    name = node.attr.value
    classes = program.evaluator.classes
    stores = [place for place in places if classes.store_of(place) is not None]
    reads = [place for place in places if classes.store_of(place) is None]
    for made in _processes(program, node):
        if made.cls is None:
            continue
        if any(program.tree.scopes[c].bindings.get(name) for c in classes.mro(made.cls)):
            return True
        if any(
            binding in program.tree.scopes[c].bindings
            for c in classes.mro(made.cls)
            for binding in ("__getattr__", "__getattribute__")
        ):
            return True
        if any(api.maker(base) is None for base in classes.external_bases(made.cls)):
            return True
        if stores and reads:
            return True
    if not stores:
        return False
    if classes.store_of(node) is None or reads:
        return meant not in _TO_BE_SET
    return not _is_sure_slip(name, meant)


def _is_sure_slip(name: str, meant: str) -> bool:
    """Is a name that is set, and never read here, more likely a slip than meant so?"""
    if meant == "name":
        return sorted(name.lower()) == sorted(meant)
    return meant in (*_TO_BE_SET, "exitcode")


def _is_tested(program: Program, node: cst.Attribute) -> bool:
    """Is it the truth of the method itself that decides?"""
    tree = program.tree
    child: cst.CSTNode = node
    parent = tree.parent(node)
    if isinstance(parent, cst.Comparison):  # p.is_alive == True
        return parent.left is node
    while isinstance(parent, (cst.BooleanOperation, cst.UnaryOperation, cst.NamedExpr)):
        if isinstance(parent, cst.BooleanOperation) and child is parent.left:
            return True
        if isinstance(parent, cst.UnaryOperation) and not isinstance(parent.operator, cst.Not):
            return False
        child, parent = parent, tree.parent(parent)
    if isinstance(parent, (cst.If, cst.While, cst.IfExp, cst.Assert, cst.CompIf)):
        return child is parent.test
    if isinstance(parent, (cst.GeneratorExp, cst.ListComp)) and child is parent.elt:
        arg = tree.parent(parent)
        call = tree.parent(arg) if isinstance(arg, cst.Arg) else None
        return isinstance(call, cst.Call) and tree.qualified(call.func) in ("any", "all", "sum")
    return child is not node and isinstance(child, cst.UnaryOperation)
