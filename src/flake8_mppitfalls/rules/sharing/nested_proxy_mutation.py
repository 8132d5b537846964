"""MPP304."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.changes import MUTATORS
from flake8_mppitfalls.model.sharing.proxy_elements import ProxyElements
from flake8_mppitfalls.model.values import UNKNOWN, Instance, is_none
from flake8_mppitfalls.rules.base import Finding, Rule

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Made
    from flake8_mppitfalls.syntax.flow import Point

_LOGGING = frozenset({"print", "logging.debug", "logging.info", "len", "repr", "str"})


class _Change(NamedTuple):
    """One change: where to report it, what is changed, and by which method, if by one."""

    node: cst.CSTNode
    receiver: cst.BaseExpression
    method: str = ""


class NestedProxyMutation(Rule):
    """A list inside of a manager's dict is changed in place, and the change is lost.

    What it does:
        Finds a change in place of what comes out of a manager's dict, list or ``Namespace``:
        ``d[k].append(x)``, ``d[k][j] = x``, ``d.setdefault(k, []).append(x)``,
        ``ns.items.append(x)``, ``e = d[k]; e.add(x)``, that is not stored back.

    Why it is bad:
        ``d[k]`` asks the manager's process for the element, which comes as a copy. The change is
        made to that copy, and the manager never hears of it. There is no error: the next one who
        asks gets the element as it was.

    Example:
        ::

            with multiprocessing.Manager() as manager:
                lines = manager.dict(errors=[])
                lines["errors"].append("lost")
                print(lines["errors"])  # []

    Use instead:
        ::

            with multiprocessing.Manager() as manager:
                lines = manager.dict(errors=[])
                errors = lines["errors"]
                errors.append("kept")
                lines["errors"] = errors  # under a lock, if others do so, too

        or make the element a proxy, too: ``manager.dict(errors=manager.list())``.

    Known limits:
        Silent where the elements are, or may be, proxies themselves, and where the copy is used
        otherwise after the change: it is returned, passed on, looped over.

    References:
        Python documentation, ``multiprocessing.managers``, "Proxy Objects": "modifications to
        mutable values … will not be propagated through the manager".
    """

    code = "MPP304"
    name = "nested-proxy-mutation"
    message = (
        "{element} is a copy that the manager sends: this change is made to the copy and lost;"
        " {remedy}"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each change of a proxy's element that is not stored back."""
        if not any(made.name in ("dict", "list", "Namespace") for made in _proxies(program)):
            return
        elements = ProxyElements(program)
        for change in _changes(program):
            owners = elements.owner(change.receiver)
            if not owners or not _is_changed(program, elements, change, owners):
                continue
            name = _root(change.receiver)
            is_named = isinstance(name, cst.Name) and bool(elements.owner(name))
            if is_named and _is_of_use(program, change, name):
                continue
            yield self.finding(
                change.node,
                element=program.source(change.receiver, "the element"),
                remedy=f"store {program.source(name)} back afterwards"
                if is_named
                else "take it out, change it, and store it back",
            )


def _proxies(program: Program) -> list[Made]:
    return program.made.get(api.Kind.PROXY, [])


def _changes(program: Program) -> Iterator[_Change]:
    """All changes in place of the file, whatever they change."""
    tree = program.tree
    classes = program.evaluator.classes
    methods = {m.name.value for c in tree.nodes(cst.ClassDef) for m in classes.methods(c)}
    for name in (*MUTATORS, *(methods - MUTATORS)):
        for call in tree.calls_of.get(name, ()):
            if isinstance(call.func, cst.Attribute):
                yield _Change(call, call.func.value, name)
    for subscript in tree.nodes(cst.Subscript):
        place = program.changes.stored(subscript)
        if place is not None:
            yield _Change(place, subscript.value)
    for attributes in tree.attributes.values():
        for attribute in attributes:
            if classes.store_of(attribute) is not None:
                yield _Change(attribute, attribute.value)


def _is_changed(
    program: Program, elements: ProxyElements, change: _Change, owners: tuple[Made, ...]
) -> bool:
    """Does the file show that the element is a plain object, which the change changes?"""
    if not all(elements.are_plain(owner) for owner in owners):
        return False
    of_objects = change.method not in MUTATORS | {""}
    for owner in owners:
        for value in elements.contents(owner):
            if isinstance(value, Instance) and of_objects:
                if program.changes.changed_by(value.cls, change.method):
                    return True
            elif not of_objects and value is not UNKNOWN and not is_none(value):
                return True
    return False


def _root(node: cst.BaseExpression) -> cst.BaseExpression:
    """What a chain begins with: ``e`` of ``e["tags"]``."""
    while True:
        if isinstance(node, (cst.Subscript, cst.Attribute)):
            node = node.value
        elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            node = node.func.value
        else:
            return node


# -- what becomes of the copy --------------------------------------------------------------------


def _is_of_use(program: Program, change: _Change, name: cst.BaseExpression) -> bool:
    """Is the copy stored back, or used for itself, after the change?"""
    assert isinstance(name, cst.Name)
    scope = program.tree.function_of(name)
    flow = program.names.flow(scope)
    bindings = program.names.bindings(name)
    reads_of = program.names.reads_of
    loads = {load for binding in bindings for load in reads_of(binding) if load is not name}
    used = {
        point
        for load in loads
        if _counts(program, name, load)
        for point in (
            flow.points_of(load) if program.tree.function_of(load) is scope else [flow.exit]
        )
    }
    bound = flow.stores(scope.bindings.get(name.value, bindings))
    seen: set[Point] = set()
    work = list(flow.points_of(change.node))
    if any(point in used for point in work) and _is_used_beside(program, change, name, loads):
        return True
    work = [after for point in work for after in point.successors]
    while work:
        point = work.pop()
        if point in seen or (point in bound and point not in used):
            continue
        seen.add(point)
        if point in used:
            return True
        if point not in bound:
            work.extend(point.successors)
    return False


def _is_used_beside(
    program: Program, change: _Change, name: cst.Name, loads: set[cst.Name]
) -> bool:
    """Within the statement of the change: ``d[k] = e.append(x) or e``."""
    statement = program.tree.statement_of(change.node)
    return any(
        program.tree.is_within(load, statement) and _counts(program, name, load) for load in loads
    )


def _counts(program: Program, name: cst.Name, load: cst.Name) -> bool:
    """Is a read of the copy one by which something comes of the change?"""
    tree = program.tree
    if program.changes.is_only_changed(load) or _is_target(program, load):
        return False
    parent = tree.parent(load)
    if isinstance(parent, (cst.Subscript, cst.Attribute)) and parent.value is load:
        mine = _step(program, name)
        its = _step(program, load)
        if mine is not None and its is not None and not mine.deep_equals(its):
            return False  # another part of it
    return not _is_logged(program, load)


def _is_target(program: Program, load: cst.Name) -> bool:
    """Is the read only the beginning of a target or of a change: ``e[k][j] = v``, ``e.add(v)``?"""
    node: cst.CSTNode = load
    while True:
        parent = program.tree.parent(node)
        if isinstance(parent, (cst.Subscript, cst.Attribute)) and parent.value is node:
            node = parent
            continue
        if isinstance(parent, cst.Call) and parent.func is node:
            is_change = isinstance(node, cst.Attribute) and node.attr.value in MUTATORS
            return is_change and isinstance(program.tree.parent(parent), cst.Expr)
        return isinstance(parent, (cst.AssignTarget, cst.Del)) or (
            isinstance(parent, (cst.AugAssign, cst.AnnAssign)) and node is parent.target
        )


def _step(program: Program, load: cst.Name) -> cst.CSTNode | None:
    """The key or attribute by which a read goes on: ``"tags"`` of ``e["tags"]``."""
    parent = program.tree.parent(load)
    if isinstance(parent, cst.Subscript) and parent.value is load and len(parent.slice) == 1:
        part = parent.slice[0].slice
        return part.value if isinstance(part, cst.Index) else None
    if isinstance(parent, cst.Attribute) and parent.value is load:
        call = program.tree.parent(parent)
        return None if isinstance(call, cst.Call) and call.func is parent else parent.attr
    return None


def _is_logged(program: Program, load: cst.Name) -> bool:
    """Is it only printed, or its length taken to be printed?"""
    for parent in program.tree.ancestors(load):
        if isinstance(parent, cst.Call):
            name = program.tree.qualified(parent.func)
            if name in ("print", "logging.debug", "logging.info"):
                return program.sides.worker_of(load) is not None
            if name not in _LOGGING:
                return False
        elif isinstance(parent, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
            return False
    return False
