"""Runs by status, of one function or of all: a look at the size of seven indexes."""

from __future__ import annotations

from typing import Any

from qflow.core.status import RUN_STATUSES
from qflow.read import snapshot
from qflow.store.keys import Keys
from qflow.store.redis import Command, Redis


def count_commands(keys: Keys, function: str = "") -> list[Command]:
    """Return the commands that count runs by status, of one function or of all."""
    if function:
        return [("ZCARD", keys.by_function(function, status)) for status in RUN_STATUSES]
    return [("ZCARD", keys.by_status(status)) for status in RUN_STATUSES]


def as_counts(replies: list[Any]) -> dict[str, int]:
    """Return the replies to `count_commands` by status, all seven."""
    return {status: int(reply) for status, reply in zip(RUN_STATUSES, replies, strict=True)}


def counts(redis: Redis, keys: Keys, function: str = "") -> dict[str, int]:
    """Return how many runs stand in each of the seven states, of one function or of all."""
    return as_counts(snapshot.together(redis, count_commands(keys, function)))
