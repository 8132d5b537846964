"""Connections: what holds a socket or file that no other process may use."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import libcst as cst

from flake8_mppitfalls.model.evaluation.signatures import argument
from flake8_mppitfalls.model.pickling import picklable
from flake8_mppitfalls.model.values import Result, ResultMember

if TYPE_CHECKING:
    from flake8_mppitfalls.model.program import Program
    from flake8_mppitfalls.model.values import Value

_CONNECTIONS = frozenset(
    name for name, row in picklable.RESULTS.items() if row.what == "a database connection"
)
_ENGINES = frozenset({"sqlalchemy.create_engine", "sqlalchemy.engine.create_engine"})
_MONGO = frozenset({"pymongo.MongoClient", "pymongo.mongo_client.MongoClient"})
_REDIS = frozenset(
    {"redis.Redis", "redis.StrictRedis", "redis.client.Redis", "redis.client.StrictRedis"}
)


class Connected(enum.Enum):
    """What a value is connected to."""

    CONNECTION = "connection"
    ENGINE = "engine"
    """It connects when it is first used."""
    CLIENT = "client"


def connected(program: Program, value: Value) -> Connected | None:
    """What kind of connection a value is or comes from (``conn.cursor()``), if any."""
    if isinstance(value, ResultMember):
        return connected(program, value.receiver) if value.receiver.name in _MONGO else None
    if not isinstance(value, Result):
        return None
    name = value.name
    if name in _CONNECTIONS or name.partition("().")[0] in _CONNECTIONS:
        return Connected.CONNECTION
    call = value.site
    if not isinstance(call, cst.Call):
        return None
    if name in _ENGINES:
        pool = argument(call, (), "poolclass")
        last = program.tree.qualified(pool).rpartition(".")[2] if pool is not None else ""
        return None if last == "NullPool" else Connected.ENGINE
    if name in _MONGO:
        return Connected.ENGINE if _is(call, "connect", "False") else Connected.CLIENT
    if name in _REDIS:
        return Connected.CLIENT if _is(call, "single_connection_client", "True") else None
    return None


def _is(call: cst.Call, keyword: str, constant: str) -> bool:
    given = argument(call, (), keyword)
    return isinstance(given, cst.Name) and given.value == constant
