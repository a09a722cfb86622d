"""What a page costs Redis: the same number of commands and bytes with thousands of runs more."""

from __future__ import annotations

import json

from read.scenes import Scene
from starlette.testclient import TestClient

from qflow.core.ids import ulid
from qflow.store.keys import Keys
from qflow.store.redis import Command, Redis

PAGES = (
    "/", "/runs", "/runs?q=function:pay+status:completed", "/runs?q=status:completed+since:7d", "/errors",
    "/workflows/pay", "/workflows/pay/steps", "/events", "/workers", "/health", "/bulk", "/webhooks",
    "/approvals", "/api/v1/runs", "/api/v1/functions", "/api/v1/health",
)  # fmt: skip
ALWAYS = 2_200
"""Runs that are there from the beginning, half of them failed: more than any page looks back on."""

MORE = 4_000


def store(redis: Redis, keys: Keys, first: int, count: int, now: int) -> None:
    """Write runs as they stand when they have ended, and an event for each."""
    commands = list[Command]()
    for number in range(first, first + count):
        at = now - 3_600_000 + number
        run = ulid(at, number.to_bytes(10, "big"))
        status = "failed" if number % 2 == 0 else "completed"
        error = ("error", json.dumps({"name": "E", "message": "m"})) if status == "failed" else ()
        times = ("created", at, "started", at, "ended", at + 5)
        commands += [
            ("HSET", keys.run(run), "fn", "pay", "status", status, *times, *error),
            ("EXPIRE", keys.run(run), 600),
            ("ZADD", keys.runs, at, run),
            ("ZADD", keys.by_status(status), at, run),
            ("ZADD", keys.by_function("pay", status), at, run),
            ("XADD", keys.events, "*", "name", "order/paid", "data", "{}"),
        ]
    redis.pipeline(commands)


def spent(redis: Redis) -> tuple[int, int]:
    info = dict(
        line.split(":", 1)
        for line in redis.call("INFO", "stats").decode().splitlines()
        if ":" in line
    )
    return int(info["total_commands_processed"]), int(info["total_net_output_bytes"])


def test_no_page_costs_more_with_more_runs(
    client: TestClient, scene: Scene, redis: Redis, keys: Keys
) -> None:
    now = scene.now_ms()
    store(redis, keys, 0, ALWAYS, now)
    few = costs(client, redis)
    store(redis, keys, ALWAYS, MORE, now)
    many = costs(client, redis)
    for path in PAGES:
        (commands, sent), (more_commands, more_sent) = few[path], many[path]
        assert more_commands <= commands + 5, (path, commands, more_commands)
        assert more_sent <= sent * 1.2 + 2_000, (path, sent, more_sent)


def costs(client: TestClient, redis: Redis) -> dict[str, tuple[int, int]]:
    found = {}
    for path in PAGES:
        commands, sent = spent(redis)
        assert client.get(path).status_code == 200, path
        after = spent(redis)
        found[path] = after[0] - commands, after[1] - sent
    return found
