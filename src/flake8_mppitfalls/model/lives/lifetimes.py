"""Lifetimes: what happens to each pool, executor and process of a file, in which order.

A :class:`Life` gathers the uses of one of them and what the data flow of ``typestate.py`` found.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.lives.decisions import DecidingPoints, asked_for
from flake8_mppitfalls.model.lives.events import hands_on
from flake8_mppitfalls.model.lives.lending import loans
from flake8_mppitfalls.model.lives.life import Life
from flake8_mppitfalls.model.lives.machine import MACHINES
from flake8_mppitfalls.model.lives.typestate import Typestate
from flake8_mppitfalls.model.values import UNKNOWN, Made
from flake8_mppitfalls.syntax.flow import PointKind
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.syntax.flow import Point
    from flake8_mppitfalls.syntax.scopes import Binding, Scope


MOST_FOLLOWED = 2_000
"""On behalf of things so many functions are gone through in one file, and then:"""
MOST_FOLLOWED_EACH = 30
"""So many for each function of the file. Nothing is said of the things that come after that."""


_NOTHING_MORE = frozenset({UseKind.RETURNED, UseKind.DROPPED, UseKind.TESTED})
"""What a function that only makes a thing does with it."""


class Lifetimes:
    """The lives of the pools, executors and processes of one file."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.followed = 0
        """How many functions have been gone through so far."""
        functions = len(program.tree.nodes(cst.FunctionDef))
        self._most_followed = MOST_FOLLOWED + MOST_FOLLOWED_EACH * functions
        self._lives: dict[cst.CSTNode, Life] = {}
        self._deciding: dict[Scope, DecidingPoints] = {}
        self._tests: dict[Scope, dict[cst.CSTNode, list[Point]]] = {}
        self._strangers: dict[str, set[str]] = {}

    def deciding(self, scope: Scope) -> DecidingPoints:
        """The points of a function, or of the module, at which tests come out."""
        if scope not in self._deciding:
            points = self._program.names.data_flow(scope).flow.points
            self._deciding[scope] = DecidingPoints(self._program.tree, points)
        return self._deciding[scope]

    def tests_for(self, scope: Scope, site: cst.CSTNode) -> list[Point]:
        """The tests of a function that ask whether there is what is made at ``site``."""
        if scope not in self._tests:
            found: dict[cst.CSTNode, list[Point]] = {}
            for point in self._program.names.data_flow(scope).flow.points:
                if point.kind is PointKind.TEST and isinstance(point.node, cst.BaseExpression):
                    asked = asked_for(point.node)
                    if isinstance(asked, (cst.Name, cst.Attribute)):
                        for value in self._program.values(asked):
                            if isinstance(value, Made):
                                found.setdefault(value.site, []).append(point)
            self._tests[scope] = found
        return self._tests[scope].get(site, [])

    def item_of(self, entered: cst.CSTNode) -> cst.WithItem | None:
        """The ``with`` item at whose end something is left that was entered at ``entered``.

        That is the item itself, or for ``stack.enter_context(…)`` the item that entered ``stack``.
        """
        if isinstance(entered, cst.WithItem):
            return entered
        if isinstance(entered, cst.Call) and isinstance(entered.func, cst.Attribute):
            stack = entered.func.value
            if isinstance(stack, cst.Name):
                for binding in self._program.names.bindings(stack):
                    if binding.kind is Bound.ASSIGN:
                        return self._item_of_stack(binding, entered)
                    for parent in self._program.tree.ancestors(binding.node):
                        if isinstance(parent, cst.WithItem):
                            return None if self._is_emptied(binding) else parent
                        if isinstance(parent, cst.BaseCompoundStatement):
                            break
        return None

    def _item_of_stack(self, stack: Binding, entered: cst.CSTNode) -> cst.WithItem | None:
        """``stack = ExitStack()`` and then ``with stack:``, around the place."""
        tree = self._program.tree
        if self._is_emptied(stack):
            return None
        for load in self._program.names.reads_of(stack):
            item = tree.parent(load)
            block = tree.parent(item) if isinstance(item, cst.WithItem) else None
            if isinstance(item, cst.WithItem) and isinstance(block, cst.With):
                if tree.is_within(entered, block.body):
                    return item
        return None

    def _is_emptied(self, stack: Binding) -> bool:
        """``stack.pop_all()``: what it holds is left later, if at all."""
        tree = self._program.tree
        return any(
            isinstance(member.value, cst.Name) and stack in tree.lookup(member.value)
            for member in tree.attributes.get("pop_all", ())
        )

    def is_inside_with(self, life: Life, node: cst.CSTNode) -> bool:
        """True in a ``with`` block of the pool; after ``enter_context()`` anywhere."""
        tree = self._program.tree
        for entered in life.entered:
            statement = tree.parent(entered)
            if not isinstance(statement, cst.With):
                return True
            if tree.is_within(node, statement.body):
                return True
        return False

    def exits_at_once(self, call: cst.Call) -> bool:
        """True if the interpreter is told to exit within the next few statements."""
        flow = self._program.names.flow(self._program.tree.function_of(call))
        for start in flow.points_of(call):
            point = start
            for _ in range(4):
                if len(point.successors) != 1:
                    break
                point = point.successors[0]
                if point.node is not None and flow.ends_program(point.node):
                    return True
        return False

    def of(self, made: Made) -> Life:
        """The life of a pool, executor or process that a call of this file makes."""
        life = self._lives.get(made.site)
        if life is None:
            life = self._begin(made)
            if self._has_a_story(life):
                Typestate(self._program, life).run()
                self._leave_callbacks(life)
                self._leave_strangers(life)
            self._lives[made.site] = life
        return life

    def all(self, kind: api.Kind) -> Iterator[Life]:
        """The lives of what the calls of this file make, and of what its functions declare."""
        for made in self._program.made.get(kind, ()):
            yield self.of(made)
        for made, parameter in self._declared.get(kind, ()):
            life = self._lives.get(made.site)
            if life is None:
                life = self._begin(made, parameter)
                if self._has_a_story(life):
                    Typestate(self._program, life).run()
                self._lives[made.site] = life
            yield life

    @cached_property
    def _declared(self) -> dict[api.Kind, list[tuple[Made, Binding]]]:
        """The parameters of which an annotation alone says what they are."""
        evaluator = self._program.evaluator
        found: dict[api.Kind, list[tuple[Made, Binding]]] = {}
        for function in self._program.tree.nodes(cst.FunctionDef):
            for bindings in self._program.tree.scopes[function].bindings.values():
                parameter = bindings[0]
                if parameter.kind is not Bound.PARAMETER or parameter.annotation is None:
                    continue
                for made in evaluator.annotations.of(parameter.annotation):
                    if isinstance(made, Made) and made.kind in MACHINES:
                        if made in evaluator.bound(parameter):
                            found.setdefault(made.kind, []).append((made, parameter))
        return found

    def unjoined(self, method: str) -> Iterator[tuple[Life, cst.Call]]:
        """The ``close()`` or ``terminate()`` calls of pools after which a path has no ``join()``.

        Those in a ``with`` block of the pool, which ends it, do not count.
        """
        for made in self._program.made.get(api.Kind.POOL, ()):
            life = self.of(made)
            for call in life.unjoined:
                if call in life.calls(method) and not self.is_inside_with(life, call):
                    yield life, call

    def _leave_callbacks(self, life: Life) -> None:
        """What the pool's own callbacks do to it has a worse trouble, and a rule of its own."""
        if life.unjoined or life.early_joins:
            own = self._program.callbacks.end(life.made)
            life.unjoined = [call for call in life.unjoined if call not in own]
            life.early_joins = [call for call in life.early_joins if call not in own]

    def _leave_strangers(self, life: Life) -> None:
        """Whoever has the object that keeps the pool from out of sight may end and join it."""
        if life.unjoined or life.early_joins:
            for use in life.uses:
                if use.kind is UseKind.KEPT and isinstance(use.node, cst.Attribute):
                    done = self.done_out_of_sight(use.name)
                    if "join" in done:
                        life.unjoined = []
                    if not done.isdisjoint(("close", "terminate")):
                        life.early_joins = []

    def done_out_of_sight(self, name: str) -> set[str]:
        """What functions do that read this attribute of an object of which nothing is known."""
        known = self._strangers.get(name)
        if known is None:
            known = self._strangers[name] = set()
            for read in self._program.tree.attributes.get(name, ()):
                if UNKNOWN in self._program.values(read.value):
                    known |= self._ending.get(self._program.tree.function_of(read), set())
        return known

    @cached_property
    def parameters(self) -> dict[str, list[Binding]]:
        """The parameters of all functions, by their names."""
        tree = self._program.tree
        found: dict[str, list[Binding]] = {}
        for function in tree.nodes(cst.FunctionDef):
            for name, bindings in tree.scopes[function].bindings.items():
                if bindings[0].kind is Bound.PARAMETER:
                    found.setdefault(name, []).append(bindings[0])
        return found

    @cached_property
    def _ending(self) -> dict[Scope, set[str]]:
        """For each function which of these methods it calls, on whatever it may be."""
        tree = self._program.tree
        found: dict[Scope, set[str]] = {}
        for name in ("close", "terminate", "join"):
            for call in tree.calls_of.get(name, ()):
                found.setdefault(tree.function_of(call), set()).add(name)
        return found

    def strictly(self, made: Made) -> Life:
        """Its life where every exception counts."""
        life = self._begin(made)
        if self._has_a_story(life):
            Typestate(self._program, life, strict=True).run()
        return life

    def of_callers(self, life: Life) -> list[Life]:
        """Of a thing that a function makes and returns: those that its callers get, one by one.

        None where the function does more with it, or where a call need not make a new one.
        """
        tree, references = self._program.tree, self._program.references
        made = life.made
        home = tree.function_of(made.site)
        if life.is_handed_on or not isinstance(home.node, cst.FunctionDef) or home.node.decorators:
            return []
        methods = api.METHODS[made.kind]
        for use in life.uses:
            if tree.function_of(use.node) is home:
                is_task = use.name in methods and methods[use.name].shape is not None
                if use.depth or not (use.kind in _NOTHING_MORE or is_task):
                    return []
                if isinstance(use.at, cst.Name):
                    if tree.scope_of(use.at).owner_of(use.at.value) is not home:
                        return []
        calls = [site.call for site in references.calls(home.node)]
        return [self._begin(made, at=call) for call in calls] if len(calls) > 1 else []

    def _begin(
        self, made: Made, parameter: Binding | None = None, at: cst.CSTNode | None = None
    ) -> Life:
        tracer = self._program.uses
        site = made.site if at is None else at
        uses = tracer.of_parameter(parameter) if parameter is not None else tracer.of(site)
        life = Life(made, uses, parameter)
        life.is_one_of_many = any(use.through_container for use in uses)
        life.entered = [u.node for u in uses if u.kind is UseKind.ENTERED]
        if made.kind in MACHINES:
            lent = (loan for loan in loans(self._program, made.kind, uses) if loan.is_left)
            life.entered += [item for loan in lent for _, item in loan.items]
        life.is_handed_on = any(hands_on(self._program, made.kind, use) for use in uses)
        return life

    def _has_a_story(self, life: Life) -> bool:
        """Is there anything that has to come in the right order?"""
        if self.followed > self._most_followed:
            return False
        effects = MACHINES[life.made.kind].effects
        return bool(
            life.entered
            or any(use.kind is UseKind.CLOSED for use in life.uses)
            or life.made.cls is not None
            or life.calls(*effects)
        )
