"""The contacts that a database holds after a sync, and those that it should hold."""

from __future__ import annotations

from local_services.salesforce import contact
from sqlalchemy import create_engine, inspect, select

from workers.contacts import contacts
from workers.database import metadata

Row = tuple[str | None, str, str | None]


def rows(url: str) -> dict[str, Row]:
    """Return the contacts in a database by id (none without a table); fail where one is doubled."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(contacts.name):
                return {}
            found = connection.execute(select(contacts)).all()
    finally:
        engine.dispose()
    assert len({row.id for row in found}) == len(found), "a contact stands there twice"
    return {row.id: (row.first_name, row.last_name, row.email) for row in found}


def empty(url: str) -> None:
    """Remove every table of the examples from a database."""
    engine = create_engine(url)
    metadata.drop_all(engine)
    engine.dispose()


def expected(count: int) -> dict[str, Row]:
    """Return what `rows` says once the first `count` contacts are copied."""
    made = map(contact, range(count))
    return {c["Id"]: (c["FirstName"], c["LastName"], c["Email"]) for c in made}
