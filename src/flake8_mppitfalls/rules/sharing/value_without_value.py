"""MPP312."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    Class,
    Computed,
    Constant,
    Container,
    Made,
    Result,
    is_none,
    union,
)
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.classes import Store
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Values
    from flake8_mppitfalls.syntax.scopes import Binding

_NAMES = frozenset({"Value", "RawValue"})
_KINDS = frozenset({api.Kind.VALUE, api.Kind.RAW, api.Kind.PROXY})
_TAKING_NUMBERS = frozenset(
    "int float range abs round min max divmod pow sum time.sleep math.sqrt math.floor math.ceil"
    " math.log math.exp".split()
)
_LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
_FORMATTING = frozenset({"print", "str", "format"})
_FIXED = (cst.Equal, cst.NotEqual)
_ORDERED = (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual)

_NUMBERS = (cst.Integer, cst.Float, cst.Name)

_TRUTH = "this test is always true"
_EQUAL = "it never equals a number"
_NUMBER = "a TypeError follows"
_TEXT = "its text is not the number's"
_REBOUND = "the name is bound anew, and the shared cell stays as it was"


class ValueWithoutValue(Rule):
    """A shared ``Value`` is used as if it were the number in it.

    What it does:
        Finds a ``multiprocessing.Value``, or a manager's, that is tested for truth, compared,
        calculated with, formatted, or bound anew (``v = 5``, ``v += 1``), where ``v.value`` is
        meant.

    Why it is bad:
        The object is always true, so that ``while not stop:`` never or always runs. It equals no
        number. ``v = 5`` binds a local name, and no other process hears of it. Arithmetic ends
        with::

            TypeError: unsupported operand type(s) for +: 'Synchronized' and 'int'

    Example:
        ::

            def work(stop):
                while not stop:  # never runs
                    step()

    Use instead:
        ::

            def work(stop):
                while not stop.value:
                    step()

    Known limits:
        A ``RawValue``, and a ``Value`` with ``lock=False``, do have the truth of their number. A
        test of a name that may be ``None`` asks for that. Of what is assigned to an attribute, a
        number or truth value counts where the constructor makes it a ``Value``.

    References:
        Python documentation, ``multiprocessing.Value``.
    """

    code = "MPP312"
    name = "value-without-value"
    message = "{name} is the shared object, not the number in it: {consequence}; use {name}.value"

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each use of a ``Value`` as its content."""
        if not _KINDS.intersection(program.made):
            return
        if not any(made.name in _NAMES for kind in _KINDS for made in program.made.get(kind, ())):
            return
        for node, consequence in (*_uses(program), *_rebindings(program)):
            yield self.finding(node, name=program.source(node, "this"), consequence=consequence)


def _is_value(program: Program, node: cst.CSTNode, *, truth: bool = False) -> bool:
    """Is an expression a ``Value``, for all that the file shows?"""
    if not isinstance(node, (cst.Name, cst.Attribute, cst.Subscript)):
        return False
    if truth and isinstance(node, cst.Name) and _may_be_left_out(program, node):
        return False
    found = False
    values = program.values(node)
    if isinstance(node, cst.Name) and any(isinstance(value, Computed) for value in values):
        bindings = program.names.bindings(node)
        first = [b for b in bindings if not program.tree.calculates_with(b.value, b.node)]
        values = union((), *map(program.evaluator.bound, first))
    if isinstance(node, cst.Attribute):
        values = _stored(program, node) or values
    for value in values:
        if isinstance(value, Made):
            if not _holds_number(program, value, truth=truth):
                return False
            found = True
        elif value is not UNKNOWN and (truth or not is_none(value)):
            return False
    return found


def _may_be_left_out(program: Program, node: cst.Name) -> bool:
    """Is it a parameter whose default is ``None``? A test asks for that, whoever calls."""
    return any(
        isinstance(b.node, cst.Param) and any(map(is_none, program.values(b.node.default)))
        for b in program.names.bindings(node)
        if b.kind is Bound.PARAMETER
    )


def _holds_number(program: Program, made: Made, *, truth: bool) -> bool:
    if made.kind not in _KINDS or made.name not in _NAMES:
        return False
    if made.kind is api.Kind.PROXY or not isinstance(made.site, cst.Call):
        return True
    kind = argument(made.site, ("typecode_or_type",), "typecode_or_type")
    if any(isinstance(value, Class) for value in program.values(kind)):
        return False  # a Structure
    lock = argument(made.site, (), "lock")
    is_raw = made.kind is api.Kind.RAW or (isinstance(lock, cst.Name) and lock.value == "False")
    return not (truth and is_raw)


# -- uses ----------------------------------------------------------------------------------------


def _uses(program: Program) -> Iterator[tuple[cst.CSTNode, str]]:
    tree = program.tree
    tests: list[cst.CSTNode] = [n.expression for n in tree.nodes(cst.UnaryOperation)]
    tests += [n.test for n in tree.nodes(cst.If)] + [n.test for n in tree.nodes(cst.While)]
    tests += [n.test for n in tree.nodes(cst.IfExp)] + [n.test for n in tree.nodes(cst.Assert)]
    tests += [n.test for n in tree.nodes(cst.CompIf)]
    for test in dict.fromkeys(tests):
        for part in _tested(test):
            if _is_value(program, part, truth=True):
                yield part, _TRUTH
    for comparison in tree.nodes(cst.Comparison):
        yield from _compared(program, comparison)
    for operation in tree.nodes(cst.BinaryOperation):
        for side in (operation.left, operation.right):
            for part in side.elements if isinstance(side, cst.Tuple) else (side,):
                node = part.value if isinstance(part, cst.Element) else part
                if _is_value(program, node):
                    text = isinstance(operation.operator, cst.Modulo) and side is operation.right
                    yield node, _TEXT if text else _NUMBER
    for augmented in tree.nodes(cst.AugAssign):
        if _is_value(program, augmented.value):
            yield augmented.value, _NUMBER
    for index in tree.nodes(cst.Index):
        if _is_value(program, index.value) and _is_of_list(program, index):
            yield index.value, _NUMBER
    for part_of_text in tree.nodes(cst.FormattedStringExpression):
        if part_of_text.conversion != "r" and _is_value(program, part_of_text.expression):
            yield part_of_text.expression, _TEXT
    for call in tree.nodes(cst.Call):
        yield from _given(program, call)


def _is_of_list(program: Program, index: cst.Index) -> bool:
    """Is it the index of a list or tuple? (A dict takes any object as a key.)"""
    for parent in program.tree.ancestors(index):
        if isinstance(parent, cst.Subscript):
            values = program.values(parent.value)
            return bool(values) and all(
                isinstance(v, Container) and v.type in ("list", "tuple") for v in values
            )
    return False


def _tested(test: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The parts of a test whose truth is asked for; a ``not`` is a test of its own."""
    if isinstance(test, cst.BooleanOperation):
        yield from _tested(test.left)
        yield from _tested(test.right)
    else:
        yield test


def _compared(program: Program, comparison: cst.Comparison) -> Iterator[tuple[cst.CSTNode, str]]:
    left: cst.CSTNode = comparison.left
    for target in comparison.comparisons:
        right = target.comparator
        if isinstance(target.operator, (*_FIXED, *_ORDERED)):
            nothing = any(isinstance(n, cst.Name) and n.value == "None" for n in (left, right))
            consequence = _EQUAL if isinstance(target.operator, _FIXED) else _NUMBER
            for node in (left, right) if not nothing else ():
                if _is_value(program, node):
                    yield node, consequence
                    break
        elif isinstance(target.operator, (cst.Is, cst.IsNot)):
            is_truth = isinstance(right, cst.Name) and right.value in ("True", "False")
            if is_truth and _is_value(program, left):
                yield left, _EQUAL
        left = right


def _given(program: Program, call: cst.Call) -> Iterator[tuple[cst.CSTNode, str]]:
    """``int(v)``, ``range(v)``, ``print(v)``, ``"{}".format(v)``."""
    if not call.args:
        return
    func = call.func
    if isinstance(func, cst.Attribute) and func.attr.value == "format":
        if isinstance(func.value, (cst.SimpleString, cst.ConcatenatedString)):
            for arg in call.args:
                if _is_value(program, arg.value):
                    yield arg.value, _TEXT
        return
    name = program.tree.qualified(func)
    if _is_logging(program, call, name):
        name = "format"
    if name in _TAKING_NUMBERS or name in _FORMATTING or name == "bool":
        truth = name == "bool"
        for arg in call.args:
            if not arg.star and _is_value(program, arg.value, truth=truth):
                consequence = _TEXT if name in _FORMATTING else _NUMBER
                yield arg.value, _TRUTH if truth else consequence


def _is_logging(program: Program, call: cst.Call, name: str) -> bool:
    """``logging.info("%s", v)``, and the same of a logger."""
    package, _, last = name.rpartition(".")
    if package == "logging":
        return last in _LEVELS
    func = call.func
    return (
        isinstance(func, cst.Attribute)
        and func.attr.value in _LEVELS
        and any(
            isinstance(value, Result) and value.name.endswith(("getLogger", "get_logger"))
            for value in program.values(func.value)
        )
    )


# -- rebindings ----------------------------------------------------------------------------------


def _rebindings(program: Program) -> Iterator[tuple[cst.CSTNode, str]]:
    for augmented in program.tree.nodes(cst.AugAssign):
        target = augmented.target
        if isinstance(target, cst.Name):
            if _was_value(program, target):
                yield target, _NUMBER
        elif isinstance(target, cst.Attribute) and _is_value_attribute(program, target):
            yield target, _NUMBER
    for target in _overwritten(program):
        yield target, _REBOUND
    for scope in program.tree.scopes.values():
        for bindings in scope.bindings.values():
            if len(bindings) > 1 and not any(b.kind is Bound.AUGMENTED for b in bindings):
                for binding in bindings:
                    if _is_number(program, binding) and _is_by_mistake(program, binding, bindings):
                        yield binding.node, _REBOUND


def _overwritten(program: Program) -> Iterator[cst.Attribute]:
    """The attributes that hold a ``Value`` and that something else is assigned to."""
    for assign in program.tree.nodes(cst.Assign):
        for each in assign.targets:
            target = each.target
            if isinstance(target, cst.Attribute) and isinstance(assign.value, _NUMBERS):
                stores = program.evaluator.classes.stores(target.attr.value)
                store = next((s for s in stores if s.node is target), None)
                if store is not None and _is_overwriting(program, store, stores):
                    if _is_value_attribute(program, target):
                        yield target


def _is_number(program: Program, binding: Binding) -> bool:
    """Does a name get a number or truth value: ``v = 5``, ``v = True``?"""
    if binding.kind is not Bound.ASSIGN or binding.path or binding.value is None:
        return False
    values = program.values(binding.value)
    return bool(values) and all(
        isinstance(v, Computed)
        or (isinstance(v, Constant) and isinstance(v.value, (bool, int, float)))
        for v in values
    )


def _is_by_mistake(program: Program, binding: Binding, bindings: list[Binding]) -> bool:
    """Had the name a ``Value`` before, and is the new number of no use to this function?"""
    if not isinstance(binding.node, cst.Name) or not _was_value(program, binding.node):
        return False
    if binding.value is not None and _mentions(program, binding.value, binding.name):
        return False  # reported where it is used
    for load in program.tree.loads_of(binding):
        if binding in program.names.bindings(load) and not _is_pointless(program, load):
            return any(b.kind is Bound.PARAMETER for b in bindings)
    return True


def _was_value(program: Program, target: cst.Name) -> bool:
    """Is the name bound to a ``Value`` where it is bound anew?"""
    scope = program.tree.scope_of(target)
    owner = scope.owner_of(target.value)
    if owner is None:
        return False
    function = program.tree.function_of(target)
    bindings = owner.bindings[target.value]
    inside = [b for b in bindings if _is_in(program, b, function)]
    before = program.names.flow(function).reaching(target, inside)
    # Further down in a loop it may become a Value again: what it begins with is a number.
    before = [b for b in before if _is_above(program, b, target)]
    if owner is not function and not before:
        before = [b for b in bindings if b not in inside]  # declared global
    if not before:
        return False
    found = False
    for binding in before:
        for value in program.evaluator.bound(binding):
            if isinstance(value, Made) and _holds_number(program, value, truth=False):
                found = True
            elif value is not UNKNOWN and not is_none(value):
                return False
    return found


def _is_above(program: Program, binding: Binding, target: cst.Name) -> bool:
    if binding.kind is Bound.PARAMETER:
        return True
    if binding.node is target or program.concurrency.are_exclusive(binding.node, target):
        return False
    return program.tree.before(binding.node, target)


def _is_in(program: Program, binding: Binding, function: object) -> bool:
    if binding.kind is Bound.PARAMETER:
        return binding.scope is function
    return program.tree.function_of(binding.node) is function


def _is_value_attribute(program: Program, target: cst.Attribute) -> bool:
    """``self.count += 1`` where all that is ever assigned to it is a ``Value``."""
    values = [v for v in _stored(program, target) if v is not UNKNOWN and not is_none(v)]
    return bool(values) and all(
        isinstance(value, Made) and _holds_number(program, value, truth=False) for value in values
    )


def _stored(program: Program, node: cst.Attribute) -> Values:
    """What is assigned to an attribute of an object of this module's classes, ``+=`` apart.

    What overwrites a ``Value`` is no news to the child, which has an object of its own.
    """
    is_news = program.sides.is_parent_code(node) and not _is_store(program, node)
    groups: list[Values] = []
    for value in program.values(node.value):
        cls = getattr(value, "cls", None)
        if not isinstance(cls, cst.ClassDef):
            return ()
        stores = program.evaluator.members.stores(cls, node.attr.value)
        for store in stores:
            if store.kind is not Bound.AUGMENTED and not program.tree.calculates_with(
                store.value, store.node
            ):
                if is_news or not _is_overwriting(program, store, stores):
                    groups.append(program.evaluator.stored(store))
    return union((), *groups)


def _is_store(program: Program, node: cst.Attribute) -> bool:
    return program.evaluator.classes.store_of(node) is not None


def _is_overwriting(program: Program, store: Store, stores: list[Store]) -> bool:
    """``self.stop = True`` in a method, where the constructor makes ``self.stop`` a ``Value``?"""
    if store.kind is not Bound.ASSIGN or store.path or _is_in_constructor(program, store):
        return False
    values = program.evaluator.stored(store)
    if not values or not all(
        isinstance(v, Constant) and isinstance(v.value, (bool, int, float)) for v in values
    ):
        return False
    return any(
        isinstance(value, Made) and _holds_number(program, value, truth=False)
        for other in stores
        if other is not store and _is_in_constructor(program, other)
        for value in program.evaluator.stored(other)
    )


def _is_in_constructor(program: Program, store: Store) -> bool:
    function = program.tree.function_of(store.node).node
    return isinstance(function, cst.FunctionDef) and function.name.value == "__init__"


def _mentions(program: Program, node: cst.CSTNode, name: str) -> bool:
    return any(isinstance(n, cst.Name) and n.value == name for n in program.tree.walk(node))


def _is_pointless(program: Program, load: cst.Name) -> bool:
    """A read that still takes the name for the ``Value``: ``v.value``."""
    parent = program.tree.parent(load)
    return isinstance(parent, cst.Attribute) and parent.attr.value in ("value", "get_lock")
