"""Loops: what a loop runs again, and what is another thing at each turn.

A loop is a ``for``, a ``while`` or a comprehension. What stands in its body (for a ``while`` also
in its test) runs at every turn; the iterable of a ``for`` runs once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.values import External, Function, Lambda, Made
from flake8_mppitfalls.syntax.flow import PointKind
from flake8_mppitfalls.syntax.scopes import Bound, ScopeKind
from flake8_mppitfalls.syntax.tree import dotted_name

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Flow, Point
    from flake8_mppitfalls.syntax.scopes import Binding

Comprehension: TypeAlias = "cst.ListComp | cst.SetComp | cst.DictComp | cst.GeneratorExp"
Loop: TypeAlias = "cst.For | cst.While | Comprehension"

COMPREHENSIONS = (cst.ListComp, cst.SetComp, cst.DictComp, cst.GeneratorExp)
LOOPS = (cst.For, cst.While, *COMPREHENSIONS)
_STEADY = frozenset(
    "os.cpu_count os.process_cpu_count multiprocessing.cpu_count psutil.cpu_count len min max int "
    "float round abs sum str bool tuple list dict set sorted functools.partial os.getpid "
    "os.environ.get os.getenv os.sched_getaffinity math.ceil math.floor getattr isinstance "
    "multiprocessing.get_context torch.multiprocessing.get_context os.path.join".split()
)
"""Functions from elsewhere that give the same for the same arguments."""
_THREADS = frozenset({"asyncio.to_thread", "threading.Timer", "_thread.start_new_thread"})


class _Chains(NamedTuple):
    """How values go from expressions to names in a loop.

    ``targets`` are the names that get something from an expression, ``after`` those that get
    something from a name.
    """

    targets: dict[cst.CSTNode, list[str]]
    after: dict[str, list[str]]


class Loops:
    """Answers about the loops of one module."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._tree = program.tree
        self._evaluator = program.evaluator
        self._threads: dict[cst.CSTNode, int] | None = None
        self._rounds: dict[cst.CSTNode, set[Point]] = {}
        self._called: dict[cst.CSTNode, dict[cst.CSTNode, list[cst.CSTNode]]] = {}
        self._chains: dict[cst.CSTNode, _Chains] = {}
        self._reads: dict[cst.CSTNode, frozenset[str]] = {}
        self._exits: dict[cst.CSTNode, list[cst.BaseExpression]] = {}

    # -- where ---------------------------------------------------------------------------------

    def around(self, node: cst.CSTNode) -> Iterator[Loop]:
        """The loops of its function that run ``node`` at every turn, from the inside out."""
        inner, child = node, node
        for parent in self._tree.ancestors(node) if self._are_any else ():
            if type(parent) is cst.FunctionDef or type(parent) is cst.Lambda:
                if child is parent.body:
                    return
            elif type(parent) is cst.For:
                if child is parent.body:
                    yield parent
            elif type(parent) is cst.While:
                if child is not parent.orelse:
                    yield parent
            elif type(parent) in COMPREHENSIONS and isinstance(parent, COMPREHENSIONS):
                if not (child is parent.for_in and inner is parent.for_in.iter):
                    yield parent
            inner, child = child, parent

    @cached_property
    def _are_any(self) -> bool:
        return any(self._tree.nodes(kind) for kind in (cst.For, cst.While, *COMPREHENSIONS))

    def repeat(self, node: cst.CSTNode) -> bool:
        """True if a loop or comprehension of its function runs ``node`` again and again."""
        return any(True for _ in self.around(node))

    def goes_round(self, node: cst.CSTNode, loop: Loop) -> bool:
        """True if a way without an exception leads from ``node`` to the next turn of ``loop``."""
        if isinstance(loop, COMPREHENSIONS):
            return True
        flow = self._evaluator.names.flow(self._tree.function_of(loop))
        going_round = self._points_that_go_round(flow, loop)
        return any(s in going_round for point in flow.points_of(node) for s in point.successors)

    def _points_that_go_round(self, flow: Flow, loop: cst.For | cst.While) -> set[Point]:
        """The points of a loop from which a way without an exception leads to its next turn."""
        known = self._rounds.get(loop)
        if known is None:
            first = loop.target if isinstance(loop, cst.For) else loop.test
            known = self._rounds[loop] = {
                before
                for point in flow.points_of(first)
                for before in point.predecessors
                if before.kind is PointKind.LOOP
            }
            work = list(known)
            while work:
                for before in work.pop().predecessors:
                    if before not in known and self._is_inside(before, loop):
                        known.add(before)
                        work.append(before)
        return known

    def _is_inside(self, point: Point, loop: Loop) -> bool:
        return point.node is None or self._tree.is_within(point.node, loop)

    def body_of(self, loop: Loop) -> Iterator[cst.CSTNode]:
        """The nodes that run at every turn, nested functions apart."""
        if isinstance(loop, cst.For):
            yield from self._tree.walk(loop.body)
        elif isinstance(loop, cst.While):
            yield from self._tree.walk(loop.test)
            yield from self._tree.walk(loop.body)
        else:
            first = set(self._tree.walk(loop.for_in.iter))
            yield from (node for node in self._tree.walk(loop) if node not in first)

    def leaves(self, statement: cst.CSTNode, loop: Loop) -> bool:
        """True for a ``break`` out of ``loop`` itself, or a ``return``."""
        if isinstance(statement, cst.Return):
            return True
        if not isinstance(statement, cst.Break):
            return False
        return (
            next(
                (p for p in self._tree.ancestors(statement) if isinstance(p, (cst.For, cst.While))),
                None,
            )
            is loop
        )

    # -- what varies ---------------------------------------------------------------------------

    def varies(self, expression: cst.CSTNode, loop: Loop) -> bool:
        """True if an expression may have another value at each turn of ``loop``."""
        return self._varies(expression, loop, set())

    def _varies(self, expression: cst.CSTNode, loop: Loop, seen: set[object]) -> bool:
        if expression in seen:
            return False
        seen.add(expression)
        for node in self._tree.walk(expression, into_functions=True):
            if isinstance(node, cst.Name):
                bindings = self.bound_inside(node, loop)
                if any(self._binding_varies(b, loop, seen) for b in bindings):
                    return True
            elif isinstance(node, cst.Attribute):
                if self._attribute_varies(node, loop, seen):
                    return True
            elif isinstance(node, cst.Call) and not self._is_steady(node):
                return True
            elif isinstance(node, (cst.Await, cst.Yield)):
                return True
        return False

    def bound_inside(self, name: cst.Name, loop: Loop) -> list[Binding]:
        """The assignments to a name that the loop makes."""
        owner = self._tree.scope_of(name).owner_of(name.value)
        if owner is None:
            return []
        return [
            b
            for b in owner.bindings[name.value]
            if b.kind is not Bound.PARAMETER and self._tree.is_within(b.node, loop)
        ]

    def _binding_varies(self, binding: Binding, loop: Loop, seen: set[object]) -> bool:
        if binding.kind in (Bound.ASSIGN, Bound.WITH) and binding.value is not None:
            return self._varies(binding.value, loop, seen)
        if binding.kind is Bound.FUNCTION:
            return self._varies(binding.node, loop, seen)
        return binding.kind not in (Bound.IMPORT, Bound.ANNOTATED, Bound.CLASS)

    def _attribute_varies(self, node: cst.Attribute, loop: Loop, seen: set[object]) -> bool:
        text = dotted_name(node)
        for store in self._evaluator.classes.stores(node.attr.value):
            if not self._tree.is_within(store.node, loop):
                continue
            if text and dotted_name(store.node) != text:
                continue
            if store.kind is not Bound.ASSIGN or store.value is None:
                return True
            if self._varies(store.value, loop, seen):
                return True
        return False

    def _is_steady(self, call: cst.Call) -> bool:
        """Does a call give the same at every turn, if its arguments are the same?"""
        for value in self._evaluator.values(call.func):
            if isinstance(value, External):
                plain = api.canonical(value.name)
                if plain not in _STEADY and value.name not in _STEADY:
                    maker = api.maker(value.name)
                    if maker is None or maker.makes is not api.Kind.CONTEXT:
                        return False
            elif isinstance(value, Function):
                scope = self._tree.scopes[value.node]
                if scope.is_generator or scope.global_names or scope.nonlocal_names:
                    return False
            elif not isinstance(value, Lambda):
                return False
        return True

    def is_changed(self, expression: cst.CSTNode, loop: Loop, apart: cst.CSTNode) -> bool:
        """True if the loop may change an object that stands in ``expression``.

        Something is done with it in the loop (``apart`` from one call), or it is made there.
        """
        for node in self._tree.walk(expression):
            if isinstance(node, cst.Call) and any(
                isinstance(v, Made) for v in self._evaluator.values(node)
            ):
                return True
            if isinstance(node, cst.Name):
                if self.bound_inside(node, loop) or self._is_used(node.value, loop, apart):
                    return True
            elif isinstance(node, cst.Attribute) and self.is_attribute_changed(
                node.attr.value, loop
            ):
                return True
        return False

    def _is_used(self, name: str, loop: Loop, apart: cst.CSTNode) -> bool:
        for load in self._tree.loads.get(name, ()):
            if not self._tree.is_within(load, loop) or self._tree.is_within(load, apart):
                continue
            if name == "self" or self._program.evaluator.classes.named(load) is not None:
                continue
            parent = self._tree.parent(load)
            if isinstance(parent, (cst.Attribute, cst.Subscript)) and load is parent.value:
                return True
            if isinstance(parent, cst.Arg):
                call = self._tree.parent(parent)
                if isinstance(call, cst.Call) and dotted_name(call.func) not in {"print", "len"}:
                    return True
        return False

    def is_attribute_changed(self, name: str, loop: Loop) -> bool:
        """True if the loop, or a function of this module that it calls, changes ``x.name``."""
        called = self.called_in(loop)
        for node in self._tree.attributes.get(name, ()):
            function = self._tree.function_of(node).node
            if not self._tree.is_within(node, loop) and function not in called:
                continue
            if self._evaluator.classes.store_of(node) is not None:
                return True
            if self._program.changes.at(node) is not None:
                return True
        return False

    def called_in(self, loop: Loop) -> frozenset[cst.CSTNode]:
        """The functions of this module that run in a turn of the loop, however deep."""
        owner = self._tree.function_of(loop).node
        known = self._called.get(owner)
        if known is None:
            known = self._called[owner] = {}
            for step in self._program.runs.steps(owner):
                if step.functions:
                    for around in self._tree.ancestors(step.node):
                        if isinstance(around, (cst.For, cst.While, *COMPREHENSIONS)):
                            known.setdefault(around, []).extend(step.functions)
        return self._program.sides.reach(known.get(loop, ()))

    # -- what comes of a result ----------------------------------------------------------------

    def fed_by(self, call: cst.CSTNode, loop: Loop) -> set[str]:
        """The names and attributes that hold, in the loop, what comes of a call's result."""
        chains = self._chains_of(loop)
        work: list[str] = []
        for node in (call, *self._tree.ancestors(call)):
            if node is loop:
                break
            work += chains.targets.get(node, ())
        fed: set[str] = set()
        while work:
            name = work.pop()
            if name not in fed:
                fed.add(name)
                work += chains.after.get(name, ())
        return fed

    def _chains_of(self, loop: Loop) -> _Chains:
        known = self._chains.get(loop)
        if known is None:
            known = self._chains[loop] = _Chains({}, {})
            for target, value in self._links(loop):
                known.targets.setdefault(value, []).append(target)
                for node in self._tree.walk(value, into_functions=True):
                    if isinstance(node, (cst.Name, cst.Attribute)):
                        name = dotted_name(node)
                        if name and not self._is_of_comprehension(node):
                            known.after.setdefault(name, []).append(target)
                    elif isinstance(node, cst.Call):
                        for name in self._read_by(node):
                            known.after.setdefault(name, []).append(target)
        return known

    def _read_by(self, call: cst.Call) -> Iterator[str]:
        """The attributes that a function of this module reads when it is called."""
        for function in self._program.sides.functions(self._evaluator.values(call.func)):
            known = self._reads.get(function)
            if known is None:
                known = self._reads[function] = frozenset(
                    dotted_name(node)
                    for node in self._tree.walk(function)
                    if isinstance(node, cst.Attribute)
                )
            yield from known - {""}

    def _has(self, expression: cst.CSTNode, call: cst.CSTNode) -> bool:
        return self._tree.is_within(call, expression)

    def is_fed(self, expression: cst.CSTNode, fed: set[str]) -> bool:
        """True if one of the names (or attributes) is read in an expression."""
        return bool(fed) and any(
            isinstance(node, (cst.Name, cst.Attribute))
            and dotted_name(node) in fed
            and not self._is_of_comprehension(node)
            for node in self._tree.walk(expression, into_functions=True)
        )

    def _is_of_comprehension(self, node: cst.CSTNode) -> bool:
        """A variable of a comprehension may have the name of another one."""
        if not isinstance(node, cst.Name):
            return False
        owner = self._tree.scope_of(node).owner_of(node.value)
        return owner is not None and owner.kind is ScopeKind.COMPREHENSION

    def _links(self, loop: Loop) -> Iterator[tuple[str, cst.CSTNode]]:
        """From which expressions which names and attributes get their contents in a loop."""
        for node in self.body_of(loop):
            if isinstance(node, cst.Assign):
                for target in node.targets:
                    yield from self._linked(target.target, node.value)
            elif isinstance(node, (cst.AnnAssign, cst.AugAssign)):
                if node.value is not None:
                    yield from self._linked(node.target, node.value)
            elif isinstance(node, cst.NamedExpr):
                yield from self._linked(node.target, node.value)
            elif isinstance(node, (cst.For, cst.CompFor)):
                yield from self._linked(node.target, node.iter)
            elif isinstance(node, cst.If):
                yield from self._chosen(node)
            elif isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
                change = self._program.changes.at(node.func.value)
                if change is not None and change.node is node:
                    for arg in node.args:
                        yield from self._linked(node.func.value, arg.value)

    def _chosen(self, statement: cst.If) -> Iterator[tuple[str, cst.CSTNode]]:
        """What a test decides to assign (``if middle > 3: high = middle``) comes of the test."""
        blocks: list[cst.CSTNode] = [statement.body]
        if isinstance(statement.orelse, cst.Else):  # an ``elif`` has a test of its own
            blocks.append(statement.orelse.body)
        for node in (node for block in blocks for node in self._tree.walk(block)):
            if isinstance(node, cst.Assign):
                for target in node.targets:
                    yield from self._linked(target.target, statement.test)
            elif isinstance(node, (cst.AnnAssign, cst.AugAssign)):
                yield from self._linked(node.target, statement.test)

    def _linked(
        self, target: cst.BaseExpression, value: cst.CSTNode
    ) -> Iterator[tuple[str, cst.CSTNode]]:
        if isinstance(target, (cst.Tuple, cst.List)):
            for element in target.elements:
                yield from self._linked(element.value, value)
        elif isinstance(target, (cst.Subscript, cst.StarredElement)):
            yield from self._linked(target.value, value)
        elif dotted_name(target):
            yield dotted_name(target), value

    def is_ended_by(self, call: cst.CSTNode, loop: Loop, fed: set[str]) -> bool:
        """True if the result of a call decides whether there is another turn."""
        if isinstance(loop, COMPREHENSIONS):
            return False
        if isinstance(loop, cst.While):
            if self.is_fed(loop.test, fed) or self._has(loop.test, call):
                return True
        return any(self.is_fed(test, fed) or self._has(test, call) for test in self._ending(loop))

    def _ending(self, loop: cst.For | cst.While) -> list[cst.BaseExpression]:
        """The tests in a loop that decide whether it is left."""
        known = self._exits.get(loop)
        if known is None:
            leaving: dict[cst.CSTNode, None] = {}
            for node in self._tree.walk(loop.body):
                if isinstance(node, (cst.Break, cst.Return)) and self.leaves(node, loop):
                    for around in self._tree.ancestors(node):
                        if around is loop:
                            break
                        if isinstance(around, cst.If):
                            leaving[around] = None
            known = self._exits[loop] = [n.test for n in leaving if isinstance(n, cst.If)]
        return known

    # -- threads -------------------------------------------------------------------------------

    def is_in_several_threads(self, node: cst.CSTNode) -> bool:
        """True if the code that holds ``node`` may run in several threads of this process."""
        threads = self._threads_of()
        return any(threads.get(f, 0) > 1 for f in self._program.sides.functions_around(node))

    def _threads_of(self) -> dict[cst.CSTNode, int]:
        if self._threads is None:
            self._threads = {}
            for function, times in self._thread_entries():
                for reached in self._program.sides.reach([function]):
                    self._threads[reached] = self._threads.get(reached, 0) + times
        return self._threads

    def _thread_entries(self) -> Iterator[tuple[cst.CSTNode, int]]:
        """The functions that threads run, with how many threads do (2: several)."""
        sides, tree = self._program.sides, self._tree
        for task in self._program.tasks:
            if not task.in_processes:
                for function in sides.functions(self._evaluator.values(task.callable)):
                    yield function, 2
        for made in self._program.made.get(api.Kind.THREAD, ()):
            if isinstance(made.site, cst.Call) and made.cls is None:
                target = argument(made.site, api.MAKERS["Thread"].parameters, "target")
                single = next(self.around(made.site), None) is None
                for function in sides.functions(self._evaluator.values(target)):
                    yield function, 1 if single else 2
        for cls in tree.nodes(cst.ClassDef):
            maker = self._evaluator.classes.maker(cls)
            if maker is not None and maker.makes is api.Kind.THREAD:
                method = self._evaluator.classes.method(cls, "run")
                if method is not None:
                    yield method, 2
        for name in ("to_thread", "Timer", "start_new_thread", "run_in_executor"):
            for call in tree.calls_of.get(name, ()):
                if name != "run_in_executor" and tree.qualified(call.func) not in _THREADS:
                    continue
                if self._program.task_of(call) is None:
                    for arg in call.args:
                        for function in sides.functions(self._evaluator.values(arg.value)):
                            yield function, 2
