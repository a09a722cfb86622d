"""Salesforce's REST query: SOQL in, pages of records out, with its error codes."""

from __future__ import annotations

import re
import threading
from typing import Any, Final

from .http import Answer, HttpService, Request

TOKEN: Final = "00Dxx0000001gPL!example-session-id"
_ROOT: Final = "/services/data/v61.0"
_SELECT: Final = re.compile(r"SELECT (\w+(?:\s*,\s*\w+)*) FROM Contact", re.IGNORECASE)
_FIELDS: Final = ("Id", "FirstName", "LastName", "Email", "SystemModstamp", "Phone")


class Salesforce(HttpService):
    """An organisation with contacts; a query's result is a snapshot, read `page_size` at a time."""

    def __init__(self, contacts: int, page_size: int) -> None:
        super().__init__()
        self.page_size = page_size
        self.contacts = [contact(number) for number in range(contacts)]
        self._snapshots: list[tuple[list[str], list[dict[str, Any]]]] = []
        self._held = ""
        self.reached = threading.Event()
        self._released = threading.Event()

    @property
    def offsets(self) -> list[int]:
        """The record that each page asked for began with, in the order of the requests."""
        return [int(r.path.rpartition("-")[2]) if "-" in r.path else 0 for r in self.requests]

    def hold(self, offset: int) -> None:
        """Let the next request for the page at `offset` hang until `release`."""
        self._held = f"-{offset}"
        self.reached.clear()
        self._released.clear()

    def release(self) -> None:
        """Let what hangs go on."""
        self._held = ""
        self._released.set()

    def answer(self, request: Request) -> Answer:
        """Answer a query, or the locator of a query's next page."""
        if request.bearer != TOKEN:
            return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self._held and request.path.endswith(self._held):
            self.reached.set()
            self._released.wait(30)
        if request.path in (f"{_ROOT}/query", f"{_ROOT}/query/"):
            return self._query(request.query.get("q", ""))
        locator = re.fullmatch(rf"{_ROOT}/query/01gD(\d{{14}})-(\d+)", request.path)
        if locator is None:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        number, offset = int(locator[1]), int(locator[2])
        if number >= len(self._snapshots):
            return _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(number, offset)

    def _query(self, soql: str) -> Answer:
        found = _SELECT.fullmatch(soql.strip())
        if found is None:
            return _error(400, "MALFORMED_QUERY", f"unexpected token: {soql!r}")
        fields = [name.strip() for name in found[1].split(",")]
        for name in fields:
            if name not in _FIELDS:
                return _error(400, "INVALID_FIELD", f"No such column '{name}' on entity 'Contact'")
        self._snapshots.append((fields, [dict(record) for record in self.contacts]))
        return self._page(len(self._snapshots) - 1, 0)

    def _page(self, number: int, offset: int) -> Answer:
        fields, records = self._snapshots[number]
        end = offset + self.page_size
        body: dict[str, Any] = {
            "totalSize": len(records),
            "done": end >= len(records),
            "records": [_record(record, fields) for record in records[offset:end]],
        }
        if not body["done"]:
            body["nextRecordsUrl"] = f"{_ROOT}/query/01gD{number:014d}-{end}"
        return Answer(200, body, {"Sforce-Limit-Info": "api-usage=18/15000"})


def contact(number: int) -> dict[str, Any]:
    """Return the contact of that number."""
    return {
        "Id": f"003D{number:011d}QAK",
        "FirstName": None if number % 7 == 0 else f"Jane{number}",
        "LastName": f"Doe-Müller {number}",
        "Email": None if number % 5 == 0 else f"jane{number}@example.com",
        "SystemModstamp": "2024-05-01T12:30:00.000+0000",
        "Phone": "555",
    }


def _record(record: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    url = f"{_ROOT}/sobjects/Contact/{record['Id']}"
    return {
        "attributes": {"type": "Contact", "url": url},
        **{name: record[name] for name in fields},
    }


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, [{"message": message, "errorCode": code}])
