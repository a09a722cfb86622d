"""The functions that workers publish, and the processes that are alive."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.script import Call


def publish(
    keys: Keys, publisher: str, specs: Sequence[Mapping[str, Any]], schedules: Sequence[str]
) -> Call:
    """Publish all functions of `publisher`; those it published before and lacks now are removed.

    A function that another publisher took over meanwhile is that one's, and stays.
    """
    owned = [{**spec, "publisher": publisher} for spec in specs]
    flat = [part for spec in owned for part in (spec["id"], json.dumps(spec, sort_keys=True))]
    return Call(
        "publish",
        (
            keys.functions,
            keys.functions_version,
            keys.functions_listened,
            keys.cron,
            keys.published(publisher),
        ),
        (publisher, len(specs), *flat, *schedules),
    )


def functions(redis: Redis, keys: Keys) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return the publication counter ("0": nothing was ever published) and every specification.

    The counter is read first, so that a publication in between is noticed at the next comparison.
    """
    version, flat = redis.pipeline([("GET", keys.functions_version), ("HGETALL", keys.functions)])
    specs = {flat[i].decode(): json.loads(flat[i + 1]) for i in range(0, len(flat), 2)}
    return (version or b"0").decode(), specs


def announce(
    redis: Redis, keys: Keys, kind: str, name: str, facts: Mapping[str, object], ttl_s: int
) -> None:
    """Say that a router or scheduler is alive."""
    key = keys.process(kind, name)
    flat = [part for pair in facts.items() for part in (pair[0], str(pair[1]))]
    redis.pipeline([("HSET", key, *flat), ("EXPIRE", key, ttl_s)])
