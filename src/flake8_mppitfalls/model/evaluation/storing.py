"""Storing: what becomes of a value that a name, an attribute or a container gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.uses import UseKind
from flake8_mppitfalls.model.values import Computed, Constant, Made, Result

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.evaluation.references import References
    from flake8_mppitfalls.model.evaluation.tracing import Tracer
    from flake8_mppitfalls.syntax.scopes import Binding


class Storing:
    """The part of a :class:`Tracer` that follows a value to where it is kept."""

    def __init__(self, tracer: Tracer, evaluator: Evaluator, references: References) -> None:
        self._tracer = tracer
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._references = references

    def assigned(
        self, target: cst.BaseExpression, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        """The target of an assignment, or of a loop, gets the value."""
        if isinstance(target, cst.Name):
            binding = self._tree.binding_at(target)
            if binding is not None:
                self._tracer.bound(binding, depth, through=through)
                if isinstance(binding.scope.node, cst.ClassDef):
                    self._kept_by_class(target, binding.scope.node, at, depth, through)
        elif isinstance(target, (cst.Tuple, cst.List)):
            if depth == 0:
                self._tracer.use(UseKind.ITERATED, target, at, depth=0, through=through)
            for element in target.elements:
                starred = isinstance(element, cst.StarredElement)
                if starred and depth == 0:
                    continue  # a new list
                inner = depth if starred else max(depth - 1, 0)
                if depth != 1 or not self._is_other(element.value):
                    self.assigned(element.value, at, inner, through)
        elif isinstance(target, cst.Attribute):
            self._stored_attribute(target, at, depth, through)
        elif isinstance(target, cst.Subscript):
            self._tracer.is_value = True
            self.into_container(target.value, at, depth, through)
        else:
            self._tracer.use(UseKind.STORED, target, at, depth=depth, through=through)

    def matching_target(
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
        self._tracer.use(UseKind.KEPT, declared, at, name, depth=depth, through=through)
        for read in self._evaluator.members.reads(name, {cls}):
            if record is None or not self._evaluator.records.is_another(read.value, record):
                self._tracer.follow(read, depth, through)

    def _is_other(self, target: cst.BaseExpression) -> bool:
        """``pool, size = make()``: is this the part that is surely not what is followed?"""
        binding = self._tree.binding_at(target)
        if binding is None or not self._tracer.origins:
            return False
        values = self._evaluator.bound(binding)
        return bool(values) and all(
            isinstance(value, (Constant, Computed, Made, Result))
            and getattr(value, "site", None) not in self._tracer.origins
            for value in values
        )

    def _stored_attribute(
        self, target: cst.Attribute, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        classes = self._evaluator.members.relatives(target.value)
        if not classes:
            self._tracer.use(UseKind.STORED, target, at, depth=depth, through=through)
            return
        self._tracer.use(UseKind.KEPT, target, at, target.attr.value, depth=depth, through=through)
        reads = self._evaluator.members.reads(target.attr.value, classes)
        if len(reads) > self._tracer.most:
            self._tracer.use(UseKind.PASSED, target, at, depth=depth, through=through)
            return
        for read in reads:
            self._tracer.follow(read, depth, through)

    def into_container(
        self, container: cst.BaseExpression, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        """The value becomes an element of what ``container`` stands for."""
        if isinstance(container, cst.Name):
            bindings = self._evaluator.names.bindings(container)
            for binding in bindings:
                self._container_bound(binding, container, depth)
            if not bindings:
                self._tracer.use(UseKind.STORED, container, at, depth=depth, through=through)
        elif isinstance(container, cst.Attribute) and self._evaluator.members.relatives(
            container.value
        ):
            classes = self._evaluator.members.relatives(container.value)
            name = container.attr.value
            self._tracer.use(UseKind.KEPT, container, at, name, depth=depth, through=through)
            for read in self._evaluator.members.reads(name, classes):
                if read is not container:
                    self._tracer.follow(read, depth + 1, True)
        elif isinstance(container, cst.Subscript):
            self.into_container(container.value, at, depth + 1, through)
        else:
            self._tracer.use(UseKind.STORED, container, at, depth=depth, through=through)

    def _container_bound(self, binding: Binding, container: cst.Name, depth: int) -> None:
        if isinstance(binding.node, cst.Param):
            function = binding.scope.node
            given = list(self._references.arguments_for(function, binding.node))
            if not given:
                self._tracer.use(UseKind.STORED, container, container, depth=depth, through=True)
            for argument in given:
                if not argument.path:
                    self._follow_container(argument.expression, depth)
        elif isinstance(binding.value, (cst.Name, cst.Attribute)) and not binding.path:
            self._follow_container(binding.value, depth)
        # The container may be read under any binding that reaches one of its uses.
        self._tracer.bound(binding, depth + 1, through=True)

    def _follow_container(self, expression: cst.BaseExpression, depth: int) -> None:
        if isinstance(expression, (cst.Name, cst.Attribute)):
            key = ("container", expression)
            if self._tracer.comes_to(key, depth):
                self.into_container(expression, expression, depth, True)

    def augmented(
        self, parent: cst.AugAssign, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        """The value stands on one side of ``+=`` and the like."""
        if node is parent.target and depth and isinstance(node, cst.Name):
            # ``results += …`` binds the same container again.
            binding = self._tree.binding_at(node)
            if binding is not None:
                self._tracer.bound(binding, depth, through=True)
            return
        if node is parent.value and depth:
            if isinstance(parent.target, cst.Name):
                binding = self._tree.binding_at(parent.target)
                if binding is not None:
                    self._tracer.bound(binding, depth, through=True)
                self.into_container(parent.target, node, depth - 1, through)
            else:
                self.into_container(parent.target, node, depth - 1, through)
        elif node is parent.value and isinstance(parent.operator, cst.AddAssign):
            # ``results += lazy`` takes everything out of an iterator.
            self._tracer.use(UseKind.ITERATED, parent, node, depth=depth, through=through)
        else:
            self._tracer.use(UseKind.TESTED, parent, node, depth=depth, through=through)
