"""What of the standard library (and of database drivers) can't be pickled, as a table.

Each row was checked by pickling the thing with ``multiprocessing.reduction.ForkingPickler`` under
CPython 3.11 and 3.13; the drivers are known by their documentation. What is not in the table is
unknown: it may cross. Sockets, ``Connection`` objects, paths, loggers, compiled patterns,
``StringIO``, ``BytesIO`` and ``asyncio``'s primitives do.
"""

from __future__ import annotations

from dataclasses import dataclass

from flake8_mppitfalls.model import api
from flake8_mppitfalls.model.pickling import toolkits


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that pickle refuses.

    Attributes:
        what: what to call it in a message.
        thread: it serves the threads of one process only (``threading``, ``queue``).
        dill: ``dill``, by which ``multiprocess`` pickles, refuses it too.
    """

    what: str
    thread: bool = False
    dill: bool = False


# What it is called (empty: by its own name), and the functions and classes that give it. A method
# of what is given is written as the evaluation names its result: ``sqlite3.connect().cursor``.
_FILES = (
    "an open file",
    "open io.open os.fdopen os.popen codecs.open gzip.open bz2.open lzma.open gzip.GzipFile "
    "bz2.BZ2File lzma.LZMAFile tempfile.TemporaryFile tempfile.NamedTemporaryFile "
    "io.TextIOWrapper io.BufferedReader io.BufferedWriter io.BufferedRandom io.FileIO "
    "pathlib.Path().open zipfile.ZipFile().open",
)
_THREAD_PRIMITIVES = (
    "threading.Lock threading.RLock threading.Condition threading.Event threading.Semaphore "
    "threading.BoundedSemaphore threading.Barrier queue.Queue queue.LifoQueue queue.PriorityQueue "
    "queue.SimpleQueue"
)
_BY_DILL_TOO = (
    ("a generator", "os.walk os.fwalk glob.iglob typing.Generator collections.abc.Generator"),
    ("a coroutine", "typing.Coroutine collections.abc.Coroutine types.CoroutineType"),
    ("threading.local", "threading.local"),
    (
        "a database connection",
        "sqlite3.connect sqlite3.Connection psycopg2.connect psycopg.connect "
        "psycopg.Connection psycopg.Connection.connect psycopg2.extensions.connection "
        "pymysql.connect pymysql.connections.Connection MySQLdb.connect mysql.connector.connect "
        "mariadb.connect cx_Oracle.connect oracledb.connect pyodbc.connect pymssql.connect "
        "pg8000.connect pg8000.dbapi.connect duckdb.connect apsw.Connection ibm_db_dbi.connect "
        "snowflake.connector.connect teradatasql.connect redshift_connector.connect",
    ),
    ("a csv reader", "csv.reader csv.DictReader"),
    ("a csv writer", "csv.writer csv.DictWriter"),
    (
        "a re.Match",
        "re.Match typing.Match re.match re.search re.fullmatch re.compile().match "
        "re.compile().search re.compile().fullmatch re.Pattern().match re.Pattern().search "
        "re.Pattern().fullmatch",
    ),
    ("an iterator over matches", "re.finditer re.compile().finditer re.Pattern().finditer"),
    ("an os.DirEntry", "os.DirEntry"),
    ("an open directory", "os.scandir"),
    (
        "a hash object",
        "hashlib.new hashlib.md5 hashlib.sha1 hashlib.sha224 hashlib.sha256 hashlib.sha384 "
        "hashlib.sha512 hashlib.blake2b hashlib.blake2s hashlib.sha3_224 hashlib.sha3_256 "
        "hashlib.sha3_384 hashlib.sha3_512 hashlib.shake_128 hashlib.shake_256 hashlib.file_digest "
        "hmac.new hmac.HMAC",
    ),
    ("a memoryview", "memoryview"),
    (
        "a compressor",
        "zlib.compressobj zlib.decompressobj bz2.BZ2Compressor bz2.BZ2Decompressor "
        "lzma.LZMACompressor lzma.LZMADecompressor",
    ),
    ("an SSL context", "ssl.SSLContext ssl.create_default_context"),
    ("", "struct.Struct mmap.mmap contextvars.ContextVar random.SystemRandom"),
    (
        "a selector",
        "select.poll select.epoll selectors.DefaultSelector selectors.EpollSelector "
        "selectors.SelectSelector selectors.PollSelector selectors.KqueueSelector",
    ),
    ("a frame", "inspect.currentframe sys._getframe"),
    ("an event loop", "asyncio.get_event_loop asyncio.new_event_loop asyncio.get_running_loop"),
    ("an asyncio task", "asyncio.create_task asyncio.ensure_future asyncio.Future asyncio.Task"),
)
_BY_PICKLE_ONLY = (
    _FILES,
    (
        "a thread",
        "threading.Timer threading.current_thread threading.main_thread",
    ),
    ("a zip file", "zipfile.ZipFile"),
    ("a tar file", "tarfile.open tarfile.TarFile"),
    ("a module", "importlib.import_module types.ModuleType __import__"),
    (
        "a logging handler",
        "logging.Handler logging.StreamHandler logging.FileHandler "
        + " ".join(
            f"logging.handlers.{name}"
            for name in (
                "RotatingFileHandler TimedRotatingFileHandler WatchedFileHandler SocketHandler "
                "DatagramHandler SysLogHandler NTEventLogHandler SMTPHandler MemoryHandler "
                "HTTPHandler QueueHandler BufferingHandler BaseRotatingHandler"
            ).split()
        ),
    ),
    (
        "a weak reference",
        "weakref.ref weakref.WeakMethod weakref.WeakValueDictionary "
        "weakref.WeakKeyDictionary weakref.WeakSet weakref.ReferenceType",
    ),
    ("a mappingproxy", "types.MappingProxyType"),
    ("a code object", "compile types.CodeType"),
    ("a future", "concurrent.futures.Future"),
    (
        "",
        "subprocess.Popen argparse.ArgumentParser http.cookiejar.CookieJar sched.scheduler "
        "contextvars.copy_context json.JSONDecoder unittest.mock.Mock unittest.mock.MagicMock "
        "socketserver.TCPServer socketserver.UDPServer socketserver.ThreadingTCPServer",
    ),
)

_CURSOR = Refused("a database cursor", dill=True)


def _results() -> dict[str, Refused]:
    table: dict[str, Refused] = {}
    by_dill_too = _BY_DILL_TOO + toolkits.BY_DILL_TOO
    by_pickle_only = _BY_PICKLE_ONLY + toolkits.BY_PICKLE_ONLY
    for rows, dill in ((by_dill_too, True), (by_pickle_only, False)):
        for what, names in rows:
            for name in names.split():
                table[name] = Refused(what or name, dill=dill)
    for name in _THREAD_PRIMITIVES.split():
        table[name] = Refused(name, thread=True, dill=name == "queue.SimpleQueue")
    return table


RESULTS = _results()
"""What calling a function or class gives, or what an annotation names, by its dotted name."""

_OBJECTS = {
    **dict.fromkeys(
        ("sys.stdout", "sys.stderr", "sys.stdin", "sys.__stdout__", "sys.__stderr__"),
        Refused("an open file"),
    ),
    "os.environ": Refused("os.environ"),
    "sys.modules": Refused("sys.modules", dill=True),
}

_STREAMS = ("sys.stdout.", "sys.stderr.", "sys.stdin.")

MODULE = Refused("a module")
GENERATOR = Refused("a generator", dill=True)
COROUTINE = Refused("a coroutine", dill=True)
VIEW = Refused("a view of a dict")
"""Pickles once ``multiprocessing.managers`` is imported, which registers a reducer for it."""
ORDERED_VIEW = Refused("a view of an OrderedDict")
PROCESS = Refused("a process", dill=True)
TEST_CASE = Refused("a test case, which holds the stream of its test run")
THREAD = Refused("a thread")

_VIEWS = {
    f"{owner}().{view}"
    for owner in ("dict", "typing.Dict", "collections.Counter", "collections.defaultdict")
    for view in ("keys", "values", "items")
}

MADE = {
    api.Kind.POOL: Refused("a pool", dill=True),
    api.Kind.THREAD_POOL: Refused("a pool of threads", dill=True),
    api.Kind.EXECUTOR: Refused("an executor", dill=True),
    api.Kind.THREAD_EXECUTOR: Refused("an executor", dill=True),
    api.Kind.MANAGER: Refused("a manager", dill=True),
    api.Kind.MEMORY_MANAGER: Refused("a manager", dill=True),
    api.Kind.ASYNC_RESULT: Refused("an AsyncResult", dill=True),
    api.Kind.LAZY_RESULTS: Refused("an iterator over results", dill=True),
    api.Kind.FUTURE: Refused("a future"),
    api.Kind.THREAD: THREAD,
}
"""What the process APIs make and pickle refuses, however it is sent."""

REDUCERS = frozenset(
    {
        "__getstate__",
        "__reduce__",
        "__reduce_ex__",
        "__getnewargs__",
        "__getnewargs_ex__",
        "__copyreg__",
    }
)
"""Methods by which a class says itself what of it is pickled."""

PLAIN_BASES = frozenset(
    {
        "object",
        "abc.ABC",
        "typing.Generic",
        "typing.Protocol",
        "typing_extensions.Protocol",
        "typing.NamedTuple",
        "dict",
        "list",
        "set",
        "tuple",
        "str",
        "int",
        "float",
        "Exception",
        "collections.OrderedDict",
        "collections.UserDict",
        "collections.UserList",
        "collections.abc.Callable",
        "collections.abc.Iterable",
        "collections.abc.Iterator",
        "collections.abc.Mapping",
        "collections.abc.MutableMapping",
        "collections.abc.Sequence",
        "contextlib.AbstractContextManager",
        "contextlib.ContextDecorator",
        "cmd.Cmd",
    }
)
"""Bases from elsewhere that leave the pickling of an instance's attributes to ``object``."""


SUBMODULES = frozenset(
    {"os.path", "concurrent.futures", "importlib.util", "logging.handlers", "urllib.parse"}
    | {"urllib.request", "xml.etree.ElementTree", "xml.dom.minidom", "email.message"}
    | {"multiprocessing.pool", "multiprocessing.managers", "multiprocessing.shared_memory"}
    | {"multiprocessing.connection", "multiprocessing.queues", "multiprocessing.dummy"}
)
"""What ``from package import name`` takes and is a module."""

TEST_CASES = frozenset({"unittest.TestCase", "unittest.IsolatedAsyncioTestCase"})


def result(name: str) -> Refused | None:
    """The row for what a call of ``name`` gives, by the name that the evaluation gives it."""
    row = RESULTS.get(name)
    if row is not None:
        return row
    if name.endswith(("().cursor", "().execute", "().executemany")):
        owner = RESULTS.get(name.rpartition("().")[0])
        if owner is not None and owner.what == "a database connection":
            return _CURSOR
    if name in _VIEWS:
        return VIEW
    if name.endswith("().copy"):
        owner = RESULTS.get(name.rpartition("().")[0])
        return owner if owner is not None and owner.what == "a hash object" else None
    return None


def external(name: str) -> Refused | None:
    """The row for an object of another module by its dotted name (``sys.stdout``)."""
    row = _OBJECTS.get(name)
    if row is None and name.startswith(_STREAMS) and name.rpartition(".")[2] == "buffer":
        return _OBJECTS["sys.stdout"]
    return row
