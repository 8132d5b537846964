"""What an expression may be: the answers of the evaluation.

Values are immutable, hashable and compare by content; syntax nodes in them compare by identity.
``site`` is the node at which a thing is made, which is also its identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import libcst as cst

    from flake8_mppitfalls.model.api import Kind


@dataclass(frozen=True, slots=True)
class Unknown:
    """The file does not say."""


UNKNOWN = Unknown()

DEFAULT = ""
"""The start method of what is made by the default context."""
UNDECIDED = "?"
"""The start method of a context whose name the file does not say."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; ``node`` is where it is written."""

    value: object
    node: cst.CSTNode


@dataclass(frozen=True, slots=True)
class Computed:
    """The result of an operator, comparison or f-string at ``site``."""

    site: cst.CSTNode


@dataclass(frozen=True, slots=True)
class External:
    """A module, class or function from elsewhere, by its dotted name; builtins by their bare name.

    ``method`` is the start method where the name was reached through a context.
    """

    name: str
    method: str = DEFAULT


@dataclass(frozen=True, slots=True)
class Made:
    """Something that a process API gives: a pool, process, queue, async result and so on.

    Attributes:
        kind: what it is.
        site: the call that makes it; for an annotated parameter the annotation; for ``self`` in
            a subclass the ``class``.
        name: the short name in the API table (``JoinableQueue``, ``apply_async``).
        method: its context's start method, :data:`DEFAULT` or :data:`UNDECIDED`.
        flavour: the fork of the package it comes from, if any (``torch``).
        cls: the subclass of this module of which it is an instance.
        owner: the pool, executor or manager that gave it.
    """

    kind: Kind
    site: cst.CSTNode
    name: str
    method: str = DEFAULT
    flavour: str = ""
    cls: cst.ClassDef | None = None
    owner: Made | None = field(default=None, compare=False)

    @property
    def is_declared(self) -> bool:
        """True where an annotation says what it is, and not the call that makes it."""
        return type(self.site).__name__ != "Call"


@dataclass(frozen=True, slots=True)
class Function:
    """A ``def`` of this module, not bound to an instance."""

    node: cst.FunctionDef


@dataclass(frozen=True, slots=True)
class Lambda:
    """A ``lambda``."""

    node: cst.Lambda


@dataclass(frozen=True, slots=True)
class Class:
    """A ``class`` of this module."""

    node: cst.ClassDef


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a class of this module; ``site`` is ``None`` for ``self``."""

    cls: cst.ClassDef
    site: cst.CSTNode | None


@dataclass(frozen=True, slots=True)
class BoundMethod:
    """A method of this module together with the instance or class it is read from."""

    node: cst.FunctionDef
    receiver: Instance | Made | Class


@dataclass(frozen=True, slots=True)
class Member:
    """A method of something that a process API made: ``pool.apply_async``."""

    receiver: Made
    name: str


@dataclass(frozen=True, slots=True)
class Partial:
    """``functools.partial(…)`` at ``site``; ``targets`` is what its first argument may be."""

    site: cst.Call
    targets: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A list, tuple, set, dict, or an iterator over one, made at ``site``.

    ``type`` is ``list``, ``tuple``, ``set``, ``dict``, ``iterator`` or ``annotation``; for what
    ``d.keys()``, ``d.values()`` and ``d.items()`` give ``keys``, ``values`` and ``items``, and
    ``item`` for the pairs of the last; ``row`` for the tuples that ``zip`` and the like give, and
    ``column 0``, ``column 1`` for those that ``zip(*pairs)`` does.
    """

    site: cst.CSTNode
    type: str


@dataclass(frozen=True, slots=True)
class Generator:
    """A generator object: a generator expression, or a call of a generator function."""

    site: cst.CSTNode
    function: cst.FunctionDef | None = None


@dataclass(frozen=True, slots=True)
class Coroutine:
    """What the call at ``site`` of an ``async def`` of this module gives before it is awaited."""

    site: cst.CSTNode
    function: cst.FunctionDef


@dataclass(frozen=True, slots=True)
class Result:
    """What calling something from elsewhere gives (``threading.Lock()``, ``os.cpu_count()``).

    Also an instance of a class from elsewhere that an annotation names.
    """

    name: str
    site: cst.CSTNode


@dataclass(frozen=True, slots=True)
class ResultMember:
    """An attribute of a :class:`Result`: ``conn.cursor`` for a ``sqlite3`` connection."""

    receiver: Result
    name: str


Value: TypeAlias = (
    Unknown
    | Constant
    | Computed
    | External
    | Made
    | Function
    | Lambda
    | Class
    | Instance
    | BoundMethod
    | Member
    | Partial
    | Container
    | Generator
    | Coroutine
    | Result
    | ResultMember
)
Values: TypeAlias = "tuple[Value, ...]"


def union(*groups: Values) -> Values:
    """The values of all groups, each once, in order."""
    some = [group for group in groups if group]
    if len(some) <= 1:
        return some[0] if some else ()
    merged: dict[Value, None] = {}
    for group in some:
        merged.update(dict.fromkeys(group))
    return tuple(merged)


def is_none(value: Value) -> bool:
    """True for the constant ``None``."""
    return isinstance(value, Constant) and value.value is None


def is_always(values: Values, constant: bool | None) -> bool:
    """True for what can't be anything but ``True``, ``False`` or ``None``."""
    return bool(values) and all(isinstance(v, Constant) and v.value is constant for v in values)


def is_made_at(values: Values, site: cst.CSTNode) -> bool:
    """Is one of the values made at this place?"""
    return any(isinstance(v, Made) and v.site is site for v in values)


def class_of(value: Value) -> cst.ClassDef | None:
    """The class of this module that a value is, or of which it is an object."""
    if isinstance(value, (Instance, Made)):
        return value.cls
    return value.node if isinstance(value, Class) else None


def is_plain(value: Value) -> bool:
    """True for ``None``, a string or a number, as an annotation declares them."""
    return is_none(value) or (isinstance(value, Result) and value.name in _PLAIN)


_PLAIN = frozenset({"bool", "bytes", "float", "int", "str"})


def with_article(noun: str) -> str:
    """``a Value``, ``an Event``, ``an RLock``: what a thing is called in a message."""
    return f"an {noun}" if noun.startswith((*"AEIOaeio", "RLock")) else f"a {noun}"
