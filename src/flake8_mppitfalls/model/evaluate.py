"""Abstract evaluation: what an expression may be.

``Evaluator.values(expression)`` follows names through scopes, imports, assignments and parameters
to what they stand for. Where a name has several bindings the answer is a set, narrowed to those
that reach the place by the control flow; ``UNKNOWN`` among the values says that there may be
others. Nothing is computed before it is asked for, and every answer is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.classes import Classes, Store, decorator_names
from flake8_mppitfalls.model.signatures import argument, positional_names
from flake8_mppitfalls.model.values import (
    DEFAULT,
    UNDECIDED,
    UNKNOWN,
    BoundMethod,
    Class,
    Computed,
    Constant,
    Container,
    Coroutine,
    External,
    Function,
    Generator,
    Instance,
    Lambda,
    Made,
    Member,
    Partial,
    Result,
    ResultMember,
    Value,
    Values,
    union,
)
from flake8_mppitfalls.syntax.flow import Flow
from flake8_mppitfalls.syntax.scopes import STARRED, Bound, Scope, ScopeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flake8_mppitfalls.model.references import References
    from flake8_mppitfalls.model.tasks import Given
    from flake8_mppitfalls.syntax.scopes import Binding
    from flake8_mppitfalls.syntax.tree import Tree

DEEPEST = 60
"""How many expressions deep an evaluation goes before the answer is *unknown*."""

_CONTAINERS = {
    "list": "list",
    "sorted": "list",
    "tuple": "tuple",
    "set": "set",
    "frozenset": "set",
    "dict": "dict",
    "collections.deque": "list",
    "collections.OrderedDict": "dict",
    "collections.defaultdict": "dict",
    "iter": "iterator",
    "reversed": "iterator",
    "enumerate": "iterator",
    "zip": "iterator",
    "filter": "iterator",
    "map": "iterator",
    "itertools.chain": "iterator",
    "itertools.islice": "iterator",
    "itertools.cycle": "iterator",
    "itertools.repeat": "iterator",
    "itertools.product": "iterator",
}
_WRAPPERS = {"contextlib.closing", "contextlib.nullcontext", "copy.copy", "iter"}
"""Calls that give their first argument back, as far as we are concerned."""

TRANSPARENT_DECORATORS = frozenset(
    {
        "staticmethod",
        "classmethod",
        "functools.lru_cache",
        "functools.cache",
        "functools.wraps",
        "abc.abstractmethod",
        "typing.override",
        "typing_extensions.override",
        "typing.no_type_check",
        "typing.final",
        "contextlib.contextmanager",
        "contextlib.asynccontextmanager",
        "property",
        "functools.cached_property",
    }
)
"""Decorators under which a call of the function still gives what its ``return`` says."""

_VIEWS = frozenset({"keys", "values", "items"})
_CONTAINER_METHODS = _VIEWS | {"copy", "get", "pop", "popleft", "setdefault"}
_MAPPINGS = frozenset({"dict", "mapping", "defaultdict", "mutablemapping", "ordereddict"})
_ITERATED = {
    "os.scandir": "os.DirEntry",
    "re.finditer": "re.Match",
    "re.compile().finditer": "re.Match",
}
"""What iterating over the result of a function gives."""
_PROPERTIES = frozenset({"property", "functools.cached_property", "cached_property"})
_ENTERING = frozenset({"enter_context", "enter_async_context"})
"""Methods of ``contextlib.ExitStack`` that give what the context manager's entry gives."""
_GROWING = {"append", "add", "appendleft", "insert", "extend", "extendleft", "setdefault", "update"}


class Evaluator:
    """Answers what the expressions of one module may be."""

    references: References

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.classes = Classes(tree)
        self._known: dict[object, Values] = {}
        self._bound: dict[object, Values] = {}
        self._flows: dict[Scope, Flow] = {}
        self._at_exit: dict[tuple[Scope, str], list[Binding]] = {}
        self._contributions: dict[cst.CSTNode, list[tuple[cst.BaseExpression, bool]]] | None = None
        self._depth = 0
        self._active: set[object] = set()
        self._cut = 0
        self._steps = 0
        self._most_steps = 20_000 + 40 * len(tree.parents)

    # -- expressions ---------------------------------------------------------------------------

    def values(self, node: cst.CSTNode | None) -> Values:
        """What ``node`` may be; ``(UNKNOWN,)`` where the file does not say."""
        if node is None:
            return (UNKNOWN,)
        known = self._known.get(node)
        if known is not None:
            return known
        return self._guarded(node, self._known, lambda: self._evaluate(node))

    def _guarded(
        self, key: object, memo: dict[object, Values], ask: Callable[[], Values]
    ) -> Values:
        """Answer ``ask`` once; a question met again while it is asked has no values.

        An answer that was found while a question further out was cut short is not kept, unless
        the work for this file is used up: then it has to do.
        """
        if key in self._active:
            self._cut += 1
            return ()
        if self._depth >= DEEPEST:
            return (UNKNOWN,)
        self._steps += 1
        self._active.add(key)
        self._depth += 1
        cuts = self._cut
        try:
            answer = ask()
        finally:
            self._depth -= 1
            self._active.discard(key)
        if self._cut == cuts or self._depth == 0 or self._steps > self._most_steps:
            memo[key] = answer
        return answer

    def _evaluate(self, node: cst.CSTNode) -> Values:
        method = _EXPRESSIONS.get(type(node))
        return method(self, node) if method is not None else (UNKNOWN,)

    def _name(self, node: cst.Name) -> Values:
        if node.value in _SINGLETONS:
            return (Constant(_SINGLETONS[node.value], node),)
        bindings = self.bindings(node)
        if not bindings:
            owner = self.tree.scope_of(node).owner_of(node.value)
            if owner is not None:
                return ()
            for module in self.tree.star_imports:
                qualified = f"{module}.{node.value}"
                if api.maker(qualified) is not None:
                    return (External(qualified),)
            return (External(node.value),)
        return union(*(self.bound(binding) for binding in bindings))

    def bindings(self, node: cst.Name) -> list[Binding]:
        """The bindings whose value a name may have where it is read."""
        scope = self.tree.scope_of(node)
        owner = scope.owner_of(node.value)
        if owner is None:
            return []
        bindings = owner.bindings[node.value]
        if len(bindings) < 2 or owner.kind not in (ScopeKind.MODULE, ScopeKind.FUNCTION):
            return bindings
        if scope.function() is owner:
            inside = [b for b in bindings if self._runs_in(b, owner)]
            outside = [b for b in bindings if b not in inside]
            return self.flow(owner).reaching(node, inside) + outside
        if owner.kind is ScopeKind.MODULE:
            return self._at_module_end(owner, node.value, bindings)
        return bindings

    def _at_module_end(self, owner: Scope, name: str, bindings: list[Binding]) -> list[Binding]:
        """What functions see of a module's name: the last values, and what functions bind."""
        key = (owner, name)
        known = self._at_exit.get(key)
        if known is None:
            inside = [b for b in bindings if self._runs_in(b, owner)]
            outside = [b for b in bindings if b not in inside]
            flow = self.flow(owner)
            reaching = flow.reaching_exit(inside) if len(inside) > 1 else inside
            known = self._at_exit[key] = (reaching or inside) + outside
        return known

    def _runs_in(self, binding: Binding, owner: Scope) -> bool:
        """Is the binding made by a statement of ``owner`` itself, not of a nested function?"""
        return binding.kind is Bound.PARAMETER or self.tree.function_of(binding.node) is owner

    def flow(self, scope: Scope) -> Flow:
        """The control flow of a scope's statements."""
        flow = self._flows.get(scope)
        if flow is None:
            flow = self._flows[scope] = Flow(self.tree, scope)
        return flow

    def bound(self, binding: Binding) -> Values:
        """The values that one binding gives its name."""
        known = self._bound.get(binding)
        if known is not None:
            return known
        return self._guarded(binding, self._bound, lambda: self._bound_values(binding))

    def _bound_values(self, binding: Binding) -> Values:
        kind = binding.kind
        node = binding.node
        if kind is Bound.IMPORT:
            return (External(binding.qualified),)
        if kind is Bound.FUNCTION and isinstance(node, cst.FunctionDef):
            return (Function(node),)
        if kind is Bound.CLASS and isinstance(node, cst.ClassDef):
            return (Class(node),)
        if kind is Bound.PARAMETER:
            return self._parameter(binding)
        if kind is Bound.ANNOTATED:
            return self.annotated(binding.annotation)
        if kind is Bound.AUGMENTED:
            before = self.values(node)
            containers = tuple(v for v in before if isinstance(v, Container))
            return containers or (Computed(self.tree.statement_of(node)),)
        return self._stored(binding.kind, binding.value, binding.path, binding.annotation)

    def _stored(
        self,
        kind: Bound,
        value: cst.BaseExpression | None,
        path: tuple[int, ...],
        annotation: cst.BaseExpression | None,
    ) -> Values:
        if value is None:
            return self.annotated(annotation) if annotation is not None else (UNKNOWN,)
        if kind is Bound.AUGMENTED:
            return (Computed(value),)
        values = self.values(value)
        if kind is Bound.FOR:
            values = self.iterated(values)
        elif kind is Bound.WITH:
            values = self.entered(values)
        for index in path:
            values = self.element(values, index)
        if annotation is not None and all(v is UNKNOWN or _is_none(v) for v in values):
            declared = self.annotated(annotation)
            if declared != (UNKNOWN,):
                return union(tuple(v for v in values if v is not UNKNOWN), declared)
        return values

    def annotated(self, annotation: cst.BaseExpression | None) -> Values:
        """An instance of what an annotation names."""
        if annotation is None:
            return (UNKNOWN,)
        if isinstance(annotation, (cst.SimpleString, cst.ConcatenatedString)):
            return self._annotated_text(annotation)
        if isinstance(annotation, cst.BinaryOperation) and isinstance(
            annotation.operator, cst.BitOr
        ):
            return union(self.annotated(annotation.left), self.annotated(annotation.right))
        if isinstance(annotation, cst.Name) and annotation.value == "None":
            return (Constant(None, annotation),)
        if isinstance(annotation, cst.Subscript):
            return self._annotated_generic(annotation)
        cls = self.classes.named(annotation)
        if cls is not None:
            return (self.instance(cls, annotation),)
        return self._declared(self.tree.qualified(annotation), annotation)

    def _declared(self, name: str, site: cst.BaseExpression) -> Values:
        if not name or name in {"typing.Any", "object"}:
            return (UNKNOWN,)
        maker = api.maker(name)
        if maker is not None and maker.makes is not None:
            made = Made(maker.makes, site, maker.name, maker.method, api.flavour(name))
            return (made,)
        last = name.rpartition(".")[2]
        if api.canonical(name).startswith("multiprocessing.") and last in _RESULT_CLASSES:
            return (Made(_RESULT_CLASSES[last], site, last),)
        return (Result(name, site),)

    def _annotated_text(self, annotation: cst.SimpleString | cst.ConcatenatedString) -> Values:
        text = annotation.evaluated_value
        if not isinstance(text, str):
            return (UNKNOWN,)
        groups: list[Values] = []
        for part in text.replace("Optional[", "").rstrip("]").split("|"):
            name = part.strip()
            if name == "None":
                continue
            if not all(piece.isidentifier() for piece in name.split(".")):
                return (UNKNOWN,)
            head, _, rest = name.partition(".")
            scope = self.tree.scope_of(annotation)
            owner = scope.owner_of(head)
            bindings = owner.bindings[head] if owner is not None else []
            classes = [b.node for b in bindings if isinstance(b.node, cst.ClassDef)]
            if classes and not rest:
                groups.append((self.instance(classes[-1], annotation),))
                continue
            names = {b.qualified for b in bindings} or {head}
            if len(names) != 1 or "" in names:
                return (UNKNOWN,)
            qualified = names.pop() + ("." + rest if rest else "")
            groups.append(self._declared(qualified, annotation))
        return union(*groups) if groups else (UNKNOWN,)

    def _annotated_generic(self, annotation: cst.Subscript) -> Values:
        name = self.tree.qualified(annotation.value).rpartition(".")[2]
        inner = [e.slice.value for e in annotation.slice if isinstance(e.slice, cst.Index)]
        if name in {"Optional", "Annotated", "Final", "ClassVar", "Required"} and inner:
            return self.annotated(inner[0])
        if name == "Union":
            return union(*(self.annotated(part) for part in inner))
        if name.lower() in {"list", "sequence", "iterable", "iterator", "set", "tuple", "deque"}:
            return (Container(annotation, "annotation"),)
        if name.lower() in _MAPPINGS:
            return (Container(annotation, "annotation"),)
        base = self.annotated(annotation.value)
        return base

    # -- parameters ----------------------------------------------------------------------------

    def _parameter(self, binding: Binding) -> Values:
        param = binding.node
        function = binding.scope.node
        assert isinstance(param, cst.Param)
        if isinstance(function, cst.FunctionDef):
            own = self._own_object(function, param)
            if own is not None:
                return (own,)
        groups: list[Values] = []
        if not isinstance(param.star, str) or not param.star:
            groups = [self.given(given) for given in self.references.arguments_for(function, param)]
        declared = self.annotated(binding.annotation) if binding.annotation is not None else ()
        if param.default is not None:
            groups.append(self.values(param.default))
        found = tuple(v for v in union((), *groups) if v is not UNKNOWN)
        undecided = not groups or any(UNKNOWN in group for group in groups)
        if declared and declared != (UNKNOWN,):
            if undecided or all(_is_none(v) for v in found):
                return union(found, declared)
            return found
        if not found:
            return (UNKNOWN,)
        return (*found, UNKNOWN) if undecided else found

    def given(self, given: Given) -> Values:
        """What an argument may be that a call or a worker API call gives."""
        values = self.values(given.expression)
        for step in given.path:
            values = self.iterated(values) if step is None else self.element(values, step)
        return values

    def _own_object(self, function: cst.FunctionDef, param: cst.Param) -> Value | None:
        """``self`` or ``cls``: the first parameter of a method."""
        names = positional_names(function.params)
        if not names or names[0] != param.name.value:
            return None
        cls = self.classes.of_method(function)
        if cls is None:
            return None
        decorators = decorator_names(self.tree, function)
        if "staticmethod" in decorators:
            return None
        if "classmethod" in decorators or function.name.value in {
            "__new__",
            "__init_subclass__",
            "__class_getitem__",
        }:
            return Class(cls)
        return self.instance(cls, None)

    def instance(self, cls: cst.ClassDef, site: cst.CSTNode | None) -> Value:
        """An instance of ``cls``: a made thing where it derives from a class of the process API."""
        maker = self.classes.maker(cls)
        if maker is not None and maker.makes is not None:
            name = next((n for n in self.classes.external_bases(cls) if api.maker(n)), "")
            method = maker.method or self._method_of_bases(cls)
            return Made(maker.makes, site or cls, maker.name, method, api.flavour(name), cls)
        return Instance(cls, site)

    def _method_of_bases(self, cls: cst.ClassDef) -> str:
        """The start method of the context whose class a class derives from: ``ctx.Process``."""
        for c in self.classes.mro(cls):
            for arg in c.bases:
                if arg.keyword is None and isinstance(arg.value, cst.Attribute):
                    for value in self.values(arg.value):
                        if isinstance(value, External) and value.method != DEFAULT:
                            return value.method
        return DEFAULT

    # -- attributes ----------------------------------------------------------------------------

    def _attribute(self, node: cst.Attribute) -> Values:
        name = node.attr.value
        groups = [self.member(value, name, node) for value in self.values(node.value)]
        return union((), *groups) if groups else ()

    def member(self, value: Value, name: str, node: cst.CSTNode) -> Values:
        """The attribute ``name`` of a value; ``node`` is where it is read."""
        if isinstance(value, External):
            return (External(f"{value.name}.{name}", value.method),)
        if isinstance(value, Made):
            if value.cls is not None:
                found = self.attribute_values(value.cls, name, value)
                if found is not None:
                    return found
            if value.kind is api.Kind.CONTEXT and name in api.CONTEXT_MEMBERS:
                package = value.flavour or "multiprocessing"
                if package == "torch":
                    package = "torch.multiprocessing"
                return (External(f"{package}.{name}", value.method),)
            return (Member(value, name),)
        if isinstance(value, (Instance, Class)):
            cls = value.cls if isinstance(value, Instance) else value.node
            found = self.attribute_values(cls, name, value)
            return found if found is not None else (UNKNOWN,)
        if isinstance(value, Result):
            return (ResultMember(value, name),)
        return (UNKNOWN,)

    def attribute_values(
        self, cls: cst.ClassDef, name: str, receiver: Instance | Made | Class
    ) -> Values | None:
        """What ``receiver.name`` may be, or ``None`` where the class does not say."""
        groups: list[Values] = []
        for c in self.classes.mro(cls):
            bindings = self.tree.scopes[c].bindings.get(name, ())
            for binding in bindings:
                if isinstance(binding.node, cst.FunctionDef):
                    groups.append(self._method_values(binding.node, receiver))
                else:
                    groups.append(self.bound(binding))
            if bindings:
                break
        for store in self.stores(cls, name):
            groups.append(self._stored(store.kind, store.value, store.path, store.annotation))
        return union((), *groups) if groups else None

    def stores(self, cls: cst.ClassDef, name: str) -> list[Store]:
        """The assignments to the attribute ``name`` of instances of ``cls`` (or of the class)."""
        family = set(self.classes.mro(cls))
        return [
            store
            for store in self.classes.stores(name)
            if any(self._class_of(v) in family for v in self.values(store.node.value))
            or self._is_own_in(store.node.value, cls)
        ]

    def _is_own_in(self, receiver: cst.BaseExpression, cls: cst.ClassDef) -> bool:
        """``self`` in a subclass of ``cls`` is an instance of ``cls`` too."""
        return any(
            isinstance(v, (Instance, Made)) and v.cls is not None and cls in self.classes.mro(v.cls)
            for v in self.values(receiver)
        )

    @staticmethod
    def _class_of(value: Value) -> cst.ClassDef | None:
        if isinstance(value, (Instance, Made)):
            return value.cls
        if isinstance(value, Class):
            return value.node
        return None

    def _method_values(
        self, function: cst.FunctionDef, receiver: Instance | Made | Class
    ) -> Values:
        decorators = decorator_names(self.tree, function)
        if any(name in _PROPERTIES for name in decorators):
            return self.returned(function)
        if "staticmethod" in decorators:
            return (Function(function),)
        if isinstance(receiver, Class) and "classmethod" not in decorators:
            return (Function(function),)
        return (BoundMethod(function, receiver),)

    # -- calls ---------------------------------------------------------------------------------

    def _call(self, node: cst.Call) -> Values:
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in _ENTERING:
            if len(node.args) == 1 and not node.args[0].star:
                return self.entered(self.values(node.args[0].value))
        groups: list[Values] = []
        func = node.func
        if isinstance(func, cst.Attribute) and func.attr.value in _CONTAINER_METHODS:
            values = self.values(func.value)
            containers = [v for v in values if isinstance(v, Container)]
            if containers:
                groups = [self._container_call(v, func.attr.value, node) for v in containers]
                others = [v for v in values if not isinstance(v, Container)]
                members = (self.member(v, func.attr.value, func) for v in others)
                groups += [self.called(v, node) for v in union((), *members)]
                return union((), *groups)
        groups = [self.called(value, node) for value in self.values(func)]
        return union((), *groups) if groups else ()

    def _container_call(self, container: Container, name: str, call: cst.Call) -> Values:
        """What a method of a list, dict and so on gives."""
        if name == "copy":
            return (container,)
        mapping = self.is_mapping(container)
        if name in _VIEWS:
            return (Container(call, name),) if mapping else (UNKNOWN,)
        held = self._elements(container)
        if mapping and len(call.args) > 1 and call.args[1].keyword is None:
            return union(held, self.values(call.args[1].value))
        if name == "get":
            return union(held, (Constant(None, call),)) if mapping else (UNKNOWN,)
        return held or (UNKNOWN,)

    def called(self, value: Value, call: cst.Call) -> Values:
        """What a call of ``value`` at ``call`` gives."""
        if isinstance(value, External):
            return self._external_call(value, call)
        if isinstance(value, Function):
            return self._function_call(value.node, call)
        if isinstance(value, BoundMethod):
            return self._function_call(value.node, call)
        if isinstance(value, Class):
            return (self.instance(value.node, call),)
        if isinstance(value, Lambda):
            return self.values(value.node.body)
        if isinstance(value, Member):
            return self._member_call(value, call)
        if isinstance(value, Partial):
            return union((), *(self.called(target, call) for target in value.targets))
        if isinstance(value, Result):
            return (Result(f"{value.name}()", call),)
        if isinstance(value, ResultMember):
            return (Result(f"{value.receiver.name}().{value.name}", call),)
        if isinstance(value, (Instance, Made)) and value.cls is not None:
            method = self.classes.method(value.cls, "__call__")
            return self._function_call(method, call) if method is not None else (UNKNOWN,)
        return (UNKNOWN,)

    def _external_call(self, value: External, call: cst.Call) -> Values:
        name = value.name
        maker = api.maker(name)
        if maker is not None and maker.makes is not None:
            return (self._make(maker, maker.makes, value, call),)
        first = call.args[0].value if call.args and not call.args[0].star else None
        if name == "functools.partial" and first is not None:
            return (Partial(call, self.values(first)),)
        if name in _CONTAINERS:
            return (Container(call, _CONTAINERS[name]),)
        if name == "typing.cast" and len(call.args) > 1:
            return self.values(call.args[1].value)
        if name in _WRAPPERS and first is not None:
            return self.values(first)
        if name == "getattr" and len(call.args) > 1:
            attribute = self.text(call.args[1].value)
            if attribute is not None and first is not None:
                groups = [self.member(v, attribute, call) for v in self.values(first)]
                return union((), *groups)
            return (UNKNOWN,)
        if name == "next" and first is not None:
            return self.iterated(self.values(first))
        if name.startswith("."):
            return (UNKNOWN,)
        return (Result(name, call),)

    def _make(self, maker: api.Maker, kind: api.Kind, value: External, call: cst.Call) -> Made:
        method = maker.method or value.method
        if kind is api.Kind.CONTEXT and not maker.method:
            given = argument(call, maker.parameters, "method")
            method = self._method_name(given) if given is not None else DEFAULT
        elif maker.context:
            given = argument(call, maker.parameters, maker.context)
            if given is not None:
                method = self._method_of_context(given, method)
        return Made(kind, call, maker.name, method, api.flavour(value.name))

    def _method_name(self, node: cst.BaseExpression) -> str:
        constants = {v.value if isinstance(v, Constant) else "?" for v in self.values(node)}
        if constants == {None}:
            return DEFAULT
        if len(constants) == 1:
            only = constants.pop()
            if only in ("fork", "spawn", "forkserver"):
                return str(only)
        return UNDECIDED

    def _method_of_context(self, node: cst.BaseExpression, otherwise: str) -> str:
        methods = set()
        for value in self.values(node):
            if isinstance(value, Made) and value.kind is api.Kind.CONTEXT:
                methods.add(value.method)
            elif _is_none(value):
                methods.add(otherwise)
            elif isinstance(value, External) and api.canonical(value.name) == "multiprocessing":
                methods.add(DEFAULT)
            else:
                methods.add(UNDECIDED)
        return methods.pop() if len(methods) == 1 else UNDECIDED

    def _member_call(self, value: Member, call: cst.Call) -> Values:
        receiver, name = value.receiver, value.name
        if receiver.kind is api.Kind.CONTEXT and name == "get_context":
            return (Made(api.Kind.CONTEXT, call, "get_context", receiver.method),)
        method = api.METHODS.get(receiver.kind, {}).get(name)
        if method is not None and method.gives is not None:
            return (Made(method.gives, call, name, owner=receiver),)
        if name == "__enter__":
            return self.entered((receiver,))
        if receiver.kind is api.Kind.PIPE:
            return (UNKNOWN,)
        return (Result(f"<{receiver.kind.value}>.{name}", call),)

    def _function_call(self, function: cst.FunctionDef, call: cst.Call) -> Values:
        if self.is_opaque(function):
            return (UNKNOWN,)
        if function.asynchronous is not None:
            return (Coroutine(call, function),)
        scope = self.tree.scopes[function]
        if scope.is_generator:
            return (Generator(call, function),)
        return self.returned(function)

    def is_opaque(self, function: cst.FunctionDef) -> bool:
        """True if a decorator may change what a call of the function does."""
        return any(
            name not in TRANSPARENT_DECORATORS for name in decorator_names(self.tree, function)
        )

    def returned(self, function: cst.FunctionDef) -> Values:
        """What the ``return`` statements of a function give; ``None`` where there is none."""
        key = ("returned", function)
        known = self._known.get(key)
        if known is not None:
            return known
        return self._guarded(key, self._known, lambda: self._returned(function))

    def _returned(self, function: cst.FunctionDef) -> Values:
        returns = self.tree.scopes[function].returns
        if not returns:
            return (Constant(None, function),)
        return union(
            (),
            *(
                self.values(r.value) if r.value is not None else (Constant(None, r),)
                for r in returns
            ),
        )

    def yielded(self, function: cst.FunctionDef) -> Values:
        """What a generator function yields, one by one."""
        groups: list[Values] = []
        for node in self.tree.scopes[function].yields:
            if isinstance(node.value, cst.From):
                groups.append(self.iterated(self.values(node.value.item)))
            else:
                groups.append(self.values(node.value))
        return union((), *groups)

    def entered(self, values: Values) -> Values:
        """What ``with … as name`` binds for a context manager."""
        groups: list[Values] = []
        for value in values:
            if isinstance(value, (Made, Result)):
                groups.append((value,))
            elif isinstance(value, Generator) and value.function is not None:
                groups.append(self.yielded(value.function))
            elif isinstance(value, Instance):
                method = self.classes.method(value.cls, "__enter__")
                groups.append(self.returned(method) if method is not None else (UNKNOWN,))
            else:
                groups.append((UNKNOWN,))
        return union((), *groups)

    # -- containers ----------------------------------------------------------------------------

    def elements(self, values: Values) -> Values:
        """What the values hold: for a dict its values."""
        return union((), *(self._elements(value) for value in values))

    def iterated(self, values: Values) -> Values:
        """What iterating over the values gives: for a dict its keys."""
        return union(
            (),
            *(
                self._keys(value)
                if isinstance(value, Container) and self.is_mapping(value)
                else self._elements(value)
                for value in values
            ),
        )

    def is_mapping(self, container: Container) -> bool:
        """True for a dict, and for what an annotation says is one."""
        if container.type != "annotation":
            return container.type == "dict"
        site = container.site
        name = self.tree.qualified(site.value) if isinstance(site, cst.Subscript) else ""
        return name.rpartition(".")[2].lower() in _MAPPINGS

    def _keys(self, container: Container) -> Values:
        site = container.site
        if isinstance(site, cst.Dict):
            keys = [e.key for e in site.elements if isinstance(e, cst.DictElement)]
            known = union((), *(self.values(key) for key in keys))
            return known if len(keys) == len(site.elements) > 0 else union(known, (UNKNOWN,))
        if isinstance(site, cst.DictComp):
            return self.values(site.key)
        if isinstance(site, cst.Subscript):
            inner = [e.slice.value for e in site.slice if isinstance(e.slice, cst.Index)]
            return self.annotated(inner[0]) if inner else (UNKNOWN,)
        return (UNKNOWN,)

    def _elements(self, value: Value) -> Values:
        if isinstance(value, Container):
            key = ("elements", value)
            known = self._known.get(key)
            if known is not None:
                return known
            return self._guarded(key, self._known, lambda: self._container_elements(value))
        if isinstance(value, Generator):
            if value.function is not None:
                return self.yielded(value.function)
            if isinstance(value.site, cst.GeneratorExp):
                return self.values(value.site.elt)
        if isinstance(value, Constant) and isinstance(value.value, str):
            return (Result("str", value.node),)
        if isinstance(value, Made) and value.kind is api.Kind.PIPE:
            return tuple(self._pipe_end(value, i) for i in (0, 1))
        if isinstance(value, Result) and value.name == "range":
            return (Computed(value.site),)
        if isinstance(value, Result) and value.name in _ITERATED:
            return (Result(_ITERATED[value.name], value.site),)
        return (UNKNOWN,)

    def _container_elements(self, container: Container) -> Values:
        groups: list[Values] = []
        site = container.site
        if container.type in _VIEWS and isinstance(site, cst.Call):
            return self._view_elements(container.type, site)
        for expression, nested in self.contributions(container):
            values = self.values(expression)
            if not nested:
                groups.append(values)
            elif container.type == "dict":
                groups.append(self.elements(values))
            else:
                groups.append(self.iterated(values))
        if container.type == "annotation":
            return self._declared_elements(site)
        return union((), *groups)

    def _view_elements(self, view: str, call: cst.Call) -> Values:
        """What iterating over ``d.keys()``, ``d.values()`` or ``d.items()`` gives."""
        if view == "items":
            return (Container(call, "item"),)
        assert isinstance(call.func, cst.Attribute)
        values = self.values(call.func.value)
        mappings = [v for v in values if isinstance(v, Container) and self.is_mapping(v)]
        if view == "keys":
            return union((), *(self._keys(value) for value in mappings))
        return self.elements(tuple(mappings))

    def _declared_elements(self, site: cst.CSTNode) -> Values:
        if isinstance(site, cst.Subscript):
            inner = [e.slice.value for e in site.slice if isinstance(e.slice, cst.Index)]
            if inner:
                return self.annotated(inner[-1])
        return (UNKNOWN,)

    def contributions(self, container: Container) -> list[tuple[cst.BaseExpression, bool]]:
        """The expressions that give a container its elements; ``True``: they hold them in turn."""
        site = container.site
        found: list[tuple[cst.BaseExpression, bool]] = []
        if isinstance(site, (cst.List, cst.Tuple, cst.Set)):
            for element in site.elements:
                found.append((element.value, isinstance(element, cst.StarredElement)))
        elif isinstance(site, (cst.ListComp, cst.SetComp)):
            found.append((site.elt, False))
        elif isinstance(site, cst.DictComp):
            found.append((site.key if container.type == "keys" else site.value, False))
        elif isinstance(site, cst.Dict):
            for pair in site.elements:
                found.append((pair.value, isinstance(pair, cst.StarredDictElement)))
        elif isinstance(site, cst.Call):
            found += self._call_contributions(site)
        found += self._grown().get(site, ())
        return found

    def _call_contributions(self, call: cst.Call) -> Iterator[tuple[cst.BaseExpression, bool]]:
        name = self.tree.qualified(call.func)
        if name in {"map", "filter"}:
            if name == "filter" and len(call.args) > 1:
                yield call.args[1].value, True
            return
        for arg in call.args:
            if arg.star:
                continue
            if arg.keyword is None or name == "dict":
                yield arg.value, name not in {"itertools.repeat"} and arg.keyword is None

    def _grown(self) -> dict[cst.CSTNode, list[tuple[cst.BaseExpression, bool]]]:
        """What ``append``, ``add``, ``d[k] = v`` and the like put into which container."""
        if self._contributions is None:
            grown = self._contributions = {}
            for name in _GROWING:
                for call in self.tree.calls_of.get(name, ()):
                    if not isinstance(call.func, cst.Attribute) or not call.args:
                        continue
                    nested = name in {"extend", "extendleft", "update"}
                    self._grow(grown, call.func.value, call.args[-1].value, nested)
            for assign in self.tree.nodes(cst.Assign):
                for target in assign.targets:
                    if isinstance(target.target, cst.Subscript):
                        self._grow(grown, target.target.value, assign.value, False)
            for augmented in self.tree.nodes(cst.AugAssign):
                if isinstance(augmented.operator, cst.AddAssign):
                    self._grow(grown, augmented.target, augmented.value, True)
        return self._contributions

    def _grow(
        self,
        grown: dict[cst.CSTNode, list[tuple[cst.BaseExpression, bool]]],
        receiver: cst.BaseExpression,
        value: cst.BaseExpression,
        nested: bool,
    ) -> None:
        for owner in self.values(receiver):
            if isinstance(owner, Container):
                grown.setdefault(owner.site, []).append((value, nested))

    def element(self, values: Values, index: int) -> Values:
        """The element at a constant place (``STARRED``: any) of the values."""
        groups: list[Values] = []
        for value in values:
            if isinstance(value, Made) and value.kind is api.Kind.PIPE:
                groups.append((self._pipe_end(value, index),))
            elif isinstance(value, Container) and isinstance(value.site, (cst.Tuple, cst.List)):
                elements = value.site.elements
                starred = any(isinstance(e, cst.StarredElement) for e in elements)
                if not starred and -len(elements) <= index < len(elements) and index != STARRED:
                    groups.append(self.values(elements[index].value))
                else:
                    groups.append(self._elements(value))
            elif isinstance(value, Container) and value.type == "item":
                assert isinstance(value.site, cst.Call)
                views = ("keys", "values") if index == STARRED else (("keys", "values")[index % 2],)
                groups += [self._view_elements(view, value.site) for view in views]
            elif isinstance(value, Container) and self._is_columns(value):
                groups.append(self._column(value, index))
            else:
                groups.append(self._elements(value))
        return union((), *groups)

    def _is_columns(self, value: Container) -> bool:
        return isinstance(value.site, cst.Call) and self.tree.qualified(value.site.func) in {
            "zip",
            "enumerate",
        }

    def _column(self, value: Container, index: int) -> Values:
        assert isinstance(value.site, cst.Call)
        args = [arg.value for arg in value.site.args if not arg.star and arg.keyword is None]
        if self.tree.qualified(value.site.func) == "enumerate":
            if index == 0:
                return (Computed(value.site),)
            index -= 1
        if 0 <= index < len(args):
            return self.iterated(self.values(args[index]))
        return (UNKNOWN,)

    @staticmethod
    def _pipe_end(pipe: Made, index: int) -> Made:
        return Made(
            api.Kind.CONNECTION, pipe.site, f"end {index}", pipe.method, pipe.flavour, owner=pipe
        )

    # -- other expressions ---------------------------------------------------------------------

    def _subscript(self, node: cst.Subscript) -> Values:
        if len(node.slice) != 1:
            return (UNKNOWN,)
        part = node.slice[0].slice
        values = self.values(node.value)
        if not isinstance(part, cst.Index):
            return values
        index = self.integer(part.value)
        containers = tuple(v for v in values if isinstance(v, (Container, Made)))
        if not containers:
            return (UNKNOWN,)
        if index is not None and index >= 0:
            return self.element(containers, index)
        return self.elements(containers)

    def _boolean(self, node: cst.BooleanOperation) -> Values:
        left, right = self.values(node.left), self.values(node.right)
        if isinstance(node.operator, cst.Or):
            left = tuple(v for v in left if not (isinstance(v, Constant) and not v.value))
        return union(left, right)

    def _conditional(self, node: cst.IfExp) -> Values:
        return union(self.values(node.body), self.values(node.orelse))

    def _await(self, node: cst.Await) -> Values:
        groups: list[Values] = []
        for value in self.values(node.expression):
            if isinstance(value, Coroutine):
                groups.append(self.returned(value.function))
            else:
                groups.append((UNKNOWN,))
        return union((), *groups)

    def _display(self, node: cst.CSTNode) -> Values:
        return (Container(node, _DISPLAYS[type(node)]),)

    def _literal(self, node: cst.CSTNode) -> Values:
        return (Constant(getattr(node, "evaluated_value"), node),)  # noqa: B009

    def text(self, node: cst.CSTNode | None) -> str | None:
        """The one string that an expression is, if it is one."""
        values = self.values(node)
        if len(values) == 1 and isinstance(values[0], Constant):
            value = values[0].value
            return value if isinstance(value, str) else None
        return None

    def integer(self, node: cst.CSTNode | None) -> int | None:
        """The one integer that an expression is, if it is one."""
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
            inner = self.integer(node.expression)
            return None if inner is None else -inner
        values = self.values(node)
        if len(values) == 1 and isinstance(values[0], Constant):
            value = values[0].value
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        return None


def _is_none(value: Value) -> bool:
    return isinstance(value, Constant) and value.value is None


_RESULT_CLASSES = {
    "AsyncResult": api.Kind.ASYNC_RESULT,
    "ApplyResult": api.Kind.ASYNC_RESULT,
    "MapResult": api.Kind.ASYNC_RESULT,
    "Connection": api.Kind.CONNECTION,
}
_SINGLETONS = {"None": None, "True": True, "False": False}
_DISPLAYS: dict[type[cst.CSTNode], str] = {
    cst.List: "list",
    cst.ListComp: "list",
    cst.Tuple: "tuple",
    cst.Set: "set",
    cst.SetComp: "set",
    cst.Dict: "dict",
    cst.DictComp: "dict",
}
_EXPRESSIONS: dict[type[cst.CSTNode], Callable[..., Values]] = {
    cst.Name: Evaluator._name,
    cst.Attribute: Evaluator._attribute,
    cst.Call: Evaluator._call,
    cst.Subscript: Evaluator._subscript,
    cst.BooleanOperation: Evaluator._boolean,
    cst.IfExp: Evaluator._conditional,
    cst.Await: Evaluator._await,
    cst.NamedExpr: lambda self, node: self.values(node.value),
    cst.Lambda: lambda self, node: (Lambda(node),),
    cst.GeneratorExp: lambda self, node: (Generator(node),),
    cst.Integer: Evaluator._literal,
    cst.Float: Evaluator._literal,
    cst.SimpleString: Evaluator._literal,
    cst.ConcatenatedString: Evaluator._literal,
    cst.FormattedString: lambda self, node: (Computed(node),),
    cst.BinaryOperation: lambda self, node: (Computed(node),),
    cst.UnaryOperation: lambda self, node: (Computed(node),),
    cst.Comparison: lambda self, node: (Computed(node),),
    **dict.fromkeys(_DISPLAYS, Evaluator._display),
}
