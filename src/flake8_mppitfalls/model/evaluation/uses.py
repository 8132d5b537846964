"""Uses: what becomes of a value.

The forward counterpart of the evaluation. ``Uses.of(node)`` follows the value of an expression
through names, attributes of this module's classes, containers, comprehensions, loops and local
functions to the places where something is done with it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from flake8_mppitfalls.model.evaluation.signatures import positional_names
from flake8_mppitfalls.model.values import (
    BoundMethod,
    Class,
    Computed,
    Constant,
    Container,
    External,
    Function,
    Instance,
    Made,
    Member,
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


class UseKind(enum.Enum):
    """What is done with a value."""

    DROPPED = "dropped"
    """It is a statement of its own."""
    METHOD = "method"
    """``value.name(…)``; the node is the call."""
    MEMBER = "member"
    """``value.name`` without a call, or an assignment to it; the node is the attribute."""
    ENTERED = "entered"
    """``with value`` or ``stack.enter_context(value)``; the node is the item or the call."""
    ITERATED = "iterated"
    """Looped over, unpacked or consumed by ``list``, ``sum`` …; the node is the loop or call."""
    AWAITED = "awaited"
    PASSED = "passed"
    """An argument of a call that can't be followed; the node is the call, the name its target."""
    RETURNED = "returned"
    YIELDED = "yielded"
    KEPT = "kept"
    """Assigned to an attribute of an instance of this module; its reads are followed too."""
    STORED = "stored"
    """Put where it can't be followed."""
    TESTED = "tested"
    """Compared, formatted, tested for truth, used as a key: nothing comes of it."""


HANDED_ON = frozenset(
    {UseKind.PASSED, UseKind.RETURNED, UseKind.YIELDED, UseKind.KEPT, UseKind.STORED}
)
"""Others may do with the value what this file does not show."""


class Use(NamedTuple):
    """One thing done with a value.

    ``at`` is the expression that stands for the value there. ``depth`` is 0 where that is the
    value itself, 1 where it is a container that holds it, and so on. ``through_container`` is true
    if the value was in a container at some time: then it is one of many.
    """

    kind: UseKind
    node: cst.CSTNode
    at: cst.CSTNode
    name: str = ""
    depth: int = 0
    through_container: bool = False


_NEUTRAL = frozenset(
    (
        "len print repr str bool isinstance issubclass type id hash callable hasattr "
        "format logging.debug logging.info logging.warning"
    ).split()
)
_COPYING = frozenset(["list", "tuple", "set", "sorted", "frozenset", "dict", "collections.deque"])
_WRAPPING = frozenset(
    (
        "iter enumerate zip reversed filter itertools.chain itertools.islice "
        "itertools.cycle concurrent.futures.as_completed rich.progress.track "
        "alive_progress.alive_it progressbar.progressbar fastprogress.progress_bar"
    ).split()
)
_CONSUMING = frozenset(["sum", "any", "all", "min", "max", "collections.Counter"])
_ADDING = frozenset({"append", "add", "appendleft", "insert", "setdefault"})
_MERGING = frozenset({"extend", "extendleft", "update"})
_TAKING = frozenset({"pop", "popleft", "get", "setdefault", "popitem"})
_VIEWING = frozenset({"values", "items", "keys", "copy"})
_LOOKING_UP = frozenset({"remove", "discard", "index", "count", "pop", "get"})
"""Methods of containers that only compare what they are given with what is there."""


class Uses:
    """Follows values forward through one module."""

    def __init__(self, evaluator: Evaluator, references: References) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._references = references
        self._known: dict[cst.CSTNode, list[Use]] = {}

    def of(self, node: cst.CSTNode) -> list[Use]:
        """Everything that is done with the value of ``node``, in no particular order."""
        known = self._known.get(node)
        if known is None:
            known = self._known[node] = _Tracer(self._evaluator, self._references).trace(node)
        return known

    def reads_of_attribute(self, name: str, cls: cst.ClassDef) -> list[cst.Attribute]:
        """Where ``x.name`` is read for an object of a class, or of one related to it."""
        return _Tracer(self._evaluator, self._references).reads_of_attribute(name, {cls})

    def of_parameter(self, binding: Binding) -> list[Use]:
        """Everything that is done with what a parameter (or other binding) holds."""
        tracer = _Tracer(self._evaluator, self._references)
        tracer.bound(binding, 0, through=False)
        return tracer.run()


class _Tracer:
    def __init__(self, evaluator: Evaluator, references: References) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree
        self._references = references
        self._work: list[tuple[cst.CSTNode, int, bool]] = []
        self._seen: set[tuple[object, int]] = set()
        self._uses: dict[Use, None] = {}
        self._origins: set[cst.CSTNode] = set()
        """Where it is made, if that is known."""

    def trace(self, node: cst.CSTNode) -> list[Use]:
        values = self._evaluator.values(node)
        if all(isinstance(value, Made) for value in values):
            self._origins = {value.site for value in values if isinstance(value, Made)}
        self._follow(node, 0, False)
        return self.run()

    def run(self) -> list[Use]:
        while self._work:
            node, depth, through = self._work.pop()
            if len(self._seen) > MOST_USES:
                self._use(UseKind.PASSED, node, node, depth=depth, through=through)
                break
            self._step(node, depth, through)
        return list(self._uses)

    def _follow(self, node: cst.CSTNode, depth: int, through: bool) -> None:
        if (node, depth) not in self._seen:
            self._seen.add((node, depth))
            self._work.append((node, depth, through or depth > 0))

    def _use(
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
        reads = self._evaluator.reads_of(binding)
        if depth and len(reads) > MOST_READS:
            last = reads[-1]
            self._use(UseKind.PASSED, last, last, depth=depth, through=through)
            return
        for load in reads:
            self._follow(load, depth, through)

    # -- one step ------------------------------------------------------------------------------

    def _step(self, node: cst.CSTNode, depth: int, through: bool) -> None:
        parent = self._tree.parent(node)
        if parent is None:
            return
        kind = type(parent)
        if kind in _PASS_THROUGH:
            if isinstance(parent, cst.IfExp) and node is parent.test:
                self._use(UseKind.TESTED, parent, node, depth=depth, through=through)
                return
            self._follow(parent, depth, through)
        elif kind in _HOLDERS:
            self._held(node, parent, depth, through)
        elif isinstance(parent, cst.Expr):
            self._use(UseKind.DROPPED, parent, node, depth=depth, through=through)
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
            self._follow(parent, depth, through)
        elif isinstance(parent, cst.Arg):
            call = self._tree.parent(parent)
            if isinstance(call, cst.Call):
                self._argument(parent, call, node, depth, through)
            else:
                self._use(UseKind.PASSED, parent, node, depth=depth, through=through)
        elif isinstance(parent, cst.Attribute):
            self._attribute(parent, node, depth, through)
        elif isinstance(parent, cst.Subscript):
            self._subscript(parent, node, depth, through)
        elif isinstance(parent, cst.Return):
            self._returned(parent, node, depth, through)
        elif isinstance(parent, cst.Lambda):
            self._use(UseKind.RETURNED, parent, node, depth=depth, through=through)
        elif isinstance(parent, (cst.Yield, cst.From)):
            self._yielded(parent, node, depth, through)
        elif isinstance(parent, cst.Await):
            self._use(UseKind.AWAITED, parent, node, depth=depth, through=through)
        elif isinstance(parent, (cst.For, cst.CompFor)):
            self._looped(parent, node, depth, through)
        elif isinstance(parent, cst.WithItem):
            if not self._is_wrapped(parent.item):
                self._use(UseKind.ENTERED, parent, node, depth=depth, through=through)
            if parent.asname is not None:
                self._assigned(parent.asname.name, node, depth, through)
        elif isinstance(parent, cst.Param):
            self._default(parent, node, depth, through)
        elif isinstance(parent, cst.BinaryOperation) and depth:
            self._follow(parent, depth, through)
        elif isinstance(parent, cst.Call):
            # The value itself is called: a bound method was followed, or a callable.
            self._use(UseKind.METHOD, parent, node, "__call__", depth=depth, through=through)
        elif kind in _TESTS:
            self._use(UseKind.TESTED, parent, node, depth=depth, through=through)
            if isinstance(parent, cst.Index):
                self._as_key(parent, node, depth, through)
        elif not isinstance(parent, (cst.Del, cst.AssignTarget)):
            self._use(UseKind.PASSED, parent, node, depth=depth, through=through)

    def _as_key(self, index: cst.Index, node: cst.CSTNode, depth: int, through: bool) -> None:
        """``names[value] = …``: the value becomes a key of the dict."""
        element = self._tree.parent(index)
        subscript = self._tree.parent(element) if element is not None else None
        if isinstance(subscript, cst.Subscript):
            if isinstance(self._tree.parent(subscript), cst.AssignTarget):
                self._into_container(subscript.value, node, depth, through)

    def _is_wrapped(self, node: cst.BaseExpression) -> bool:
        """``with closing(x)``: not ``x`` itself is entered."""
        return isinstance(node, cst.Call) and self._tree.qualified(node.func) in {
            "contextlib.closing",
            "contextlib.nullcontext",
        }

    def _held(self, node: cst.CSTNode, holder: cst.CSTNode, depth: int, through: bool) -> None:
        """The value is an element of a display, or what a comprehension collects."""
        if isinstance(holder, (cst.Element, cst.DictElement)):
            display = self._tree.parent(holder)
            assert display is not None
            matched = self._matching_target(holder, display)
            if matched is not None:
                self._assigned(matched, node, depth, through)
            else:
                self._follow(display, depth + 1, True)
        elif isinstance(holder, (cst.StarredElement, cst.StarredDictElement)):
            display = self._tree.parent(holder)
            assert display is not None
            if depth:
                self._follow(display, depth, True)
            else:
                self._use(UseKind.ITERATED, holder, node, depth=depth, through=through)
        else:
            self._follow(holder, depth + 1, True)

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
            binding = self._binding_of(target)
            if binding is not None:
                self.bound(binding, depth, through=through)
                if isinstance(binding.scope.node, cst.ClassDef):
                    self._kept_by_class(target, binding.scope.node, at, depth, through)
        elif isinstance(target, (cst.Tuple, cst.List)):
            if depth == 0:
                self._use(UseKind.ITERATED, target, at, depth=0, through=through)
            for element in target.elements:
                starred = isinstance(element, cst.StarredElement)
                inner = depth if starred else max(depth - 1, 0)
                if depth != 1 or not self._is_other(element.value):
                    self._assigned(element.value, at, inner, through)
        elif isinstance(target, cst.Attribute):
            self._stored_attribute(target, at, depth, through)
        elif isinstance(target, cst.Subscript):
            self._into_container(target.value, at, depth, through)
        else:
            self._use(UseKind.STORED, target, at, depth=depth, through=through)

    def _kept_by_class(
        self, target: cst.Name, cls: cst.ClassDef, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        """``pool = Pool()`` in the body of a class: the class, and its objects, have it."""
        self._use(UseKind.KEPT, target, at, target.value, depth=depth, through=through)
        for read in self.reads_of_attribute(target.value, {cls}):
            self._follow(read, depth, through)

    def _is_other(self, target: cst.BaseExpression) -> bool:
        """``pool, size = make()``: is this the part that is surely not what is followed?"""
        binding = self._binding_of(target) if isinstance(target, cst.Name) else None
        if binding is None or not self._origins:
            return False
        values = self._evaluator.bound(binding)
        return bool(values) and all(
            isinstance(value, (Constant, Computed, Made, Result))
            and getattr(value, "site", None) not in self._origins
            for value in values
        )

    def _binding_of(self, target: cst.Name) -> Binding | None:
        owner = self._tree.scope_of(target).owner_of(target.value)
        bindings = owner.bindings.get(target.value, ()) if owner is not None else ()
        return next((b for b in bindings if b.node is target), None)

    def _stored_attribute(
        self, target: cst.Attribute, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        classes = self._classes_of(target.value)
        if not classes:
            self._use(UseKind.STORED, target, at, depth=depth, through=through)
            return
        self._use(UseKind.KEPT, target, at, target.attr.value, depth=depth, through=through)
        for read in self.reads_of_attribute(target.attr.value, classes):
            self._follow(read, depth, through)

    def reads_of_attribute(self, name: str, classes: set[cst.ClassDef]) -> list[cst.Attribute]:
        """Where ``x.name`` is read for an ``x`` whose class is one of ``classes`` or related."""
        reads = []
        for node in self._tree.attributes.get(name, ()):
            if self._evaluator.classes.store_of(node) is not None:
                continue
            if self._classes_of(node.value) & classes:
                reads.append(node)
        return reads

    def _classes_of(self, receiver: cst.BaseExpression) -> set[cst.ClassDef]:
        family: set[cst.ClassDef] = set()
        for value in self._evaluator.values(receiver):
            cls = None
            if isinstance(value, (Instance, Made)):
                cls = value.cls
            elif isinstance(value, Class):
                cls = value.node
            if cls is not None:
                family.update(self._evaluator.classes.mro(cls))
                family.update(self._evaluator.classes.subclasses(cls))
        return family

    def _into_container(
        self, container: cst.BaseExpression, at: cst.CSTNode, depth: int, through: bool
    ) -> None:
        """The value becomes an element of what ``container`` stands for."""
        if isinstance(container, cst.Name):
            bindings = self._evaluator.bindings(container)
            for binding in bindings:
                self._container_bound(binding, container, depth)
            if not bindings:
                self._use(UseKind.STORED, container, at, depth=depth, through=through)
        elif isinstance(container, cst.Attribute) and self._classes_of(container.value):
            classes = self._classes_of(container.value)
            name = container.attr.value
            self._use(UseKind.KEPT, container, at, name, depth=depth, through=through)
            for read in self.reads_of_attribute(name, classes):
                if read is not container:
                    self._follow(read, depth + 1, True)
        elif isinstance(container, cst.Subscript):
            self._into_container(container.value, at, depth + 1, through)
        else:
            self._use(UseKind.STORED, container, at, depth=depth, through=through)

    def _container_bound(self, binding: Binding, container: cst.Name, depth: int) -> None:
        if isinstance(binding.node, cst.Param):
            function = binding.scope.node
            given = list(self._references.arguments_for(function, binding.node))
            if not given:
                self._use(UseKind.STORED, container, container, depth=depth, through=True)
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
                self._into_container(expression, expression, depth, True)

    def _augmented(
        self, parent: cst.AugAssign, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if node is parent.target and depth and isinstance(node, cst.Name):
            # ``results += …`` binds the same container again.
            binding = self._binding_of(node)
            if binding is not None:
                self.bound(binding, depth, through=True)
            return
        if node is parent.value and depth:
            if isinstance(parent.target, cst.Name):
                binding = self._binding_of(parent.target)
                if binding is not None:
                    self.bound(binding, depth, through=True)
                self._into_container(parent.target, node, depth - 1, through)
            else:
                self._into_container(parent.target, node, depth - 1, through)
        elif node is parent.value and isinstance(parent.operator, cst.AddAssign):
            # ``results += lazy`` takes everything out of an iterator.
            self._use(UseKind.ITERATED, parent, node, depth=depth, through=through)
        else:
            self._use(UseKind.TESTED, parent, node, depth=depth, through=through)

    def _attribute(
        self, attribute: cst.Attribute, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        name = attribute.attr.value
        call = self._tree.parent(attribute)
        called = isinstance(call, cst.Call) and call.func is attribute
        if depth == 0:
            if called:
                assert call is not None
                self._use(UseKind.METHOD, call, node, name, depth=0, through=through)
                if name == "__enter__":
                    self._use(UseKind.ENTERED, call, node, depth=0, through=through)
                    self._follow(call, 0, through)
            else:
                self._use(UseKind.MEMBER, attribute, node, name, depth=0, through=through)
            return
        if not called:
            if name in _ADDING | _MERGING | {"remove", "discard"}:
                return
            self._use(UseKind.PASSED, attribute, node, name, depth=depth, through=through)
        elif name in _TAKING:
            assert call is not None
            self._follow(call, depth - 1, True)
        elif name in _VIEWING:
            assert call is not None
            self._follow(call, depth + (name == "items"), True)

    def _subscript(
        self, parent: cst.Subscript, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if node is not parent.value or not depth:
            self._use(UseKind.TESTED, parent, node, depth=depth, through=through)
            return
        holder = self._tree.parent(parent)
        if isinstance(holder, (cst.AssignTarget, cst.Del)):
            return
        is_slice = any(isinstance(e.slice, cst.Slice) for e in parent.slice)
        self._follow(parent, depth if is_slice else depth - 1, True)

    def _returned(self, parent: cst.Return, node: cst.CSTNode, depth: int, through: bool) -> None:
        self._use(UseKind.RETURNED, parent, node, depth=depth, through=through)
        function = self._tree.function_of(parent).node
        if isinstance(function, cst.FunctionDef) and not self._evaluator.calls.is_opaque(function):
            for site in self._references.calls(function):
                self._follow(site.call, depth, through)
            cls = self._evaluator.classes.of_method(function)
            if cls is not None and self._evaluator.classes.is_property(function):
                for read in self.reads_of_attribute(function.name.value, {cls}):
                    self._follow(read, depth, through)

    def _yielded(
        self, parent: cst.Yield | cst.From, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if isinstance(parent, cst.From) and depth == 0:
            self._use(UseKind.ITERATED, parent, node, depth=0, through=through)
            return
        self._use(UseKind.YIELDED, parent, node, depth=depth, through=through)
        function = self._tree.function_of(parent).node
        if isinstance(function, cst.FunctionDef) and not isinstance(parent, cst.From):
            for site in self._references.calls(function):
                item = self._tree.parent(site.call)
                if isinstance(item, cst.WithItem) and item.asname is not None:
                    self._assigned(item.asname.name, node, depth, through)
                elif not isinstance(item, cst.WithItem):
                    self._follow(site.call, depth + 1, True)

    def _looped(
        self, loop: cst.For | cst.CompFor, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if node is not loop.iter:
            return
        if depth == 0:
            comprehension = self._tree.parent(loop)
            if isinstance(comprehension, cst.GeneratorExp):
                self._follow(comprehension, 0, through)  # as lazy as what it runs over
            else:
                self._use(UseKind.ITERATED, loop, node, depth=0, through=through)
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

    # -- arguments -----------------------------------------------------------------------------

    def _argument(
        self, arg: cst.Arg, call: cst.Call, node: cst.CSTNode, depth: int, through: bool
    ) -> None:
        if arg.star:
            kind = UseKind.PASSED if depth else UseKind.ITERATED
            self._use(kind, call, node, "*", depth=depth, through=through)
            return
        func = call.func
        if isinstance(func, cst.Attribute) and self._grows(func):
            if func.attr.value in _ADDING:
                self._into_container(func.value, node, depth, through)
            elif depth:
                self._into_container(func.value, node, depth - 1, through)
            else:
                self._use(UseKind.ITERATED, call, node, depth=depth, through=through)
            return
        if isinstance(func, cst.Attribute) and self._looks_up(func):
            self._use(UseKind.TESTED, call, node, func.attr.value, depth=depth, through=through)
            return
        followed = False
        for value in self._evaluator.values(func):
            if isinstance(value, External):
                followed = self._external(value.name, call, arg, node, depth, through) or followed
            elif isinstance(value, (Function, BoundMethod, Class)):
                followed = self._into_function(value, call, arg, depth, through) or followed
            elif isinstance(value, Member) and value.name == "enter_context":
                followed = False
        if not followed:
            name = self._tree.qualified(func)
            if isinstance(func, cst.Attribute):
                name = name or func.attr.value
                if func.attr.value in {"enter_context", "enter_async_context"}:
                    if not self._is_wrapped(arg.value):
                        self._use(UseKind.ENTERED, call, node, depth=depth, through=through)
                    self._follow(call, depth, through)
                    return
            self._use(UseKind.PASSED, call, node, name, depth=depth, through=through)

    def _looks_up(self, func: cst.Attribute) -> bool:
        if func.attr.value not in _LOOKING_UP:
            return False
        values = self._evaluator.values(func.value)
        return bool(values) and all(isinstance(v, Container) for v in values)

    def _grows(self, func: cst.Attribute) -> bool:
        if func.attr.value not in _ADDING | _MERGING:
            return False
        values = self._evaluator.values(func.value)
        return any(isinstance(v, Container) for v in values)

    def _external(
        self, name: str, call: cst.Call, arg: cst.Arg, node: cst.CSTNode, depth: int, through: bool
    ) -> bool:
        if name in _NEUTRAL:
            self._use(UseKind.TESTED, call, node, name, depth=depth, through=through)
        elif name in _CONSUMING and depth == 0:
            self._use(UseKind.ITERATED, call, node, name, depth=depth, through=through)
        elif name in _COPYING:
            if depth:
                self._follow(call, depth, True)
            else:
                self._use(UseKind.ITERATED, call, node, name, depth=depth, through=through)
        elif name == "concurrent.futures.as_completed" and depth == 0:
            # It takes all there is at once: a generator given to it is no longer lazy.
            self._use(UseKind.ITERATED, call, node, name, depth=depth, through=through)
        elif name in _WRAPPING or name.startswith("tqdm"):
            pairs = depth > 0 and name in {"enumerate", "zip"}
            self._follow(call, depth + pairs, through)
        elif name == "next" and depth:
            self._follow(call, depth - 1, True)
        elif name == "next":
            self._use(UseKind.ITERATED, call, node, name, depth=depth, through=through)
        elif name == "map" and depth:
            self._use(UseKind.PASSED, call, node, name, depth=depth, through=through)
        elif name in {"concurrent.futures.wait", "multiprocessing.connection.wait"} and depth:
            self._use(UseKind.TESTED, call, node, name, depth=depth, through=through)
            # wait() gives a tuple of sets: one container more.
            self._follow(call, depth + 1, True)
        elif name in {"typing.cast", "contextlib.nullcontext"}:
            self._follow(call, depth, through)
        elif name == "contextlib.closing":
            self._use(UseKind.PASSED, call, node, name, depth=depth, through=through)
            self._follow(call, depth, through)
        else:
            return False
        return True

    def _into_function(
        self,
        value: Function | BoundMethod | Class,
        call: cst.Call,
        arg: cst.Arg,
        depth: int,
        through: bool,
    ) -> bool:
        """Go on inside a function of this module; false if the parameter can't be told."""
        function: cst.FunctionDef | None
        skip = 0
        if isinstance(value, Class):
            function = self._evaluator.classes.method(value.node, "__init__")
            skip = 1
        else:
            function = value.node
            skip = 1 if isinstance(value, BoundMethod) else 0
        if function is None or self._evaluator.calls.is_opaque(function):
            return False
        names = positional_names(function.params)
        if arg.keyword is not None:
            name = arg.keyword.value
        else:
            before = call.args[: next(i for i, a in enumerate(call.args) if a is arg)]
            if any(a.star for a in before):
                return False
            index = skip + sum(1 for a in before if a.keyword is None)
            if index >= len(names):
                return False
            name = names[index]
        scope = self._tree.scopes[function]
        found = False
        for binding in scope.bindings.get(name, ()):
            if isinstance(binding.node, cst.Param) and not binding.node.star:
                self.bound(binding, depth, through=through)
                found = True
        return found


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
