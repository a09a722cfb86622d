"""Every hour: copy the contacts of Salesforce into the database.

SALESFORCE_URL    the organisation's address, such as https://acme.my.salesforce.com
SALESFORCE_TOKEN  an access token that may read contacts
DATABASE_URL      where they go; the table `contacts` is made if it is not there
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final
from urllib.parse import urlencode

from pydantic import BaseModel, Field
from sqlalchemy import Column, DateTime, String, Table

from qflow import Backoff, Cron, Step

from .client import app
from .database import metadata, upsert
from .rest import Service

SALESFORCE: Final = Service("Salesforce", "SALESFORCE_URL", "SALESFORCE_TOKEN")
QUERY: Final = "SELECT Id, FirstName, LastName, Email, SystemModstamp FROM Contact"
FIRST_PAGE: Final = f"/services/data/v61.0/query?{urlencode({'q': QUERY})}"

contacts: Final = Table(
    "contacts",
    metadata,
    Column("id", String(18), primary_key=True),
    Column("first_name", String(40)),
    Column("last_name", String(80), nullable=False),
    Column("email", String(80)),
    Column("modified", DateTime(timezone=True), nullable=False),
)


class Contact(BaseModel):
    """A contact as the query returns it."""

    id: str = Field(alias="Id")
    first_name: str | None = Field(alias="FirstName")
    last_name: str = Field(alias="LastName")
    email: str | None = Field(alias="Email")
    modified: datetime = Field(alias="SystemModstamp")


class QueryPage(BaseModel):
    """One page of a query's result; `next_page` is the path of the one after."""

    records: list[Contact]
    done: bool
    next_page: str = Field("", alias="nextRecordsUrl")


@dataclass(frozen=True)
class Copied:
    """How many contacts a page had, and the path of the next page: empty after the last."""

    contacts: int
    next_page: str


@app.function(
    "sync-contacts",
    name="Sync contacts",
    trigger=Cron("0 * * * *"),
    backoff=Backoff(base="1s", max="5m"),
)
async def sync_contacts(step: Step) -> int:
    """Copy all contacts and return how many there were.

    Each page is a step that both fetches and saves it: a run that is interrupted goes on with the
    page it was at, and its state stays small however many contacts there are.
    """
    total, path = 0, FIRST_PAGE
    for number in count(1):
        copied = await step.run(f"copy-page-{number}", copy_page, path)
        total, path = total + copied.contacts, copied.next_page
        if not path:
            break
    return total


async def copy_page(path: str) -> Copied:
    """Fetch one page and save its contacts; doing it twice changes nothing."""
    page = await SALESFORCE.get(path, QueryPage)
    await asyncio.to_thread(save_contacts, page.records)
    return Copied(len(page.records), "" if page.done else page.next_page)


def save_contacts(found: list[Contact]) -> None:
    """Insert or update contacts; one that is newer in the database already stays."""
    rows = [contact.model_dump() for contact in found]
    for row in rows:
        row["modified"] = row["modified"].astimezone(UTC)  # SQLite keeps no time zone
    upsert(contacts, rows, newer="modified")
