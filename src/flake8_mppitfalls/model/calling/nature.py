"""Nature: of which type a value surely is, and what can't be done with it.

Each question is answered ``None`` where the file does not say.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.values import (
    UNKNOWN,
    BoundMethod,
    Class,
    Computed,
    Constant,
    Container,
    Coroutine,
    Function,
    Generator,
    Instance,
    Lambda,
    Made,
    Member,
    Partial,
    Result,
    Unknown,
)
from flake8_mppitfalls.syntax.scopes import Bound

if TYPE_CHECKING:
    from flake8_mppitfalls.model.evaluation.evaluate import Evaluator
    from flake8_mppitfalls.model.values import Value, Values

DEEPEST = 6
"""How many operators deep the type of an expression is looked for."""

_TYPES_OF_CALLS = {
    "int": "int len abs round hash id ord os.getpid os.getppid os.cpu_count os.process_cpu_count "
    "multiprocessing.cpu_count random.randint random.randrange time.time_ns time.monotonic_ns "
    "time.perf_counter_ns threading.get_ident math.floor math.ceil math.factorial math.gcd "
    "math.comb math.isqrt",
    "float": "float time.time time.monotonic time.perf_counter time.process_time random.random "
    "random.uniform random.gauss statistics.mean statistics.fmean statistics.stdev math.sqrt "
    "math.sin math.cos math.tan math.exp math.log math.log2 math.log10 math.hypot math.atan2 "
    "math.fsum",
    "bool": "bool isinstance issubclass callable any all hasattr os.path.exists os.path.isfile "
    "os.path.isdir",
    "str": "str repr ascii format chr hex bin oct input os.path.join os.path.basename "
    "os.path.dirname os.path.abspath os.path.expanduser os.path.realpath os.getcwd json.dumps "
    "tempfile.mkdtemp tempfile.gettempdir time.strftime time.ctime platform.node platform.system "
    "socket.gethostname getpass.getuser textwrap.dedent",
    "bytes": "bytes bytearray os.urandom pickle.dumps zlib.compress zlib.decompress",
    "complex": "complex",
    "Decimal": "decimal.Decimal",
    "Fraction": "fractions.Fraction",
    "date": "datetime.date datetime.date.today",
    "datetime": "datetime.datetime datetime.datetime.now datetime.datetime.today",
    "timedelta": "datetime.timedelta",
    "UUID": "uuid.UUID uuid.uuid1 uuid.uuid4",
    "PosixPath": "pathlib.Path pathlib.PurePath pathlib.Path.cwd pathlib.Path.home",
    "Lock": "threading.Lock threading.RLock",
    "Event": "threading.Event asyncio.Event",
    "Queue": "queue.Queue asyncio.Queue",
    "Logger": "logging.getLogger",
    "Random": "random.Random",
    "object": "object",
}
_TYPE_OF_CALL = {name: kind for kind, names in _TYPES_OF_CALLS.items() for name in names.split()}
_STRING_METHODS = frozenset(
    "format join lower upper strip lstrip rstrip replace title capitalize casefold center ljust "
    "rjust zfill swapcase removeprefix removesuffix expandtabs translate".split()
)
_NUMBERS = frozenset({"int", "float", "complex", "bool", "Decimal", "Fraction"})
_NOT_ITERABLE = _NUMBERS | frozenset(
    "NoneType date datetime timedelta UUID PosixPath Lock Event Queue Logger Random object "
    "function method coroutine ellipsis".split()
)
_NOT_ITERABLE_KINDS = frozenset(
    {
        api.Kind.POOL,
        api.Kind.EXECUTOR,
        api.Kind.PROCESS,
        api.Kind.THREAD,
        api.Kind.MANAGER,
        api.Kind.CONTEXT,
        api.Kind.ASYNC_RESULT,
        api.Kind.FUTURE,
        api.Kind.QUEUE,
        api.Kind.LOCK,
        api.Kind.SEMAPHORE,
        api.Kind.EVENT,
        api.Kind.CONDITION,
        api.Kind.BARRIER,
        api.Kind.VALUE,
        api.Kind.CONNECTION,
        api.Kind.SHARED_MEMORY,
    }
)
_TYPE_OF_KIND = {
    kind: "".join(word.capitalize() for word in kind.value.split())
    for kind in _NOT_ITERABLE_KINDS
    if kind is not api.Kind.CONNECTION
} | {
    api.Kind.EXECUTOR: "ProcessPoolExecutor",
    api.Kind.ASYNC_RESULT: "ApplyResult",
    api.Kind.CONNECTION: "Connection",
    api.Kind.VALUE: "Synchronized",
    api.Kind.THREAD: "Thread",
}
_ITERABLE_PROXIES = frozenset({"list", "dict", "set", "Array"})
_CALLABLE_RESULTS = frozenset({"getattr", "eval", "type", "super", "next", "vars", "compile"})
_CALLABLE_ARRAYS = frozenset({"vectorize", "frompyfunc", "poly1d", "polynomial.Polynomial"})
_COLLECTIONS = frozenset(
    "collections.Counter collections.deque collections.OrderedDict collections.defaultdict "
    "collections.ChainMap array.array range memoryview".split()
)
_PLAIN_MODULES = frozenset(
    "math statistics json pickle zlib hashlib os shutil subprocess struct csv re base64 random "
    "datetime decimal fractions uuid textwrap socket sqlite3 platform glob html urllib time "
    "string collections itertools heapq bisect secrets tempfile pathlib".split()
)
"""Modules of the standard library whose functions give data."""
_GIVING_ELEMENTS = frozenset(
    "random.choice random.choices heapq.heappop heapq.heappushpop heapq.heapreplace pickle.loads "
    "pickle.load collections.namedtuple itertools.chain collections.abc.Callable".split()
)
"""What gives back what it was given, or a class."""
_DATA_METHODS = frozenset(
    name for kind in (str, bytes, int, float) for name in dir(kind) if name[0] != "_"
) | frozenset(
    "read readline readlines read_text read_bytes write write_text write_bytes json text "
    "fetchall mean sum std tolist astype reshape dot transpose hexdigest digest total_seconds "
    "isoformat timestamp strftime group groups groupdict keys values items sort append "
    "extend".split()
)


class Nature:
    """Answers about the values of one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._tree = evaluator.tree

    # -- types ---------------------------------------------------------------------------------

    def type_of(self, value: Value, depth: int = 0) -> str | None:
        """The name of the type of a value, as error messages have it."""
        if isinstance(value, Constant):
            return type(value.value).__name__
        if isinstance(value, (Function, Lambda)):
            return "function"
        if isinstance(value, (BoundMethod, Member)):
            return "method"
        if isinstance(value, Class):
            return "type"
        if isinstance(value, Instance):
            return value.cls.name.value
        if isinstance(value, Partial):
            return "functools.partial"
        if isinstance(value, Generator):
            return "generator"
        if isinstance(value, Coroutine):
            return "coroutine"
        if isinstance(value, Made):
            return value.cls.name.value if value.cls is not None else _TYPE_OF_KIND.get(value.kind)
        if isinstance(value, Container):
            return value.type if value.type in ("list", "tuple", "set", "dict") else None
        if isinstance(value, Computed):
            return self._computed(value.site, depth)
        if isinstance(value, Result):
            return self._result(value)
        return None

    def _result(self, value: Result) -> str | None:
        known = _TYPE_OF_CALL.get(value.name)
        if known is not None:
            return known
        _, dot, method = value.name.rpartition("().")
        owner = value.name.removesuffix(f"().{method}") if dot else ""
        if owner == "str" and method in _STRING_METHODS:
            return "str"
        return None

    def _computed(self, site: cst.CSTNode, depth: int) -> str | None:
        if depth > DEEPEST:
            return None
        if isinstance(site, cst.FormattedString):
            return "str"
        if isinstance(site, cst.Comparison):
            return "bool"
        if isinstance(site, cst.UnaryOperation):
            if isinstance(site.operator, cst.Not):
                return "bool"
            return self.of_expression(site.expression, depth + 1, _NUMBERS)
        if isinstance(site, cst.BinaryOperation):
            return self._arithmetic(site, depth)
        if isinstance(site, cst.Call) and self._tree.qualified(site.func) in {
            "range",
            "enumerate",
        }:
            return "int"
        return None

    def _arithmetic(self, site: cst.BinaryOperation, depth: int) -> str | None:
        left = self.of_expression(site.left, depth + 1)
        if isinstance(site.operator, cst.Modulo) and left == "str":
            return "str"
        right = self.of_expression(site.right, depth + 1)
        types = {left, right}
        if isinstance(site.operator, cst.Add) and "str" in types:
            return "str"
        if isinstance(site.operator, cst.Multiply) and types == {"str", "int"}:
            return "str"
        if not types <= {"int", "float", "bool"}:
            return None
        if isinstance(site.operator, cst.Divide) or "float" in types:
            return "float"
        return "int"

    def of_expression(
        self, node: cst.CSTNode, depth: int = 0, among: frozenset[str] | None = None
    ) -> str | None:
        """The type that an expression surely has: all its values have it."""
        kinds = {self.type_of(value, depth) for value in self._evaluator.values(node)}
        kind = kinds.pop() if len(kinds) == 1 else None
        return kind if among is None or kind in among else None

    # -- what can't be done --------------------------------------------------------------------

    def is_iterable(self, value: Value) -> bool | None:
        """Can it be iterated over, as ``tuple(value)`` does?"""
        if isinstance(value, Made):
            if value.cls is not None and self._defines(value.cls, "__iter__", "__getitem__"):
                return True
            if value.kind is api.Kind.PROXY:
                return None if value.name in _ITERABLE_PROXIES else False
            return False if value.kind in _NOT_ITERABLE_KINDS else None
        if isinstance(value, Instance):
            return self._instance_may(value.cls, "__iter__", "__getitem__")
        if isinstance(value, (Container, Generator)):
            return True
        if isinstance(value, (Lambda, Function, BoundMethod, Partial, Coroutine)):
            return False
        kind = self.type_of(value)
        if kind in ("str", "bytes"):
            return True
        return False if kind in _NOT_ITERABLE else None

    def is_mapping(self, value: Value) -> bool | None:
        """Can it be unpacked as ``**value``?"""
        if isinstance(value, Container):
            if value.type in ("list", "tuple", "set", "iterator", "row", "keys", "values", "item"):
                return False
            return True if value.type == "dict" else None
        if isinstance(value, Instance):
            return self._instance_may(value.cls, "keys")
        if isinstance(value, Result) and value.name in (
            "range",
            "array.array",
            "collections.deque",
        ):
            return False
        kind = self.type_of(value)
        if kind in ("str", "bytes") or isinstance(value, Generator):
            return False
        return False if self.is_iterable(value) is False else None

    def is_callable(self, value: Value) -> bool | None:
        """Can it be called?"""
        if isinstance(value, (Function, Lambda, BoundMethod, Partial, Class, Member)):
            return True
        if isinstance(value, (Constant, Container, Generator, Coroutine)):
            return False
        if isinstance(value, Computed):
            return self._computed_is_callable(value)
        if isinstance(value, Made):
            if value.cls is not None:
                return self._instance_may(value.cls, "__call__")
            return None if value.kind is api.Kind.PROXY else False
        if isinstance(value, Instance):
            return self._instance_may(value.cls, "__call__")
        if isinstance(value, Result):
            return self._result_is_callable(value)
        return None

    def may_be_called(self, node: cst.CSTNode | None, depth: int = 0) -> bool | None:
        """Can the value of an expression be called? As :meth:`is_callable`, for all it may be.

        What a method gives whose name only data have (``split``, ``read``) is data.
        """
        if node is None or depth > DEEPEST:
            return None
        values = self._evaluator.values(node)
        answers = {self.is_callable(value) for value in values}
        if UNKNOWN not in values:
            return answers.pop() if len(answers) == 1 else None
        if len(answers) > 1 and False not in answers:
            return None
        return False if self._is_data(node, depth) else None

    def _is_data(self, node: cst.CSTNode, depth: int) -> bool:
        """Does an expression whose value is not known surely give data?"""
        if isinstance(node, cst.IfExp):
            return (
                self.may_be_called(node.body, depth + 1) is False
                and self.may_be_called(node.orelse, depth + 1) is False
            )
        if isinstance(node, cst.Name):
            bindings = self._evaluator.names.bindings(node)
            return bool(bindings) and all(
                binding.kind is Bound.AUGMENTED
                or (
                    binding.kind is Bound.ASSIGN
                    and not binding.path
                    and binding.value is not None
                    and self.may_be_called(binding.value, depth + 1) is False
                )
                for binding in bindings
            )
        if isinstance(node, cst.Call):
            if isinstance(node.func, cst.Attribute):
                name = node.func.attr.value
                if name in _DATA_METHODS and name not in _TAKING_OUT:
                    return not any(
                        isinstance(v, (Instance, Made, Class))
                        for v in self._evaluator.values(node.func.value)
                    )
            return self._gives_data(node, depth)
        return False

    def _gives_data(self, call: cst.Call, depth: int) -> bool:
        """Does every ``return`` of the called functions of this module give data?"""
        values = self._evaluator.values(call.func)
        if not values:
            return False
        for value in values:
            if not isinstance(value, (Function, BoundMethod)):
                return False
            scope = self._tree.scopes[value.node]
            if self._evaluator.calls.is_opaque(value.node) or scope.is_generator:
                return False
            if value.node.asynchronous is not None:
                return False
            for returned in scope.returns:
                if returned.value is not None:
                    if self.may_be_called(returned.value, depth + 1) is not False:
                        return False
        return True

    def _computed_is_callable(self, value: Computed) -> bool | None:
        """Operators give data, unless they combine objects that say otherwise."""
        if isinstance(value.site, cst.BinaryOperation):
            for operand in (value.site.left, value.site.right):
                for inner in self._evaluator.values(operand):
                    if isinstance(inner, (Instance, Function, Class, BoundMethod, Lambda)):
                        return None
        return False

    def _result_is_callable(self, value: Result) -> bool | None:
        name = value.name
        if self._result(value) is not None or name in _COLLECTIONS:
            return False
        if "()" in name:
            method = name.rpartition("().")[2]
            return False if method in _DATA_METHODS and method not in _TAKING_OUT else None
        if name in _CALLABLE_RESULTS or name in _GIVING_ELEMENTS:
            return None
        if hasattr(builtins, name):
            kind = getattr(builtins, name)
            return False if not isinstance(kind, type) or _is_data(kind) else None
        module, _, rest = name.partition(".")
        if module in ("numpy", "pandas"):
            return None if rest in _CALLABLE_ARRAYS else False
        return False if module in _PLAIN_MODULES else None

    def _instance_may(self, cls: cst.ClassDef, *methods: str) -> bool | None:
        """``False`` where neither the class nor a base of this module defines a method."""
        if self._defines(cls, *methods):
            return True
        for name in self._evaluator.classes.external_bases(cls):
            if name != "object" and api.maker(name) is None and not name.startswith("typing."):
                return None
        return None if cls.keywords or cls.decorators else False

    def _defines(self, cls: cst.ClassDef, *methods: str) -> bool:
        bindings = (self._tree.scopes[c].bindings for c in self._evaluator.classes.mro(cls))
        return any(name in found for found in bindings for name in (*methods, "__getattr__"))


_TAKING_OUT = frozenset({"get", "pop", "popitem", "setdefault", "copy"})
"""Methods that give what somebody put in."""


def _is_data(kind: type) -> bool:
    return not issubclass(kind, (type, property, staticmethod, classmethod, super))


def known(values: Values) -> list[Value]:
    """The values that the file shows: without ``UNKNOWN``."""
    return [value for value in values if not isinstance(value, Unknown)]
