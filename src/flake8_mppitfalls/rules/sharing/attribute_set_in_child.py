"""MPP306."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.classes import CONSTRUCTORS, decorator_names
from flake8_mppitfalls.model.evaluation.uses import HANDED_ON, UseKind
from flake8_mppitfalls.model.values import BoundMethod, Constant, Instance, Made, is_none
from flake8_mppitfalls.rules.base import Finding, Rule
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.classes import Store
    from flake8_mppitfalls.model.execution.sides import Entry
    from flake8_mppitfalls.model.program import Program

_CONSTRUCTORS = frozenset({*CONSTRUCTORS, "__set_name__"})
_STATE = frozenset({"__getstate__", "__setstate__", "__reduce__", "__reduce_ex__", "__del__"})


class AttributeSetInChild(Rule):
    """A child process sets an attribute of its object, and the parent reads its own.

    What it does:
        Finds ``self.x = …``, ``self.x += …`` or ``self.x.append(…)`` in ``run()`` of a ``Process``
        subclass, in a method that is the ``target`` of a ``Process`` or the task of a pool, or in a
        method that these call, where the parent reads that attribute after the start.

    Why it is bad:
        The child works on a copy of the object: of the whole memory under ``fork``, a pickled one
        under ``spawn`` and ``forkserver``. What it sets there, the parent's object never gets.
        There is no error: the result stays what ``__init__`` made it.

    Example:
        ::

            class Counter(multiprocessing.Process):
                def __init__(self):
                    super().__init__()
                    self.count = 0

                def run(self):
                    self.count = 42

            counter = Counter()
            counter.start()
            counter.join()
            print(counter.count)  # 0

    Use instead:
        ::

            class Counter(multiprocessing.Process):
                def __init__(self):
                    super().__init__()
                    self.count = multiprocessing.Value("i", 0)

                def run(self):
                    self.count.value = 42

        or a queue or pipe over which the child sends what it found.

    Known limits:
        Silent where the parent assigns the attribute, too, after the constructor, for methods that
        both sides call, and for an argument of the process that its target keeps as it is.

    References:
        Python documentation, ``multiprocessing``, "Exchanging objects between processes".
    """

    code = "MPP306"
    name = "attribute-set-in-child"
    message = (
        "{attribute} {done} in the child process only: the parent's object keeps what it had at"
        " the start; send it over a queue or pipe, or make it a Value"
    )

    def check(self, program: Program) -> Iterator[Finding]:
        """Yield each assignment in a child to what the parent reads of its own object."""
        places: dict[cst.CSTNode, list[cst.CSTNode]] = {}
        classes = _classes(program)
        attributes = _by_function(program) if classes else {}
        for cls, entries in classes.items():
            family = {cls, *program.evaluator.classes.mro(cls)}
            family.update(program.evaluator.classes.subclasses(cls))
            child = program.sides.reach(entry.function for entry in entries)
            sent = _made_at(program, entries)
            for name, nodes in _set_in_child(program, family, child, attributes).items():
                if _is_read_in_parent(program, family, name, sent):
                    for node in nodes:
                        here = places.setdefault(program.tree.statement_of(node), [])
                        if node not in here:
                            here.append(node)
        for nodes in places.values():
            nodes.sort(key=program.tree.order_of_completion)
            verb = "set" if isinstance(nodes[0], cst.Attribute) else "changed"
            yield self.finding(
                nodes[0],
                attribute=", ".join(program.source(_attribute(n), "an attribute") for n in nodes),
                done=f"{'are' if len(nodes) > 1 else 'is'} {verb}",
            )


def _classes(program: Program) -> dict[cst.ClassDef, list[Entry]]:
    """The classes whose methods run in a process or as the task of a pool."""
    found: dict[cst.ClassDef, list[Entry]] = {}
    for entry in program.sides.entries():
        if entry.task is not None and entry.task.shape.role == "initializer":
            continue
        cls = _class_of(program, entry)
        if cls is not None and _is_of_object(program, entry):
            found.setdefault(cls, []).append(entry)
    return found


def _class_of(program: Program, entry: Entry) -> cst.ClassDef | None:
    """The class of the method, or of the one inside of which a process has its function."""
    of_method = program.evaluator.classes.of_method
    cls = of_method(entry.function)
    if cls is None and entry.task is not None and entry.task.shape.role == "process":
        around = (of_method(f) for f in program.sides.functions_around(entry.function))
        cls = next((found for found in around if found is not None), None)
    return cls


def _is_of_object(program: Program, entry: Entry) -> bool:
    """Does it run as a method of an object, and not of a class?"""
    function = entry.function
    if entry.task is None or not isinstance(function, cst.FunctionDef):
        return True
    kinds = {"staticmethod", "classmethod"}
    return kinds.isdisjoint(decorator_names(program.tree, function))


def _by_function(program: Program) -> dict[cst.CSTNode, list[cst.Attribute]]:
    """The attributes that the code of each function speaks of."""
    found: dict[cst.CSTNode, list[cst.Attribute]] = {}
    for node in program.tree.nodes(cst.Attribute):
        function = _function_around(program, node)
        if function is not None:
            found.setdefault(function, []).append(node)
    return found


def _set_in_child(
    program: Program,
    family: set[cst.ClassDef],
    child: frozenset[cst.CSTNode],
    attributes: dict[cst.CSTNode, list[cst.Attribute]],
) -> dict[str, list[cst.CSTNode]]:
    """The places in the child's code that set or change an attribute, by its name."""
    found: dict[str, list[cst.CSTNode]] = {}
    methods = {m.name.value for cls in family for m in program.evaluator.classes.methods(cls)}
    for function in child:
        if _is_called_in_parent(program, function):
            continue
        for node in attributes.get(function, ()):
            name = node.attr.value
            if name in methods:
                continue  # a property does what it likes
            place: cst.CSTNode | None = None
            store = program.evaluator.classes.store_of(node)
            if store is not None:
                adds = store.kind is Bound.AUGMENTED or program.tree.calculates_with(
                    store.value, node
                )
                if adds and _is_shared(program, node):
                    continue  # MPP312
                if _is_no_news(program, store, function):
                    continue
                place = node
            else:
                change = program.changes.at(node)
                if change is not None and change.depth == 0 and _is_container(program, node):
                    place = change.node
            if place is not None and _is_of_parent(program, node, family):
                found.setdefault(name, []).append(place)
    return {
        name: nodes
        for name, nodes in found.items()
        if not _is_assigned_in_parent(program, family, name)
    }


def _is_no_news(program: Program, store: Store, function: cst.CSTNode | None) -> bool:
    """What the parent gave the child with its start, or ``None`` to let go of something.

    And one of its own of what the constructor makes, too: ``self.log = getLogger("worker")``.
    """
    if store.path or store.kind is not Bound.ASSIGN:
        return False
    made = program.names.behind(store.value)
    if isinstance(made, cst.Call) and _is_made_by_both(program, store, made):
        return True
    if any(entry.function is function for entry in program.sides.entries()):
        if _is_argument(program, store.value, function):
            return True
    values = program.values(store.value)
    return bool(values) and all(is_none(value) for value in values)


def _is_made_by_both(program: Program, store: Store, made: cst.Call) -> bool:
    """Does the constructor, or the class, call the same, and is it given constants alone?"""
    assert isinstance(store.node, cst.Attribute)
    if not all(
        isinstance(value, Constant) for arg in made.args for value in program.values(arg.value)
    ) or any(not program.values(arg.value) for arg in made.args):
        return False
    classes, name = program.evaluator.classes, store.node.attr.value
    cls = classes.of_method(program.tree.function_of(store.node).node)
    first = [
        other.value for other in classes.stores(name) if _is_in_constructor(program, other.node)
    ]
    for c in classes.mro(cls) if cls is not None else ():
        first += [binding.value for binding in program.tree.scopes[c].bindings.get(name, ())]
    calls = map(program.names.behind, first)
    return any(isinstance(one, cst.Call) and one.func.deep_equals(made.func) for one in calls)


def _is_argument(
    program: Program, value: cst.BaseExpression | None, function: cst.CSTNode | None
) -> bool:
    """A parameter as it was given, or a display of such: ``[pipe]``."""
    if isinstance(value, (cst.List, cst.Tuple)) and value.elements:
        return all(_is_argument(program, e.value, function) for e in value.elements)
    bindings = program.names.bindings(value) if isinstance(value, cst.Name) else ()
    return bool(bindings) and all(
        b.kind is Bound.PARAMETER and b.scope.node is function for b in bindings
    )


def _is_container(program: Program, node: cst.Attribute) -> bool:
    """A list, dict or set: what a method of another object changes is that object's matter."""
    return not any(isinstance(value, Instance) for value in program.values(node))


def _is_shared(program: Program, node: cst.Attribute) -> bool:
    """Is the attribute a ``Value`` or the like somewhere?"""
    return any(isinstance(value, Made) for value in program.values(node))


def _attribute(node: cst.CSTNode) -> cst.CSTNode:
    """``self.x`` of ``self.x.append(1)``, ``self.x[k]``, ``del self.x[k]``."""
    if isinstance(node, cst.Del):
        node = node.target
    if isinstance(node, cst.Call):
        node = node.func
        return node.value if isinstance(node, cst.Attribute) else node
    return node.value if isinstance(node, cst.Subscript) else node


def _is_of(program: Program, node: cst.Attribute, family: set[cst.ClassDef]) -> bool:
    return any(
        isinstance(value, (Instance, Made)) and value.cls in family
        for value in program.values(node.value)
    )


def _is_of_parent(program: Program, node: cst.Attribute, family: set[cst.ClassDef]) -> bool:
    """Is it of an object that the parent has, too, and not of one that the child makes?"""
    return any(
        isinstance(value, (Instance, Made))
        and value.cls in family
        and (not isinstance(value.site, cst.Call) or program.sides.is_parent_code(value.site))
        for value in program.values(node.value)
    )


def _function_around(program: Program, node: cst.CSTNode) -> cst.CSTNode | None:
    return next(program.sides.functions_around(node), None)


def _is_in_constructor(program: Program, node: cst.CSTNode) -> bool:
    function = _function_around(program, node)
    return (
        isinstance(function, cst.FunctionDef)
        and function.name.value in _CONSTRUCTORS | _STATE
        and program.evaluator.classes.of_method(function) is not None
    )


def _is_called_in_parent(program: Program, function: cst.CSTNode | None) -> bool:
    """Is a method (or what the constructor is) called by code of the parent, too?"""
    if not isinstance(function, cst.FunctionDef):
        return False
    if function.name.value in _CONSTRUCTORS | _STATE:
        return True
    return function not in program.sides.entered and function in program.sides.parents


def _is_assigned_in_parent(program: Program, family: set[cst.ClassDef], name: str) -> bool:
    return any(
        program.sides.is_parent_code(node)
        and not _is_in_constructor(program, node)
        and _is_of(program, node, family)
        for node in program.evaluator.members.of_classes(name, family)
        if program.evaluator.classes.store_of(node) is not None
    )


def _made_at(program: Program, entries: list[Entry]) -> set[cst.CSTNode]:
    """Where the objects are made whose methods go to a process; empty if that is not known.

    Nor where others may get them.
    """
    sites: set[cst.CSTNode] = set()
    for entry in entries:
        for value in program.values(entry.task.callable) if entry.task is not None else (None,):
            receiver = value.receiver if isinstance(value, BoundMethod) else None
            site = receiver.site if isinstance(receiver, Instance) else None
            if not isinstance(site, cst.Call):
                return set()
            sites.add(site)
    away = HANDED_ON - {UseKind.KEPT}
    return set() if any(u.kind in away for s in sites for u in program.uses.of(s)) else sites


def _is_read_in_parent(
    program: Program, family: set[cst.ClassDef], name: str, sent: set[cst.CSTNode]
) -> bool:
    """Does code of the parent read the attribute of an object whose process was started?"""
    for node in program.evaluator.members.of_classes(name, family):
        if program.changes.is_only_changed(node) or not program.sides.is_parent_code(node):
            continue
        if _is_in_constructor(program, node) or not _is_of(program, node, family):
            continue
        sites = {
            value.site
            for value in program.values(node.value)
            if isinstance(value, (Instance, Made)) and value.site is not None
        }
        if sent and _is_another(program, node, sent):
            continue
        if program.module_state.follows_work(node, sites):
            return True
    return False


def _is_another(program: Program, node: cst.Attribute, sent: set[cst.CSTNode]) -> bool:
    """Is the attribute read of an object that is made elsewhere than those that were sent?"""

    def may_be_sent(receiver: cst.BaseExpression) -> bool:
        sites = [getattr(value, "site", None) for value in program.values(receiver)]
        return not sites or any(s in sent or not isinstance(s, cst.Call) for s in sites)

    if not may_be_sent(node.value):
        return True
    method = _function_around(program, node)
    if method is None or program.evaluator.classes.of_method(method) is None:
        return False
    calls = [reference.node for reference in program.references.of(method)]
    return not any(not isinstance(n, cst.Attribute) or may_be_sent(n.value) for n in calls)
