"""`POST /e/<event-key>`: events over HTTP, in the form that Inngest's clients already send.

One event, a list, or newline-delimited JSON. All are checked before the first is sent, so that a
refusal, which names the place, leaves nothing half-sent.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from qflow.core.event import Event, encode_data
from qflow.core.ids import ulid
from qflow.errors import CodecError, LimitError, QflowError, UsageError
from qflow.store import stream
from qflow.web.bodies import read_body
from qflow.web.exchange import Refused, Site
from qflow.web.refusals import status_of

MAX_EVENTS: Final = 5_000
MAX_BYTES: Final = 64 << 20
_SEED: Final = "x-inngest-event-id-seed"
_ENTROPY: Final = 10
_MS_DIGITS: Final = 14


def endpoint(site: Site) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `POST /e/<event-key>`."""

    async def receive(request: Request) -> Response:
        try:
            if not site.access.takes_event_key(request.path_params["key"]):
                raise Refused(401, "this event key is not known here: see QFLOW_EVENT_KEYS")
            body = await read_body(request, MAX_BYTES)
            ids = await run_in_threadpool(accept, site, body, request.headers.get(_SEED, ""))
        except QflowError as error:
            status = status_of(error)
            return JSONResponse({"error": str(error), "status": status}, status)
        return JSONResponse({"ids": ids, "status": 200})

    return receive


def accept(site: Site, body: bytes, seed: str = "") -> list[str]:
    """Send the events of a body and return their ids; `seed` makes those that the events lack, so
    that a client that repeats a request whose answer was lost sends each event once.

    Raises Refused, naming the event and what is wrong with it, and RedisError.
    """
    items = _items(body)
    if len(items) > MAX_EVENTS:
        raise Refused(413, f"{len(items)} events in one request, over the limit of {MAX_EVENTS}")
    single = len(items) == 1
    now_ms = time.time_ns() // 1_000_000
    ids = _ids(seed, now_ms)
    events = []
    for number, (item, place) in enumerate(items):
        where = place or ("the event" if single else f"event {number}")
        try:
            event = read_event(item, now_ms, ids(number))
            encode_data(event)
        except LimitError as error:
            raise Refused(413, f"{where}: {error}") from None
        except (UsageError, CodecError) as error:
            raise Refused(400, f"{where}: {error}") from None
        events.append(event)
    return stream.append(site.redis, site.keys, events) if events else []


def read_event(item: Any, now_ms: int, own_id: str = "") -> Event[Any]:
    """Return the event that a JSON object stands for; fields that qflow has no use for are left out.
    `own_id` is its id where it has none.

    Raises UsageError where it is none.
    """
    if not isinstance(item, dict):
        raise UsageError(f"an event is an object with name and data, not {json.dumps(item)[:40]}")
    ts = item.get("ts")
    if isinstance(ts, float) and ts.is_integer():
        ts = int(ts)
    version = item.get("v")
    return Event(
        item.get("name"),  # type: ignore[arg-type]  # Event says what is wrong with it
        item.get("data") if item.get("data") is not None else {},
        item.get("id") or own_id or ulid(now_ms, os.urandom(10)),
        now_ms if ts in (None, 0) else ts,
        "" if version is None else str(version),
    )


def _ids(seed: str, now_ms: int) -> Callable[[int], str]:
    """Return what makes the id of an event by its number: of a seed, `ms,entropy`, always the same."""
    ms, _, entropy = seed.partition(",")
    try:
        start = base64.b64decode(entropy, validate=True)
    except ValueError:
        start = b""
    if len(start) != _ENTROPY or not (ms.isascii() and ms.isdigit() and len(ms) <= _MS_DIGITS):
        return lambda _number: ulid(now_ms, os.urandom(_ENTROPY))
    first = int.from_bytes(start, "big")

    def made(number: int) -> str:
        return ulid(int(ms), ((first + number) % (1 << 80)).to_bytes(_ENTROPY, "big"))

    return made


def _items(body: bytes) -> list[tuple[Any, str]]:
    """Return the values of a body, each with its place where that is a line."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8 at byte {error.start}") from None
    if not text.strip():
        raise Refused(400, "the body is empty: send an event, a list of them, or one a line")
    try:
        found = _loads(text)
    except json.JSONDecodeError as error:
        lines = text.splitlines()
        if error.msg == "Extra data" and len(lines) > 1:
            return _lines(lines)
        at = f"line {error.lineno} column {error.colno}"
        raise Refused(400, f"the body is not JSON at {at}: {error.msg}") from None
    return [(item, "") for item in found] if isinstance(found, list) else [(found, "")]


def _lines(lines: list[str]) -> list[tuple[Any, str]]:
    items = list[tuple[Any, str]]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(items) > MAX_EVENTS:
            break
        try:
            items.append((_loads(line), f"line {number}"))
        except json.JSONDecodeError as error:
            raise Refused(
                400, f"line {number} is not JSON at column {error.colno}: {error.msg}"
            ) from None
    return items


def _loads(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise Refused(400, "the body is nested too deeply") from None


def _refuse(constant: str) -> None:
    raise Refused(400, f"the body is not JSON: {constant} is no number there")
