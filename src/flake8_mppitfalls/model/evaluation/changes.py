"""Changes: where a list, dict, set or object is changed in place.

``Changes.at(node)`` looks at what is done with the value of an expression where it stands:
``x.append(1)``, ``x[k] = v``, ``x.count += 1``, ``del x[k]``, ``heappush(x, v)``; and with what it
holds: ``x[k].append(1)``, ``x.items.sort()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.evaluation.holdings import Holdings
from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.values import Computed, Container, Instance, Result, is_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value, Values

_OF_LISTS = frozenset(
    "append appendleft extend extendleft insert remove pop popleft clear sort reverse rotate"
    " __setitem__ __delitem__ __iadd__".split()
)
_OF_SETS = frozenset(
    "add discard remove pop clear update difference_update intersection_update"
    " symmetric_difference_update".split()
)
_OF_MAPPINGS = frozenset(
    "update pop popitem setdefault clear subtract move_to_end __setitem__ __delitem__".split()
)
MUTATORS = _OF_LISTS | _OF_SETS | _OF_MAPPINGS
"""The methods by which the containers of the standard library are changed in place."""

_TAKING = frozenset({"get", "setdefault", "pop", "popleft", "__getitem__"})
_FUNCTIONS = frozenset(
    "heapq.heappush heapq.heappop heapq.heapify heapq.heappushpop heapq.heapreplace bisect.insort"
    " bisect.insort_left bisect.insort_right random.shuffle operator.setitem operator.iadd"
    " operator.delitem".split()
)
"""Functions that change their first argument."""

_PLAIN = frozenset(
    "collections.Counter collections.ChainMap collections.UserDict collections.UserList bytearray"
    " array.array numpy.array numpy.zeros numpy.ones numpy.empty numpy.full numpy.arange".split()
)
"""Containers from elsewhere that are changed in place."""

_FIELDS = frozenset({"dataclasses.field", "attr.ib", "attr.field", "attrs.field"})

_CONTAINER_BASES = frozenset(
    "list dict set bytearray collections.deque collections.OrderedDict collections.defaultdict"
    " collections.Counter collections.UserDict collections.UserList typing.Dict typing.List"
    " typing.Set".split()
)
_PER_THREAD = frozenset({"threading.local", "_thread._local"})


class Change(NamedTuple):
    """One change in place.

    Attributes:
        node: the call, the target that is assigned to, or the ``del`` statement.
        receiver: the expression whose value is changed.
        attribute: for an object the attribute by which the change is reached, else empty.
        depth: 0 for a change of the value itself, 1 for a change of what it holds, and so on.
        is_read: what the change gives is used, too (``x.pop()``).
    """

    node: cst.CSTNode
    receiver: cst.CSTNode
    attribute: str
    depth: int
    is_read: bool = False


class Changes:
    """Finds changes in place in one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._classes = program.evaluator.classes
        self._holdings = Holdings(program.evaluator)
        self._attributes: dict[cst.FunctionDef, frozenset[str]] = {}
        self._read: dict[cst.FunctionDef, frozenset[str] | None] = {}

    def at(self, node: cst.CSTNode) -> Change | None:
        """What changes the value of ``node``, or what that holds, where ``node`` stands."""
        current, depth, attribute = node, 0, ""
        while True:
            parent = self._tree.parent(current)
            if isinstance(parent, cst.Attribute) and current is parent.value:
                name = parent.attr.value
                call = self._tree.parent(parent)
                if isinstance(call, cst.Call) and call.func is parent:
                    known = self._called(current, name)
                    if known and not (name in _TAKING and self._goes_on(call)):
                        return Change(call, current, attribute, depth, not self._is_statement(call))
                    if name not in _TAKING:
                        return None
                    current, depth = call, depth + 1
                    continue
                attribute = attribute or name
                if self._classes.store_of(parent) is not None or self._is_deleted(parent):
                    if not self._is_object(current):
                        return None
                    return Change(self._place(parent), current, attribute, depth)
                current, depth = parent, depth + 1
            elif isinstance(parent, cst.Subscript) and current is parent.value:
                if self._is_stored(parent):
                    if not self._is_plain(current):
                        return None
                    return Change(self._place(parent), current, attribute, depth)
                current, depth = parent, depth + 1
            elif isinstance(parent, cst.Arg):
                call = self._tree.parent(parent)
                if (
                    isinstance(call, cst.Call)
                    and parent is call.args[0]
                    and self._tree.qualified(call.func) in _FUNCTIONS
                    and self._is_plain(current)
                ):
                    return Change(call, current, attribute, depth, not self._is_statement(call))
                return None
            else:
                return None

    def of(self, node: cst.CSTNode) -> Iterator[Change]:
        """The changes of the value of ``node``, where it stands and where it is handed on."""
        direct = self.at(node)
        if direct is not None:
            yield direct
            return
        parent = self._tree.parent(node)
        for name in self._names_of_element(node):
            change = self.at(name)
            if change is not None:
                yield change._replace(depth=change.depth + 1)
        if isinstance(parent, (cst.Attribute, cst.Subscript, cst.Comparison, cst.If)):
            return
        places = {
            use.at: None
            for use in self._program.uses.of(node)
            if use.depth == 0
            and use.kind in (UseKind.METHOD, UseKind.MEMBER, UseKind.TESTED, UseKind.PASSED)
        }
        for place in places:
            change = self.at(place)
            if change is not None:
                yield change

    def _names_of_element(self, node: cst.CSTNode) -> Iterator[cst.Name]:
        """The reads of ``row`` in ``row = rows[i]``, ``for row in rows:`` and the like."""
        for place in self._holdings.elements(node):
            if isinstance(place, cst.Name):
                yield place
            else:
                yield from self._named(place)

    def _named(self, node: cst.CSTNode) -> Iterator[cst.Name]:
        """The reads of the names that an expression is bound to."""
        parent = self._tree.parent(node)
        targets: list[cst.BaseExpression] = []
        if isinstance(parent, cst.Assign):
            targets = [target.target for target in parent.targets]
        elif isinstance(parent, (cst.AnnAssign, cst.NamedExpr)) and node is parent.value:
            targets = [parent.target]
        for target in targets:
            binding = self._tree.binding_at(target)
            if binding is not None:
                yield from self._program.names.reads_of(binding)

    # -- where it stands -----------------------------------------------------------------------

    def _is_statement(self, call: cst.CSTNode) -> bool:
        return isinstance(self._tree.parent(call), cst.Expr)

    def _goes_on(self, call: cst.CSTNode) -> bool:
        """``d.setdefault(k, []).append(x)``: the change is the last one."""
        parent = self._tree.parent(call)
        return isinstance(parent, (cst.Attribute, cst.Subscript)) and parent.value is call

    def _is_deleted(self, node: cst.CSTNode) -> bool:
        return isinstance(self._tree.parent(node), cst.Del)

    def stored(self, target: cst.Subscript) -> cst.CSTNode | None:
        """Where an item is assigned or deleted: the target or the ``del``; ``None`` for a read."""
        return self._place(target) if self._is_stored(target) else None

    def _is_stored(self, node: cst.Subscript) -> bool:
        child: cst.CSTNode = node
        parent = self._tree.parent(child)
        while isinstance(parent, (cst.Element, cst.StarredElement, cst.Tuple, cst.List)):
            child, parent = parent, self._tree.parent(parent)
        if isinstance(parent, (cst.AssignTarget, cst.Del)):
            return True
        if isinstance(parent, (cst.AugAssign, cst.AnnAssign, cst.For, cst.CompFor)):
            return child is parent.target
        return isinstance(parent, cst.AsName)

    def _place(self, target: cst.CSTNode) -> cst.CSTNode:
        parent = self._tree.parent(target)
        return parent if isinstance(parent, cst.Del) else target

    # -- what it is ----------------------------------------------------------------------------

    def _called(self, receiver: cst.CSTNode, name: str) -> bool:
        """Does a call of the method ``name`` change the receiver?"""
        values = self._program.values(receiver)
        if not self._are_plain(values, receiver):
            return False
        objects = [v for v in values if isinstance(v, Instance)]
        if len(objects) < len([v for v in values if not is_none(v)]) and name in MUTATORS:
            return True
        return any(self._changes_object(value, name) for value in objects)

    def _changes_object(self, value: Instance, name: str) -> bool:
        if self._classes.method(value.cls, name) is not None:
            return bool(self.changed_by(value.cls, name))
        return name in MUTATORS and self._inherits_containers(value)

    def _is_plain(self, receiver: cst.CSTNode) -> bool:
        return self._are_plain(self._program.values(receiver), receiver)

    def _is_object(self, receiver: cst.CSTNode) -> bool:
        values = [v for v in self._program.values(receiver) if not is_none(v)]
        return bool(values) and all(
            isinstance(v, Instance) and not self._is_per_thread(v) for v in values
        )

    def _are_plain(self, values: Values, receiver: cst.CSTNode) -> bool:
        """True if all values are containers or objects of this process."""
        values = tuple(v for v in values if not is_none(v))
        if not values:
            return False
        if all(self.is_plain(value) for value in values):
            return True
        return isinstance(receiver, cst.Subscript) and self._has_plain_default(receiver.value)

    def is_plain(self, value: Value) -> bool:
        """True for a container, or an object of this module's classes: each process has its own."""
        if isinstance(value, Container):
            return value.type in ("list", "dict", "set")
        if isinstance(value, Result):
            return value.name in _PLAIN or self._is_plain_field(value)
        if isinstance(value, Computed):
            return self._is_plain_sum(value.site)
        return isinstance(value, Instance) and not self._is_per_thread(value)

    def _is_plain_sum(self, site: cst.CSTNode) -> bool:
        """``[0] * n``, ``first + second``: a new list, if one operand is a list."""
        if not isinstance(site, cst.BinaryOperation):
            return False
        return isinstance(site.operator, (cst.Add, cst.Multiply, cst.BitOr)) and any(
            isinstance(value, Container) and self.is_plain(value)
            for operand in (site.left, site.right)
            for value in self._program.values(operand)
        )

    def _is_plain_field(self, value: Result) -> bool:
        """The value of a dataclass's attribute: ``field(default_factory=list)``."""
        if value.name not in _FIELDS or not isinstance(value.site, cst.Call):
            return False
        given = {arg.keyword.value: arg.value for arg in value.site.args if arg.keyword is not None}
        factory = given.get("default_factory") or given.get("factory")
        return factory is not None and self._makes_plain(factory)

    def _is_per_thread(self, value: Instance) -> bool:
        return bool(_PER_THREAD.intersection(self._classes.external_bases(value.cls)))

    def _inherits_containers(self, value: Instance) -> bool:
        return bool(_CONTAINER_BASES.intersection(self._classes.external_bases(value.cls)))

    def _has_plain_default(self, receiver: cst.CSTNode) -> bool:
        """``d[k]`` of a ``defaultdict(list)``."""
        values = self._program.values(receiver)
        return bool(values) and all(
            isinstance(v, Container)
            and isinstance(v.site, cst.Call)
            and self._tree.qualified(v.site.func) == "collections.defaultdict"
            and bool(v.site.args)
            and self._makes_plain(v.site.args[0].value)
            for v in values
        )

    def _makes_plain(self, factory: cst.BaseExpression) -> bool:
        if isinstance(factory, cst.Lambda):
            return self._is_plain(factory.body)
        name = self._tree.qualified(factory)
        return name in _CONTAINER_BASES or name in _PLAIN

    # -- objects -------------------------------------------------------------------------------

    def changed_by(self, cls: cst.ClassDef, name: str) -> frozenset[str]:
        """The attributes that a method changes on its own object, through others of it too."""
        method = self._classes.method(cls, name)
        if method is None:
            return frozenset()
        known = self._attributes.get(method)
        if known is None:
            self._attributes[method] = frozenset()
            known = self._attributes[method] = frozenset(self._changed(cls, method))
        return known

    def _changed(self, cls: cst.ClassDef, method: cst.FunctionDef) -> Iterator[str]:
        for load in self._own_loads(method):
            attribute = self._tree.parent(load)
            if not isinstance(attribute, cst.Attribute):
                continue
            name = attribute.attr.value
            call = self._tree.parent(attribute)
            if isinstance(call, cst.Call) and call.func is attribute:
                yield from self.changed_by(cls, name)
            elif self._classes.store_of(attribute) is not None:
                yield name
            elif self.at(attribute) is not None:
                yield name

    def read_at(self, load: cst.Name) -> frozenset[str] | None:
        """The attributes of an object of this module that a read of it reads; ``None``: any."""
        attribute = self._tree.parent(load)
        if not isinstance(attribute, cst.Attribute):
            return None
        name = attribute.attr.value
        for value in self._program.values(load):
            if isinstance(value, Instance):
                if self._classes.method(value.cls, name) is None:
                    return frozenset({name})
                return self.read_by(value.cls, name)
        return None

    def read_by(self, cls: cst.ClassDef, name: str) -> frozenset[str] | None:
        """The attributes that a method reads of its own object; ``None``: any."""
        method = self._classes.method(cls, name)
        if method is None:
            return None
        if method not in self._read:
            self._read[method] = frozenset()
            self._read[method] = self._all_read(cls, method)
        return self._read[method]

    def _all_read(self, cls: cst.ClassDef, method: cst.FunctionDef) -> frozenset[str] | None:
        found: set[str] = set()
        for load in self._own_loads(method):
            attribute = self._tree.parent(load)
            if not isinstance(attribute, cst.Attribute):
                return None
            if self._classes.method(cls, attribute.attr.value) is not None:
                inner = self.read_by(cls, attribute.attr.value)
                if inner is None:
                    return None
                found |= inner
            elif not self.is_only_changed(attribute):
                found.add(attribute.attr.value)
        return frozenset(found)

    def _own_loads(self, method: cst.FunctionDef) -> list[cst.Name]:
        """The reads of ``self`` in a method."""
        names = positional_names(method.params)
        scope = self._tree.scopes[method]
        bindings = scope.bindings.get(names[0], ()) if names else ()
        return self._tree.loads_of(bindings[0]) if bindings else []

    def is_only_changed(self, node: cst.CSTNode) -> bool:
        """True where a value is only changed, and nothing is learnt from it."""
        if isinstance(node, cst.Attribute) and self._classes.store_of(node) is not None:
            return True
        change = self.at(node)
        return change is not None and not change.is_read
