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
from flake8_mppitfalls.model.evaluation.uses import Use, UseKind
from flake8_mppitfalls.model.values import (
    Computed,
    Constant,
    Made,
    Result,
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
        self._is_value = False
        self._seen: set[tuple[object, int]] = set()
        self._uses: dict[Use, None] = {}
        self._arguments = Arguments(self, evaluator)
        self._entering = Entering(evaluator)
        self._origins: set[cst.CSTNode] = set()
        """Where it is made, if that is known."""
        self.most = MOST_USES

    @property
    def steps(self) -> int:
        """How many places were come to."""
        return len(self._seen)

    def trace(self, node: cst.CSTNode) -> list[Use]:
        values = self._evaluator.values(node)
        if all(isinstance(value, Made) for value in values):
            self._origins = {value.site for value in values if isinstance(value, Made)}
        self.follow(node, 0, False)
        return self.run()

    def run(self) -> list[Use]:
        while self._work or self._keyed:
            if not self._work:
                taken, key, depth = self._keyed.pop()
                if self._is_value or not self._is_key or (key, 0) not in self._seen:
                    self.follow(taken, depth, True)
                continue
            node, depth, through = self._work.pop()
            if len(self._seen) > self.most:
                self.use(UseKind.PASSED, node, node, depth=depth, through=through)
                break
            self._step(node, depth, through)
        return list(self._uses)

    def follow(self, node: cst.CSTNode, depth: int, through: bool) -> None:
        if (node, depth) not in self._seen:
            self._seen.add((node, depth))
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
        self._uses[Use(kind, node, at, name, depth, through)] = None

    def bound(self, binding: Binding, depth: int, *, through: bool) -> None:
        """Go on with the reads of a name where this binding reaches them."""
        if (binding, depth) in self._seen:
            return
        self._seen.add((binding, depth))
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
                self._assigned(target.target, node, depth, through)
        elif isinstance(parent, cst.AnnAssign):
            if node is parent.value:
                self._assigned(parent.target, node, depth, through)
        elif isinstance(parent, cst.AugAssign):
            self._augmented(parent, node, depth, through)
        elif isinstance(parent, cst.NamedExpr):
            self._assigned(parent.target, node, depth, through)
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
                self._assigned(parent.asname.name, node, depth, through)
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
                self.into_container(subscript.value, node, depth, through)

    def entered(
        self,
        manager: cst.BaseExpression,
        place: cst.CSTNode,
        node: cst.CSTNode,
        depth: int,
        through: bool,
    ) -> None:
        """The value, or what is wrapped around it, is entered at ``place``."""
        kind = self._entering.of(manager, self._origins)
        if kind is not None:
            self.use(kind, place, node, depth=depth, through=through)

    def _held(self, node: cst.CSTNode, holder: cst.CSTNode, depth: int, through: bool) -> None:
        """The value is an element of a display, or what a comprehension collects."""
        if isinstance(holder, (cst.DictElement, cst.DictComp)):
            self._is_key = self._is_key or node is holder.key
            self._is_value = self._is_value or node is not holder.key
        if isinstance(holder, (cst.Element, cst.DictElement)):
            display = self._tree.parent(holder)
            assert display is not None
            matched = self._matching_target(holder, display)
            if matched is not None:
                self._assigned(matched, node, depth, through)
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

    def _matching_target(
        self, element: cst.CSTNode, display: cst.CSTNode
    ) -> cst.BaseExpression | None:
        """For ``a, b = x, y``: the target that the element goes to."""
        assign = self._tree.parent(display)
        if not isinstance(display, cst.Tuple) or not isinstance(assign, cst.Assign):
            return None
        if len(assign.targets) != 1:
            return None
        target = assign.targets[0].target
        if not isinstance(target, (cst.Tuple, cst.List)):
            return None
        everything = (*target.elements, *display.elements)
        if len(target.elements) != len(display.elements) or any(
            isinstance(e, cst.StarredElement) for e in everything
        ):
            return None
        index = next(i for i, e in enumerate(display.elements) if e is element)
        return target.elements[index].value

    def _assigned(
        self, target: cst.BaseExpression, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if isinstance(target, cst.Name):
            binding = self._tree.binding_at(target)
            if binding is not None:
                self.bound(binding, depth, through=through)
                if isinstance(binding.scope.node, cst.ClassDef):
                    self._kept_by_class(target, binding.scope.node, at, depth, through)
        elif isinstance(target, (cst.Tuple, cst.List)):
            if depth == 0:
                self.use(UseKind.ITERATED, target, at, depth=0, through=through)
            for element in target.elements:
                starred = isinstance(element, cst.StarredElement)
                if starred and depth == 0:
                    continue  # a new list
                inner = depth if starred else max(depth - 1, 0)
                if depth != 1 or not self._is_other(element.value):
                    self._assigned(element.value, at, inner, through)
        elif isinstance(target, cst.Attribute):
            self._stored_attribute(target, at, depth, through)
        elif isinstance(target, cst.Subscript):
            self._is_value = True
            self.into_container(target.value, at, depth, through)
        else:
            self.use(UseKind.STORED, target, at, depth=depth, through=through)

    def _kept_by_class(
        self, target: cst.Name, cls: cst.ClassDef, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        """``pool = Pool()`` in the body of a class: the class, and its objects, have it."""
        self.kept(target.value, cls, target, at, depth, through)

    def kept(
        self,
        name: str,
        cls: cst.ClassDef,
        declared: cst.CSTNode,
        at: cst.CSTNode,
        depth: int,
        through: bool,
        *,
        record: cst.Call | None = None,
    ) -> None:
        """The objects of a class have it as an attribute that the class declares.

        With ``record`` the one object has it that the call makes.
        """
        self.use(UseKind.KEPT, declared, at, name, depth=depth, through=through)
        for read in self._evaluator.members.reads(name, {cls}):
            if record is None or not self._evaluator.records.is_another(read.value, record):
                self.follow(read, depth, through)

    def others(self, node: cst.CSTNode) -> list[Use]:
        """What is done with another value, which the one that is followed is put into."""
        if len(self._around) >= DEEPEST or node in self._around:
            return [Use(UseKind.PASSED, node, node)]
        around = (*self._around, node)
        return Tracer(self._evaluator, self._references, around).trace(node)

    def _is_other(self, target: cst.BaseExpression) -> bool:
        """``pool, size = make()``: is this the part that is surely not what is followed?"""
        binding = self._tree.binding_at(target)
        if binding is None or not self._origins:
            return False
        values = self._evaluator.bound(binding)
        return bool(values) and all(
            isinstance(value, (Constant, Computed, Made, Result))
            and getattr(value, "site", None) not in self._origins
            for value in values
        )

    def _stored_attribute(
        self, target: cst.Attribute, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        classes = self._evaluator.members.relatives(target.value)
        if not classes:
            self.use(UseKind.STORED, target, at, depth=depth, through=through)
            return
        self.use(UseKind.KEPT, target, at, target.attr.value, depth=depth, through=through)
        reads = self._evaluator.members.reads(target.attr.value, classes)
        if len(reads) > self.most:
            self.use(UseKind.PASSED, target, at, depth=depth, through=through)
            return
        for read in reads:
            self.follow(read, depth, through)

    def into_container(
        self, container: cst.BaseExpression, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        """The value becomes an element of what ``container`` stands for."""
        if isinstance(container, cst.Name):
            bindings = self._evaluator.names.bindings(container)
            for binding in bindings:
                self._container_bound(binding, container, depth)
            if not bindings:
                self.use(UseKind.STORED, container, at, depth=depth, through=through)
        elif isinstance(container, cst.Attribute) and self._evaluator.members.relatives(
            container.value
        ):
            classes = self._evaluator.members.relatives(container.value)
            name = container.attr.value
            self.use(UseKind.KEPT, container, at, name, depth=depth, through=through)
            for read in self._evaluator.members.reads(name, classes):
                if read is not container:
                    self.follow(read, depth + 1, True)
        elif isinstance(container, cst.Subscript):
            self.into_container(container.value, at, depth + 1, through)
        else:
            self.use(UseKind.STORED, container, at, depth=depth, through=through)

    def _container_bound(self, binding: Binding, container: cst.Name, depth: int) -> None:
        if isinstance(binding.node, cst.Param):
            function = binding.scope.node
            given = list(self._references.arguments_for(function, binding.node))
            if not given:
                self.use(UseKind.STORED, container, container, depth=depth, through=True)
            for argument in given:
                if not argument.path:
                    self._follow_container(argument.expression, depth)
        elif isinstance(binding.value, (cst.Name, cst.Attribute)) and not binding.path:
            self._follow_container(binding.value, depth)
        # The container may be read under any binding that reaches one of its uses.
        self.bound(binding, depth + 1, through=True)

    def _follow_container(self, expression: cst.BaseExpression, depth: int) -> None:
        if isinstance(expression, (cst.Name, cst.Attribute)):
            key = ("container", expression)
            if (key, depth) not in self._seen:
                self._seen.add((key, depth))
                self.into_container(expression, expression, depth, True)

    def _augmented(
        self, parent: cst.AugAssign, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if node is parent.target and depth and isinstance(node, cst.Name):
            # ``results += …`` binds the same container again.
            binding = self._tree.binding_at(node)
            if binding is not None:
                self.bound(binding, depth, through=True)
            return
        if node is parent.value and depth:
            if isinstance(parent.target, cst.Name):
                binding = self._tree.binding_at(parent.target)
                if binding is not None:
                    self.bound(binding, depth, through=True)
                self.into_container(parent.target, node, depth - 1, through)
            else:
                self.into_container(parent.target, node, depth - 1, through)
        elif node is parent.value and isinstance(parent.operator, cst.AddAssign):
            # ``results += lazy`` takes everything out of an iterator.
            self.use(UseKind.ITERATED, parent, node, depth=depth, through=through)
        else:
            self.use(UseKind.TESTED, parent, node, depth=depth, through=through)

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
                        self._assigned(item.asname.name, node, depth, through)
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
                    self._assigned(item.asname.name, node, depth, through)
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
                self._assigned(element.value, node, max(depth - 2, 0), True)
        else:
            self._assigned(target, node, depth - 1, True)

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
