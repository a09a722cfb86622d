"""Events from anything that can reach Redis: redis-cli and a Node script."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest
from cases.world import World
from node import run_node

MESSAGE = {
    "email": "jane@example.com",
    "name": "J\u00e4ne \U0001f600",
    "n": 1.5,
    "tags": [None, True],
}

NODE = """
import { createClient } from 'redis';
const client = createClient({ url: process.argv[2] });
await client.connect();
const fields = { name: 'user/created', data: process.argv[4], id: 'from-node', ts: String(Date.now()) };
console.log(await client.xAdd(process.argv[3], '*', fields));
await client.quit();
"""


def test_redis_cli(world: World) -> None:
    cli = shutil.which("redis-cli")
    if cli is None:
        pytest.skip("redis-cli is not installed")
    seen = started(world)
    said = subprocess.run(
        [
            cli, "-u", world.url, "XADD", world.keys.events, "*",
            "name", "user/created", "data", json.dumps(MESSAGE),
        ],
        check=True, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert seen(said.stdout.strip()) == MESSAGE


def test_node(world: World) -> None:
    seen = started(world)
    run_node(NODE, world.folder, "redis", world.url, world.keys.events, json.dumps(MESSAGE))
    assert seen("from-node") == MESSAGE


def started(world: World) -> Callable[[str], object]:
    seen: dict[str, object] = {}

    @world.app.function("welcome", trigger="user/created")
    def welcome(event) -> None:  # type: ignore[no-untyped-def]
        seen[event.id] = event.data

    world.worker()

    def data(event: str) -> object:
        world.ended(event, "welcome")
        return seen[event]

    return data
