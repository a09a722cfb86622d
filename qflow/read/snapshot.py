"""Several reads at one moment, and reads of which some may be refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis

from qflow.store.redis import Command, Redis, pack, refusal


def together(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """Execute commands as one transaction, so that their replies are of one moment."""
    replies: list[Any] = redis.pipeline([("MULTI",), *commands, ("EXEC",)])[-1]
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            raise refusal(reply, redis.target.shown)
    return replies


def each(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """Execute commands in one round trip; None stands where Redis refused one."""
    packed = b"".join([pack(tuple(command)) for command in commands])
    replies = redis.send(packed, len(commands))
    return [None if isinstance(reply, hiredis.ReplyError) else reply for reply in replies]


def text(raw: bytes | None) -> str:
    """Return raw bytes of Redis as text, "" for what is not there."""
    return "" if raw is None else raw.decode("utf-8", "replace")


def number(raw: bytes | None) -> int | None:
    """Return a number that Redis keeps as text, None for what is not there."""
    return None if not raw else int(float(raw))


def pairs(flat: Sequence[bytes] | None) -> dict[str, str]:
    """Return a flat list of fields and values as a dict of texts."""
    texts = [text(item) for item in flat or ()]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def scored(flat: Sequence[bytes] | None) -> list[tuple[str, float]]:
    """Return a flat list of members and scores as pairs."""
    items = flat or ()
    return [(text(items[i]), float(items[i + 1])) for i in range(0, len(items), 2)]


def clock_ms(reply: Sequence[bytes]) -> int:
    """Return the reply of TIME in milliseconds."""
    return int(reply[0]) * 1000 + int(reply[1]) // 1000
