"""The process APIs as data: what makes what, which method takes which callable, what it does.

Rules and analyses ask these tables; they don't spell out method names again. The parameter names
and their order are those of CPython 3.14's ``multiprocessing`` (``pool.py``, ``process.py``,
``context.py``, ``managers.py``) and ``concurrent.futures`` (``process.py``, ``_base.py``), and of
``torch.multiprocessing.spawn``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class Kind(enum.Enum):
    """What a value is, in the words of the process APIs."""

    POOL = "pool"
    THREAD_POOL = "thread pool"
    EXECUTOR = "process executor"
    THREAD_EXECUTOR = "thread executor"
    PROCESS = "process"
    THREAD = "thread"
    MANAGER = "manager"
    MEMORY_MANAGER = "shared memory manager"
    CONTEXT = "context"
    ASYNC_RESULT = "async result"
    LAZY_RESULTS = "lazy results"
    RESULTS = "results"
    FUTURE = "future"
    QUEUE = "queue"
    LOCK = "lock"
    SEMAPHORE = "semaphore"
    EVENT = "event"
    CONDITION = "condition"
    BARRIER = "barrier"
    VALUE = "value"
    ARRAY = "array"
    RAW = "raw shared memory"
    PIPE = "pipe"
    CONNECTION = "pipe end"
    SHARED_MEMORY = "shared memory"
    PROXY = "manager proxy"


SHARED_BY_INHERITANCE = frozenset(
    {
        Kind.LOCK,
        Kind.SEMAPHORE,
        Kind.EVENT,
        Kind.CONDITION,
        Kind.BARRIER,
        Kind.QUEUE,
        Kind.VALUE,
        Kind.ARRAY,
        Kind.RAW,
    }
)
"""Pickling these works only while a process is being started (``context.assert_spawning``)."""

THREAD_KINDS = frozenset({Kind.THREAD_POOL, Kind.THREAD_EXECUTOR, Kind.THREAD})


class Spread(enum.Enum):
    """How a parameter of a worker API holds the arguments of the task."""

    TUPLE = "each element is a positional argument"
    MAPPING = "each value is a keyword argument"
    ITEMS = "each item of the iterable is the one argument of a task"
    TUPLES = "each item of the iterable is the tuple of a task's arguments"
    COLUMNS = "several iterables; a task gets one item of each"
    DIRECT = "the call's further arguments are the task's"


@dataclass(frozen=True, slots=True)
class TaskShape:
    """How a call hands a callable to another process.

    ``callable`` is the parameter that takes it and ``arguments`` say where its arguments are.
    ``always_pickled`` is true for tasks; false for what is pickled only under spawn and
    forkserver (``Process``, initializers).
    """

    callable: str
    arguments: tuple[tuple[str, Spread], ...] = ()
    always_pickled: bool = True
    role: str = "task"
    leading: int = 0
    """How many arguments the API itself puts in front (``torch``'s ``spawn``: the rank)."""


INITIALIZER = TaskShape("initializer", (("initargs", Spread.TUPLE),), False, "initializer")


@dataclass(frozen=True, slots=True)
class Maker:
    """A class or function of the API and what calling it gives."""

    name: str
    makes: Kind | None
    parameters: tuple[str, ...] = ()
    shape: TaskShape | None = None
    count: str = ""
    """The parameter that holds the number of workers."""
    context: str = ""
    """The parameter that takes a context."""
    method: str = ""
    """The start method that the class itself fixes."""
    fixes_context: bool = False
    """Calling it fixes the default context (``set_start_method`` fails afterwards)."""
    starts: bool = False
    """Calling it starts a process at once."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of something that the API makes.

    ``effect`` is what the call does to its receiver's life (``close``, ``terminate``, ``join``,
    ``start``, ``kill``, ``fetch``, ``wait`` …), ``gives`` what it returns, ``blocks`` whether the
    caller waits for a result in it.
    """

    parameters: tuple[str, ...] = ()
    shape: TaskShape | None = None
    gives: Kind | None = None
    effect: str = ""
    blocks: bool = False


_POOL = ("processes", "initializer", "initargs", "maxtasksperchild", "context")
_EXECUTOR = ("max_workers", "mp_context", "initializer", "initargs", "max_tasks_per_child")
_PROCESS = ("group", "target", "name", "args", "kwargs", "daemon")
_START = TaskShape("target", (("args", Spread.TUPLE), ("kwargs", Spread.MAPPING)), False, "process")
_SPAWN = TaskShape("fn", (("args", Spread.TUPLE),), False, "process", leading=1)
_SPAWN_PARAMETERS = ("fn", "args", "nprocs", "join", "daemon", "start_method")


def _makers() -> dict[str, Maker]:
    table = [
        Maker(
            "Pool",
            Kind.POOL,
            _POOL,
            INITIALIZER,
            count="processes",
            context="context",
            fixes_context=True,
            starts=True,
        ),
        Maker("ThreadPool", Kind.THREAD_POOL, _POOL[:3], fixes_context=True),
        Maker(
            "ProcessPoolExecutor",
            Kind.EXECUTOR,
            _EXECUTOR,
            INITIALIZER,
            count="max_workers",
            context="mp_context",
            fixes_context=True,
        ),
        Maker(
            "ThreadPoolExecutor",
            Kind.THREAD_EXECUTOR,
            ("max_workers", "thread_name_prefix", "initializer", "initargs"),
        ),
        Maker("Process", Kind.PROCESS, _PROCESS, _START),
        Maker("Manager", Kind.MANAGER, (), fixes_context=True, starts=True),
        Maker(
            "SyncManager",
            Kind.MANAGER,
            ("address", "authkey", "serializer", "ctx"),
            context="ctx",
            fixes_context=True,
        ),
        Maker(
            "BaseManager",
            Kind.MANAGER,
            ("address", "authkey", "serializer", "ctx"),
            context="ctx",
            fixes_context=True,
        ),
        Maker(
            "SharedMemoryManager",
            Kind.MEMORY_MANAGER,
            ("address", "authkey", "serializer", "ctx"),
            context="ctx",
            fixes_context=True,
        ),
        Maker("get_context", Kind.CONTEXT, ("method",)),
        Maker("set_start_method", None, ("method", "force")),
        Maker("get_start_method", None, ("allow_none",)),
        Maker("freeze_support", None),
        Maker("Queue", Kind.QUEUE, ("maxsize",), fixes_context=True),
        Maker("JoinableQueue", Kind.QUEUE, ("maxsize",), fixes_context=True),
        Maker("SimpleQueue", Kind.QUEUE, (), fixes_context=True),
        Maker("Lock", Kind.LOCK, (), fixes_context=True),
        Maker("RLock", Kind.LOCK, (), fixes_context=True),
        Maker("Semaphore", Kind.SEMAPHORE, ("value",), fixes_context=True),
        Maker("BoundedSemaphore", Kind.SEMAPHORE, ("value",), fixes_context=True),
        Maker("Event", Kind.EVENT, (), fixes_context=True),
        Maker("Condition", Kind.CONDITION, ("lock",), fixes_context=True),
        Maker("Barrier", Kind.BARRIER, ("parties", "action", "timeout"), fixes_context=True),
        Maker("Value", Kind.VALUE, ("typecode_or_type",), fixes_context=True),
        Maker("Array", Kind.ARRAY, ("typecode_or_type", "size_or_initializer"), fixes_context=True),
        Maker("RawValue", Kind.RAW, ("typecode_or_type",)),
        Maker("RawArray", Kind.RAW, ("typecode_or_type", "size_or_initializer")),
        Maker("Pipe", Kind.PIPE, ("duplex",)),
        Maker("SharedMemory", Kind.SHARED_MEMORY, ("name", "create", "size", "track")),
        Maker("cpu_count", None),
        Maker("current_process", None),
        Maker("active_children", None),
        Maker("spawn", None, _SPAWN_PARAMETERS, _SPAWN, count="nprocs", starts=True),
        Maker("start_processes", None, _SPAWN_PARAMETERS, _SPAWN, count="nprocs", starts=True),
        Maker("Thread", Kind.THREAD, ("group", "target", "name", "args", "kwargs")),
    ]
    return {maker.name: maker for maker in table}


MAKERS = _makers()
"""What the process modules offer, by its short name."""

# Dotted name inside the canonical package -> short name in MAKERS. Where a class can be imported
# from several modules, each is listed.
_MULTIPROCESSING = {
    "": (
        "Pool Process Manager get_context set_start_method get_start_method freeze_support Queue "
        "JoinableQueue SimpleQueue Lock RLock Semaphore BoundedSemaphore Event Condition Barrier "
        "Value Array RawValue RawArray Pipe cpu_count current_process active_children"
    ),
    "pool": "Pool ThreadPool",
    "process": "current_process active_children",
    "context": "Process",
    "managers": "SyncManager BaseManager SharedMemoryManager",
    "queues": "Queue JoinableQueue SimpleQueue",
    "synchronize": "Lock RLock Semaphore BoundedSemaphore Event Condition Barrier",
    "sharedctypes": "Value Array RawValue RawArray",
    "connection": "Pipe",
    "shared_memory": "SharedMemory",
}

_NAMES: dict[str, Maker] = {
    (f"multiprocessing.{module}.{name}" if module else f"multiprocessing.{name}"): MAKERS[name]
    for module, names in _MULTIPROCESSING.items()
    for name in names.split()
}
_NAMES["multiprocessing.process.BaseProcess"] = MAKERS["Process"]
for _prefix, _method in (("Fork", "fork"), ("Spawn", "spawn"), ("ForkServer", "forkserver")):
    _NAMES[f"multiprocessing.context.{_prefix}Process"] = replace(MAKERS["Process"], method=_method)
    _NAMES[f"multiprocessing.context.{_prefix}Context"] = replace(
        MAKERS["get_context"], method=_method
    )
for _module in ("concurrent.futures", "concurrent.futures.process"):
    _NAMES[f"{_module}.ProcessPoolExecutor"] = MAKERS["ProcessPoolExecutor"]
for _module in ("concurrent.futures", "concurrent.futures.thread"):
    _NAMES[f"{_module}.ThreadPoolExecutor"] = MAKERS["ThreadPoolExecutor"]
_NAMES["multiprocessing.dummy.Pool"] = MAKERS["ThreadPool"]
_NAMES["multiprocessing.dummy.Process"] = MAKERS["Thread"]
_NAMES["threading.Thread"] = MAKERS["Thread"]
for _name in ("spawn", "start_processes"):
    for _module in ("torch.multiprocessing", "torch.multiprocessing.spawn"):
        _NAMES[f"{_module}.{_name}"] = MAKERS[_name]

MAKER_NAMES = frozenset(name.rpartition(".")[2] for name in _NAMES)
"""The last parts of all these names (``ForkProcess``)."""
TASK_MAKER_NAMES = frozenset(
    name.rpartition(".")[2] for name, maker in _NAMES.items() if maker.shape is not None
)
"""Those of what takes a callable for another process."""

FORKS = {"torch.multiprocessing": "torch", "billiard": "billiard", "multiprocess": "multiprocess"}
"""Drop-in forks of the package: their names are those of ``multiprocessing``."""


def canonical(qualified: str) -> str:
    """The name that ``multiprocessing`` itself has for a name of one of its forks."""
    for fork in FORKS:
        if qualified == fork or qualified.startswith(fork + "."):
            return "multiprocessing" + qualified[len(fork) :]
    return qualified


def flavour(qualified: str) -> str:
    """Which fork a dotted name belongs to; empty for the standard library."""
    for fork, name in FORKS.items():
        if qualified == fork or qualified.startswith(fork + "."):
            return name
    return ""


def maker(qualified: str) -> Maker | None:
    """The table's row for a dotted name (``multiprocessing.pool.Pool``), if it has one."""
    found = _NAMES.get(qualified)
    return found if found is not None else _NAMES.get(canonical(qualified))


CONTEXT_MEMBERS = frozenset(_MULTIPROCESSING[""].split())
"""What a context object offers under the names of the package (``BaseContext``)."""

_APPLY = TaskShape("func", (("args", Spread.TUPLE), ("kwds", Spread.MAPPING)))
_MAP = TaskShape("func", (("iterable", Spread.ITEMS),))
_STARMAP = TaskShape("func", (("iterable", Spread.TUPLES),))
_MAP_PARAMETERS = ("func", "iterable", "chunksize")
_ASYNC_PARAMETERS = (*_MAP_PARAMETERS, "callback", "error_callback")

_POOL_METHODS = {
    "apply": Method(("func", "args", "kwds"), _APPLY, Kind.RESULTS, blocks=True),
    "apply_async": Method(
        ("func", "args", "kwds", "callback", "error_callback"), _APPLY, Kind.ASYNC_RESULT
    ),
    "map": Method(_MAP_PARAMETERS, _MAP, Kind.RESULTS, blocks=True),
    "map_async": Method(_ASYNC_PARAMETERS, _MAP, Kind.ASYNC_RESULT),
    "imap": Method(_MAP_PARAMETERS, _MAP, Kind.LAZY_RESULTS),
    "imap_unordered": Method(_MAP_PARAMETERS, _MAP, Kind.LAZY_RESULTS),
    "starmap": Method(_MAP_PARAMETERS, _STARMAP, Kind.RESULTS, blocks=True),
    "starmap_async": Method(_ASYNC_PARAMETERS, _STARMAP, Kind.ASYNC_RESULT),
    "close": Method(effect="close"),
    "terminate": Method(effect="terminate"),
    "join": Method(effect="join"),
}
_EXECUTOR_METHODS = {
    "submit": Method(("fn",), TaskShape("fn", (("", Spread.DIRECT),)), Kind.FUTURE),
    "map": Method(("fn",), TaskShape("fn", (("", Spread.COLUMNS),)), Kind.LAZY_RESULTS),
    "shutdown": Method(("wait", "cancel_futures"), effect="shutdown"),
    "terminate_workers": Method(effect="shutdown"),
    "kill_workers": Method(effect="shutdown"),
}
_MANAGER_OBJECTS = (
    "Queue JoinableQueue Event Lock RLock Semaphore BoundedSemaphore Condition Barrier Pool list "
    "dict set Value Array Namespace"
)
_QUEUE_METHODS = {
    "put": Method(("obj", "block", "timeout"), effect="put"),
    "put_nowait": Method(("obj",), effect="put"),
    "get": Method(("block", "timeout"), effect="get", blocks=True),
    "get_nowait": Method(effect="get"),
    "empty": Method(effect="poll"),
    "full": Method(effect="poll"),
    "qsize": Method(effect="poll"),
    "close": Method(effect="close"),
    "join_thread": Method(effect="join_thread"),
    "cancel_join_thread": Method(effect="cancel_join_thread"),
    "task_done": Method(effect="task_done"),
    "join": Method(effect="join", blocks=True),
}
_MANAGER_SHAPE = TaskShape("initializer", (("initargs", Spread.TUPLE),), False, "manager")

METHODS: dict[Kind, dict[str, Method]] = {
    Kind.POOL: _POOL_METHODS,
    Kind.THREAD_POOL: _POOL_METHODS,
    Kind.EXECUTOR: _EXECUTOR_METHODS,
    Kind.THREAD_EXECUTOR: _EXECUTOR_METHODS,
    Kind.PROCESS: {
        "start": Method(effect="start"),
        "join": Method(("timeout",), effect="join", blocks=True),
        "terminate": Method(effect="terminate"),
        "kill": Method(effect="terminate"),
        "close": Method(effect="close"),
        "is_alive": Method(effect="poll"),
        "run": Method(effect="run"),
    },
    Kind.THREAD: {
        "start": Method(effect="start"),
        "join": Method(("timeout",), effect="join", blocks=True),
        "is_alive": Method(effect="poll"),
    },
    Kind.MANAGER: {
        "start": Method(("initializer", "initargs"), _MANAGER_SHAPE, effect="start"),
        "shutdown": Method(effect="shutdown"),
        **{name: Method(gives=Kind.PROXY) for name in _MANAGER_OBJECTS.split()},
    },
    Kind.MEMORY_MANAGER: {
        "start": Method(("initializer", "initargs"), _MANAGER_SHAPE, effect="start"),
        "shutdown": Method(effect="shutdown"),
        "SharedMemory": Method(("size",), gives=Kind.SHARED_MEMORY),
    },
    Kind.ASYNC_RESULT: {
        "get": Method(("timeout",), effect="fetch", blocks=True),
        "wait": Method(("timeout",), effect="wait", blocks=True),
        "ready": Method(effect="poll"),
        "successful": Method(effect="poll"),
    },
    Kind.LAZY_RESULTS: {"next": Method(("timeout",), effect="fetch", blocks=True)},
    Kind.FUTURE: {
        "result": Method(("timeout",), effect="fetch", blocks=True),
        "exception": Method(("timeout",), effect="fetch", blocks=True),
        "add_done_callback": Method(("fn",), effect="callback"),
        "cancel": Method(effect="cancel"),
        "done": Method(effect="poll"),
        "running": Method(effect="poll"),
        "cancelled": Method(effect="poll"),
    },
    Kind.QUEUE: _QUEUE_METHODS,
    Kind.CONNECTION: {
        "send": Method(("obj",), effect="put"),
        "send_bytes": Method(("buf",), effect="put"),
        "recv": Method(effect="get", blocks=True),
        "recv_bytes": Method(effect="get", blocks=True),
        "poll": Method(("timeout",), effect="poll"),
        "close": Method(effect="close"),
    },
    Kind.SHARED_MEMORY: {
        "close": Method(effect="close"),
        "unlink": Method(effect="unlink"),
    },
}
"""The methods that matter, by what their receiver is."""

RUN_IN_EXECUTOR = Method(
    ("executor", "func"), TaskShape("func", (("", Spread.DIRECT),)), Kind.FUTURE
)
"""``loop.run_in_executor(executor, func, *args)``, whose first argument says what it is."""

CALLBACKS = ("callback", "error_callback")
"""Parameters of the ``*_async`` methods whose callables run in the parent's result thread."""

STARTING_EFFECTS = {Kind.PROCESS: "start", Kind.MANAGER: "start", Kind.MEMORY_MANAGER: "start"}
"""The method that starts a process, for what does not start one when it is made."""
