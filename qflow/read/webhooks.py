"""Webhooks with their counts and newest deliveries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from qflow.core.webhook import Webhook
from qflow.read.snapshot import pairs, text
from qflow.store.keys import Keys
from qflow.store.redis import Redis


class Taken(NamedTuple):
    """A delivery and what became of it; `status` is what its sender was answered."""

    at: int
    status: int
    event: str
    id: str
    why: str


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook, how many deliveries it took and refused, and the newest of them, newest first."""

    hook: Webhook
    taken: int
    refused: int
    last: tuple[Taken, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        counts = {"taken": self.taken, "refused": self.refused}
        return {**self.hook.as_dict(), **counts, "last": [each._asdict() for each in self.last]}


def webhooks(redis: Redis, keys: Keys, deliveries: int = 10) -> list[WebhookView]:
    """Return every webhook, by id."""
    configured, counted = redis.pipeline(
        [("HGETALL", keys.webhooks), ("HGETALL", keys.webhook_counts)]
    )
    hooks = [Webhook(**json.loads(raw)) for _, raw in sorted(pairs(configured).items())]
    counts = {name: int(number) for name, number in pairs(counted).items()}
    asked = [
        ("XREVRANGE", keys.deliveries(hook.id), "+", "-", "COUNT", deliveries) for hook in hooks
    ]
    replies = redis.pipeline(asked) if asked else []
    return [
        WebhookView(
            hook,
            counts.get(f"{hook.id}|taken", 0),
            counts.get(f"{hook.id}|refused", 0),
            tuple(map(_taken, reply)),
        )
        for hook, reply in zip(hooks, replies, strict=True)
    ]


def _taken(item: Any) -> Taken:
    fields = pairs(item[1])
    at = int(text(item[0]).partition("-")[0])
    return Taken(at, int(fields["status"]), fields["event"], fields["id"], fields["why"])
