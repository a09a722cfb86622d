"""The SQL database of the functions: PostgreSQL or SQLite, by DATABASE_URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.schema import CreateTable

from qflow import NonRetriableError

from .environment import required

metadata: Final = MetaData()

_MEANING: Final = "a database: postgresql+psycopg://user:password@host/name or sqlite:///acme.db"
_INSERTS: Final[Mapping[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


@contextmanager
def transaction(table: Table) -> Iterator[Connection]:
    """Give a connection in a transaction, in a database where `table` exists."""
    with _engine(required("DATABASE_URL", _MEANING)).begin() as connection:
        connection.execute(CreateTable(table, if_not_exists=True))
        yield connection


def upsert(table: Table, rows: Sequence[Mapping[str, Any]], *, newer: str) -> None:
    """Insert rows, or update those whose key stands already; all of them or none.

    A row in the table with a greater value in the column `newer` stays as it is, so that an attempt
    that comes late cannot bring old data back.
    """
    if not rows:
        return
    with transaction(table) as connection:
        insert = _INSERTS[connection.dialect.name](table)
        statement = insert.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={c.name: insert.excluded[c.name] for c in table.columns if not c.primary_key},
            where=insert.excluded[newer] >= table.columns[newer],
        )
        connection.execute(statement, rows)


@cache
def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except (ArgumentError, ImportError) as error:
        raise NonRetriableError(f"DATABASE_URL: {error}; set it to {_MEANING}") from None
    if engine.dialect.name not in _INSERTS:
        raise NonRetriableError(f"DATABASE_URL names {engine.dialect.name}; set it to {_MEANING}")
    return engine
