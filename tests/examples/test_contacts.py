"""The contact sync: pages in, rows out, and nothing doubled."""

from __future__ import annotations

import asyncio

import pytest
from copies import expected, rows
from local_services.salesforce import Salesforce

from qflow import NonRetriableError, RetryAfterError
from workers.contacts import FIRST_PAGE, Contact, copy_page, save_contacts


def copy_all() -> list[int]:
    """Copy every page, as the function's steps do; return how many contacts each had."""
    counts, path = [], FIRST_PAGE
    while path:
        copied = asyncio.run(copy_page(path))
        counts.append(copied.contacts)
        path = copied.next_page
    return counts


def test_every_page_is_copied(salesforce: Salesforce, database: str) -> None:
    assert copy_all() == [10, 10, 5]
    assert salesforce.offsets == [0, 10, 20]
    assert rows(database) == expected(25)


def test_twice_doubles_nothing_and_brings_changes(salesforce: Salesforce, database: str) -> None:
    copy_all()
    salesforce.contacts[3]["LastName"] = "O'Neil"
    copy_all()
    assert len(rows(database)) == 25
    assert rows(database)[salesforce.contacts[3]["Id"]][1] == "O'Neil"


def test_a_late_attempt_brings_nothing_old_back(salesforce: Salesforce, database: str) -> None:
    old = Contact.model_validate(salesforce.contacts[0])
    moved = {"LastName": "New", "SystemModstamp": "2024-05-01T15:30:00.000+0200"}
    save_contacts([Contact.model_validate({**salesforce.contacts[0], **moved})])
    save_contacts([old.model_copy(update={"last_name": "Newest"})])
    save_contacts([old.model_copy(update={"modified": old.modified.replace(year=2020)})])
    assert [row[1] for row in rows(database).values()] == ["New"]


def test_an_organisation_without_contacts(salesforce: Salesforce, database: str) -> None:
    salesforce.contacts.clear()
    assert copy_all() == [0]


def test_a_refused_token_is_not_tried_again(
    salesforce: Salesforce, database: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SALESFORCE_TOKEN", "expired")
    with pytest.raises(NonRetriableError, match="INVALID_SESSION_ID.*SALESFORCE_TOKEN"):
        asyncio.run(copy_page(FIRST_PAGE))


def test_a_busy_organisation_says_when_to_come_back(salesforce: Salesforce, database: str) -> None:
    salesforce.fail(1, 503, Retry_After="12")
    with pytest.raises(RetryAfterError, match="Salesforce answered 503"):
        asyncio.run(copy_page(FIRST_PAGE))
    assert copy_all() == [10, 10, 5]


def test_the_database_must_be_named(salesforce: Salesforce) -> None:
    with pytest.raises(NonRetriableError, match="^DATABASE_URL is not set: "):
        asyncio.run(copy_page(FIRST_PAGE))
