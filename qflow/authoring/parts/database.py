"""A SQL database, PostgreSQL or SQLite, by DATABASE_URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchTableError
from sqlalchemy.schema import CreateTable

from qflow import NonRetriableError

from .settings import required

PAGE_ROWS = 500


def upsert(table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or update those whose key stands already; all of them or none."""
    if not rows:
        return
    with transaction() as connection:
        connection.execute(CreateTable(table, if_not_exists=True))
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        insert: Any = dialect.insert(table)
        others = {c.name: insert.excluded[c.name] for c in table.columns if not c.primary_key}
        statement = insert.on_conflict_do_update(
            index_elements=list(table.primary_key), set_=others
        )
        connection.execute(statement, [plain(row) for row in rows])


def write_row(name: str, row: Mapping[str, Any], key: str) -> None:
    """Insert a row into a table that there is, or update the one with its key; columns by name."""
    with transaction() as connection:
        try:
            table = Table(name, MetaData(), autoload_with=connection)
        except NoSuchTableError:
            raise NonRetriableError(f"the database has no table {name!r}: create it") from None
        known = {column: value for column, value in row.items() if column in table.columns}
        where = table.columns[key] == row[key]
        if connection.execute(table.update().where(where).values(known)).rowcount == 0:
            connection.execute(table.insert().values(known))


def read_rows(name: str, after: int, only: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return rows of a table in the order of its key, beginning after so many of them."""
    with transaction() as connection:
        try:
            table = Table(name, MetaData(), autoload_with=connection)
        except NoSuchTableError:
            raise NonRetriableError(f"the database has no table {name!r}: create it") from None
        found = select(table).order_by(*table.primary_key).offset(after).limit(PAGE_ROWS)
        for column, value in only.items():
            found = found.where(table.columns[column] == value)
        return [dict(row) for row in connection.execute(found).mappings()]


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its times in UTC: SQLite keeps no zone."""
    return {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


@contextmanager
def transaction() -> Iterator[Connection]:
    """Give a connection in a transaction."""
    meaning = "a database: postgresql+psycopg://user:password@host/name or sqlite:///acme.db"
    with engine(required("DATABASE_URL", meaning)).begin() as connection:
        yield connection


@cache
def engine(url: str) -> Engine:
    """Return the one engine of this process."""
    try:
        return create_engine(url, pool_pre_ping=True)
    except (ArgumentError, ImportError) as error:
        raise NonRetriableError(f"DATABASE_URL: {error}") from None
