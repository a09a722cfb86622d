"""Webhooks as Redis keeps them: configuration, counts, and the newest deliveries of each."""

from __future__ import annotations

import json
from typing import Final

from qflow.core.webhook import Webhook
from qflow.store.keys import Keys
from qflow.store.redis import Redis

KEPT: Final = 200
_KEPT_S: Final = 30 * 86_400
_MOST: Final = 300


def save(redis: Redis, keys: Keys, hook: Webhook) -> bool:
    """Configure a webhook; return whether it is a new one."""
    return bool(redis.call("HSET", keys.webhooks, hook.id, json.dumps(hook.as_dict())))


def remove(redis: Redis, keys: Keys, hook: str) -> bool:
    """Forget a webhook; return whether there was one."""
    gone, *_ = redis.pipeline(
        [
            ("HDEL", keys.webhooks, hook),
            ("HDEL", keys.webhook_counts, f"{hook}|taken", f"{hook}|refused"),
            ("DEL", keys.deliveries(hook)),
        ]
    )
    return bool(gone)


def find(redis: Redis, keys: Keys, hook: str) -> Webhook | None:
    """Return the webhook of that id."""
    raw = redis.call("HGET", keys.webhooks, hook)
    return Webhook(**json.loads(raw)) if raw else None


def note(redis: Redis, keys: Keys, hook: str, status: int, event: str, id_: str, why: str) -> None:
    """Write down what became of a delivery."""
    kind = "taken" if status < 400 else "refused"
    stream = keys.deliveries(hook)
    redis.pipeline(
        [
            ("HINCRBY", keys.webhook_counts, f"{hook}|{kind}", 1),
            (
                "XADD", stream, "MAXLEN", "~", KEPT, "*", "status", status, "event", event[:_MOST],
                "id", id_[:_MOST], "why", why[:_MOST],
            ),
            ("EXPIRE", stream, _KEPT_S),
        ]
    )  # fmt: skip
