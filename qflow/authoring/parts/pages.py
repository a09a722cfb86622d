"""Pages of an HTTP API, whichever way it has of naming the next one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from .rest import ServiceError


def records_of(response: httpx.Response, what: str) -> list[dict[str, Any]]:
    """Return the records of an answer: a list, or the list it keeps under a usual name."""
    body = response.json()
    if isinstance(body, dict):
        names = (what, "items", "data", "results", "records")
        body = next((body[name] for name in names if isinstance(body.get(name), list)), None)
    if not isinstance(body, list):
        raise ServiceError(f"the answer has no list of {what}")
    return body


def next_place(response: httpx.Response, path: str) -> str:
    """Return the path of the next page, "" after the last.

    It is named by a Link header (`rel="next"`), or in the body: by an address `next`, or by a
    `next_cursor`, which goes into the query as `cursor`.
    """
    address = response.links.get("next", {}).get("url", "")
    body = response.json()
    if not address and isinstance(body, dict):
        cursor = body.get("next_cursor")
        address = body.get("next") or (f"{path}?{urlencode({'cursor': cursor})}" if cursor else "")
    url = urlsplit(str(address))
    return f"{url.path}?{url.query}" if url.query else url.path
