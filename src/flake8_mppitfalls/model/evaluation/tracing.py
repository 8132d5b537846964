"""Tracing: what becomes of a value.

The forward counterpart of the evaluation. ``Uses.of(node)`` follows the value of an expression
through names, attributes of this module's classes, containers, comprehensions, loops and local
functions to the places where something is done with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.arguments import Arguments
from flake8_mppitfalls.model.evaluation.containers import ADDING, MERGING
from flake8_mppitfalls.model.evaluation.entering import Entering
from flake8_mppitfalls.model.evaluation.storing import Storing
from flake8_mppitfalls.model.evaluation.uses import Use, UseKind
from flake8_mppitfalls.model.values import (
    Made,
)

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.evaluation.references import References
    from flake8_mppitfalls.syntax.scopes import Binding

MOST_READS = 120
"""A container that is read at more places than that holds its elements out of our sight."""
MOST_USES = 3_000
"""After so many steps the value counts as passed on."""
MOST_USES_LATER = 100
"""The same when many steps have been taken for the values of the file before."""
DEEPEST = 4
"""Records in records are followed that deep."""
_TAKING = frozenset({"pop", "popleft", "get", "setdefault", "popitem"})
_VIEWING = frozenset({"values", "items", "keys", "copy"})


class Uses:
    """Follows values forward through one module."""

    def __init__(self, evaluator: Evaluator, references: References) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._references = references
        self._known: dict[cst.CSTNode, list[Use]] = {}
        self._left = 20_000 + 10 * len(evaluator.tree.parents)

    def of(self, node: cst.CSTNode) -> list[Use]:
        """Everything that is done with the value of ``node``, in no particular order."""
        known = self._known.get(node)
        if known is None:
            tracer = Tracer(self._evaluator, self._references)
            tracer.most = MOST_USES if self._left > 0 else MOST_USES_LATER
            known = self._known[node] = tracer.trace(node)
            self._left -= tracer.steps
        return known

    def of_parameter(self, binding: Binding) -> list[Use]:
        """Everything that is done with what a parameter (or other binding) holds."""
        tracer = Tracer(self._evaluator, self._references)
        tracer.bound(binding, 0, through=False)
        return tracer.run()


class Tracer:
    """Follows one value."""

    def __init__(
        self, evaluator: Evaluator, references: References, around: tuple[cst.CSTNode, ...] = ()
    ) -> None:
        """``around``: on behalf of what is put into these values."""
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._references = references
        self._around = around
        self._work: list[tuple[cst.CSTNode, int, bool]] = []
        self._keyed: list[tuple[cst.CSTNode, cst.Name, int]] = []
        self._is_key = False
        self.is_value = False
        """Is it put into a dict as a value, perhaps?"""
        self._seen: set[tuple[object, int]] = set()
        self._uses: dict[Use, None] = {}
        self._arguments = Arguments(self, evaluator)
        self.storing = Storing(self, evaluator, references)
        self._entering = Entering(evaluator)
        self.origins: set[cst.CSTNode] = set()
        """Where it is made, if that is known."""
        self.most = MOST_USES

    @property
    def steps(self) -> int:
        """How many places were come to."""
        return len(self._seen)

    def trace(self, node: cst.CSTNode) -> list[Use]:
        """Everything that is done with the value of an expression."""
        values = self._evaluator.values(node)
        if all(isinstance(value, Made) for value in values):
            self.origins = {value.site for value in values if isinstance(value, Made)}
        self.follow(node, 0, False)
        return self.run()

    def run(self) -> list[Use]:
        """Go on until nothing is left to follow."""
        while self._work or self._keyed:
            if not self._work:
                taken, key, depth = self._keyed.pop()
                if self.is_value or not self._is_key or (key, 0) not in self._seen:
                    self.follow(taken, depth, True)
                continue
            node, depth, through = self._work.pop()
            if len(self._seen) > self.most:
                self.use(UseKind.PASSED, node, node, depth=depth, through=through)
                break
            self._step(node, depth, through)
        return list(self._uses)

    def comes_to(self, place: object, depth: int) -> bool:
        """True at the first time."""
        if (place, depth) in self._seen:
            return False
        self._seen.add((place, depth))
        return True

    def follow(self, node: cst.CSTNode, depth: int, through: bool) -> None:
        """Go on with an expression that has the value, so deep in what it holds."""
        if self.comes_to(node, depth):
            self._work.append((node, depth, through or depth > 0))

    def use(
        self,
        kind: UseKind,
        node: cst.CSTNode,
        at: cst.CSTNode,
        name: str = "",
        *,
        depth: int,
        through: bool,
    ) -> None:
        """Note what is done with the value."""
        self._uses[Use(kind, node, at, name, depth, through)] = None

    def bound(self, binding: Binding, depth: int, *, through: bool) -> None:
        """Go on with the reads of a name where this binding reaches them."""
        if not self.comes_to(binding, depth):
            return
        reads = self._evaluator.names.reads_of(binding)
        if depth and len(reads) > MOST_READS:
            last = reads[-1]
            self.use(UseKind.PASSED, last, last, depth=depth, through=through)
            return
        for load in reads:
            self.follow(load, depth, through)

    # -- one step ------------------------------------------------------------------------------

    def _step(self, node: cst.CSTNode, depth: int, through: bool) -> None:
        parent = self._tree.parent(node)
        if parent is None:
            return
        kind = type(parent)
        if kind in _PASS_THROUGH:
            if isinstance(parent, cst.IfExp) and node is parent.test:
                self.use(UseKind.TESTED, parent, node, depth=depth, through=through)
                return
            self.follow(parent, depth, through)
        elif kind in _HOLDERS:
            self._held(node, parent, depth, through)
        elif isinstance(parent, cst.Expr):
            self.use(UseKind.DROPPED, parent, node, depth=depth, through=through)
        elif isinstance(parent, cst.Assign):
            for target in parent.targets:
                self.storing.assigned(target.target, node, depth, through)
        elif isinstance(parent, cst.AnnAssign):
            if node is parent.value:
                self.storing.assigned(parent.target, node, depth, through)
        elif isinstance(parent, cst.AugAssign):
            self.storing.augmented(parent, node, depth, through)
        elif isinstance(parent, cst.NamedExpr):
            self.storing.assigned(parent.target, node, depth, through)
            self.follow(parent, depth, through)
        elif isinstance(parent, cst.Arg):
            call = self._tree.parent(parent)
            if isinstance(call, cst.Call):
                self._arguments.follow(parent, call, node, depth, through)
            else:
                self.use(UseKind.PASSED, parent, node, depth=depth, through=through)
        elif isinstance(parent, cst.Attribute):
            self._attribute(parent, node, depth, through)
        elif isinstance(parent, cst.Subscript):
            self._subscript(parent, node, depth, through)
        elif isinstance(parent, cst.Return):
            self._returned(parent, node, depth, through)
        elif isinstance(parent, cst.Lambda):
            self._returned_by_lambda(parent, node, depth, through)
        elif isinstance(parent, (cst.Yield, cst.From)):
            self._yielded(parent, node, depth, through)
        elif isinstance(parent, cst.Await):
            self.use(UseKind.AWAITED, parent, node, depth=depth, through=through)
        elif isinstance(parent, (cst.For, cst.CompFor)):
            self._looped(parent, node, depth, through)
        elif isinstance(parent, cst.WithItem):
            self.entered(parent.item, parent, node, depth, through)
            if parent.asname is not None:
                self.storing.assigned(parent.asname.name, node, depth, through)
        elif isinstance(parent, cst.Param):
            self._default(parent, node, depth, through)
        elif isinstance(parent, cst.BinaryOperation) and depth:
            self.follow(parent, depth, through)
        elif isinstance(parent, cst.Call):
            # The value itself is called: a bound method was followed, or a callable.
            self.use(UseKind.METHOD, parent, node, "__call__", depth=depth, through=through)
        elif isinstance(parent, cst.ComparisonTarget) and not depth and _searches(parent):
            self.use(UseKind.ITERATED, parent, node, depth=depth, through=through)
        elif kind in _TESTS:
            self.use(UseKind.TESTED, parent, node, depth=depth, through=through)
            if isinstance(parent, cst.Index):
                self._as_key(parent, node, depth, through)
        elif not isinstance(parent, (cst.Del, cst.AssignTarget)):
            self.use(UseKind.PASSED, parent, node, depth=depth, through=through)

    def _as_key(self, index: cst.Index, node: cst.CSTNode, depth: int, through: bool) -> None:
        """``names[value] = …``: the value becomes a key of the dict."""
        element = self._tree.parent(index)
        subscript = self._tree.parent(element) if element is not None else None
        if isinstance(subscript, cst.Subscript):
            if isinstance(self._tree.parent(subscript), cst.AssignTarget):
                self._is_key = True
                self.storing.into_container(subscript.value, node, depth, through)

    def entered(
        self,
        manager: cst.BaseExpression,
        place: cst.CSTNode,
        node: cst.CSTNode,
        depth: int,
        through: bool,
    ) -> None:
        """The value, or what is wrapped around it, is entered at ``place``."""
        kind = self._entering.of(manager, self.origins)
        if kind is not None:
            self.use(kind, place, node, depth=depth, through=through)

    def _held(self, node: cst.CSTNode, holder: cst.CSTNode, depth: int, through: bool) -> None:
        """The value is an element of a display, or what a comprehension collects."""
        if isinstance(holder, (cst.DictElement, cst.DictComp)):
            self._is_key = self._is_key or node is holder.key
            self.is_value = self.is_value or node is not holder.key
        if isinstance(holder, (cst.Element, cst.DictElement)):
            display = self._tree.parent(holder)
            assert display is not None
            matched = self.storing.matching_target(holder, display)
            if matched is not None:
                self.storing.assigned(matched, node, depth, through)
            else:
                self.follow(display, depth + 1, True)
        elif isinstance(holder, (cst.StarredElement, cst.StarredDictElement)):
            display = self._tree.parent(holder)
            assert display is not None
            if depth:
                self.follow(display, depth, True)
            else:
                self.use(UseKind.ITERATED, holder, node, depth=depth, through=through)
        else:
            self.follow(holder, depth + 1, True)

    def others(self, node: cst.CSTNode) -> list[Use]:
        """What is done with another value, which the one that is followed is put into."""
        if len(self._around) >= DEEPEST or node in self._around:
            return [Use(UseKind.PASSED, node, node)]
        around = (*self._around, node)
        return Tracer(self._evaluator, self._references, around).trace(node)

    def _attribute(
        self, attribute: cst.Attribute, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        name = attribute.attr.value
        call = self._tree.parent(attribute)
        called = isinstance(call, cst.Call) and call.func is attribute
        if depth == 0:
            if called:
                assert call is not None
                self.use(UseKind.METHOD, call, node, name, depth=0, through=through)
                if name == "__enter__":
                    self.use(UseKind.ENTERED, call, node, depth=0, through=through)
                    self.follow(call, 0, through)
            else:
                self.use(UseKind.MEMBER, attribute, node, name, depth=0, through=through)
            return
        if not called:
            if name in ADDING | MERGING | {"remove", "discard"}:
                return
            self.use(UseKind.PASSED, attribute, node, name, depth=depth, through=through)
        elif name in _TAKING:
            assert isinstance(call, cst.Call)
            self._take_out(call, call.args[0].value if call.args else None, depth - 1)
        elif name in _VIEWING:
            assert call is not None
            self.follow(call, depth + (name == "items"), True)
        elif name == "sort":
            assert isinstance(call, cst.Call)
            self._arguments.selected(call, depth)

    def _subscript(
        self, parent: cst.Subscript, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if node is not parent.value or not depth:
            self.use(UseKind.TESTED, parent, node, depth=depth, through=through)
            return
        holder = self._tree.parent(parent)
        if isinstance(holder, (cst.AssignTarget, cst.Del)):
            return
        is_slice = any(isinstance(e.slice, cst.Slice) for e in parent.slice)
        index = parent.slice[0].slice
        key = index.value if isinstance(index, cst.Index) else None
        self._take_out(parent, key, depth if is_slice else depth - 1)

    def _take_out(self, taken: cst.CSTNode, key: cst.BaseExpression | None, depth: int) -> None:
        """Something is taken out of a container.

        Where the value is the key of a dict, ``names[future]`` is not the value itself.
        """
        if isinstance(key, cst.Name):
            self._keyed.append((taken, key, depth))
        else:
            self.follow(taken, depth, True)

    def _returned(self, parent: cst.Return, node: cst.CSTNode, depth: int, through: bool) -> None:
        self.use(UseKind.RETURNED, parent, node, depth=depth, through=through)
        function = self._tree.function_of(parent).node
        if isinstance(function, cst.FunctionDef) and not self._evaluator.calls.is_opaque(function):
            for site in self._references.calls(function):
                self.follow(site.call, depth, through)
            if function.name.value == "__enter__":
                for item in self._references.entered_by(function):
                    if item.asname is not None:
                        self.storing.assigned(item.asname.name, node, depth, through)
            cls = self._evaluator.classes.of_method(function)
            if cls is not None and self._evaluator.classes.is_property(function):
                for read in self._evaluator.members.reads(function.name.value, {cls}):
                    self.follow(read, depth, through)

    def _returned_by_lambda(
        self, function: cst.Lambda, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        calls = self._references.calls(function)
        for site in calls:
            self.follow(site.call, depth, through)
        field = self._evaluator.records.made_by(function)
        if field is not None:
            self.follow(field, depth, through)
        elif not calls or self._references.is_given_away(function):
            self.use(UseKind.PASSED, function, node, depth=depth, through=through)

    def _yielded(
        self, parent: cst.Yield | cst.From, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if isinstance(parent, cst.From) and depth == 0:
            self.use(UseKind.ITERATED, parent, node, depth=0, through=through)
            return
        self.use(UseKind.YIELDED, parent, node, depth=depth, through=through)
        function = self._tree.function_of(parent).node
        if isinstance(function, cst.FunctionDef) and not isinstance(parent, cst.From):
            for site in self._references.calls(function):
                item = self._tree.item_of(site.call)
                if item is not None and item.asname is not None:
                    self.storing.assigned(item.asname.name, node, depth, through)
                elif item is None:
                    self.follow(site.call, depth + 1, True)

    def _looped(
        self, loop: cst.For | cst.CompFor, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if node is not loop.iter:
            return
        if depth == 0:
            comprehension = self._tree.parent(loop)
            if isinstance(comprehension, cst.GeneratorExp):
                self.follow(comprehension, 0, through)  # as lazy as what it runs over
            else:
                self.use(UseKind.ITERATED, loop, node, depth=0, through=through)
            return
        target: cst.BaseExpression = loop.target
        if isinstance(target, cst.Tuple) and self._is_enumerate(loop.iter):
            for element in target.elements[1:]:
                self.storing.assigned(element.value, node, max(depth - 2, 0), True)
        else:
            self.storing.assigned(target, node, depth - 1, True)

    def _is_enumerate(self, node: cst.BaseExpression) -> bool:
        return isinstance(node, cst.Call) and self._tree.qualified(node.func) == "enumerate"

    def _default(self, param: cst.Param, node: cst.CSTNode, depth: int, through: bool) -> None:
        function = self._tree.parent(self._tree.parents[param])
        scope = self._tree.scopes.get(function) if function is not None else None
        for binding in scope.bindings.get(param.name.value, ()) if scope is not None else ():
            if binding.node is param and node is param.default:
                self.bound(binding, depth, through=through)


def _searches(target: cst.ComparisonTarget) -> bool:
    """``3 in lazy`` takes out what comes before the first 3."""
    return isinstance(target.operator, (cst.In, cst.NotIn))


_PASS_THROUGH: set[type[cst.CSTNode]] = {cst.IfExp, cst.BooleanOperation}
_HOLDERS: set[type[cst.CSTNode]] = {
    cst.Element,
    cst.DictElement,
    cst.StarredElement,
    cst.StarredDictElement,
    cst.ListComp,
    cst.SetComp,
    cst.GeneratorExp,
    cst.DictComp,
}
_TESTS: set[type[cst.CSTNode]] = {
    cst.If,
    cst.While,
    cst.Assert,
    cst.UnaryOperation,
    cst.BinaryOperation,
    cst.Comparison,
    cst.ComparisonTarget,
    cst.CompIf,
    cst.Index,
    cst.Slice,
    cst.FormattedStringExpression,
    cst.MatchCase,
}
