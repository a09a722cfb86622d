"""Inngest's own npm client, unchanged but for its base URL."""

from __future__ import annotations

import json
from pathlib import Path

from node import run_node
from web.test_intake import sent

from qflow.config import Settings
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer
from qflow.web import server

SEND = """
import { Inngest } from 'inngest';
const [, , baseUrl, eventKey] = process.argv;
let calls = 0;
const losing = async (...args) => {
  const reply = await fetch(...args);
  calls += 1;
  if (calls === 1) throw new TypeError('the answer is lost');
  return reply;
};
const client = new Inngest({ id: 'shop', eventKey, baseUrl, isDev: false, fetch: losing });
try {
  const many = await client.send([
    { name: 'user/created', data: { name: 'J\\u00e4ne', when: [1, null] } },
    { name: 'user/left', data: {}, id: 'once', ts: 1700000000000 },
  ]);
  const one = await client.send({ name: 'user/seen', user: { id: 7 } });
  console.log(JSON.stringify({ ids: [...many.ids, ...one.ids], calls }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error), calls }));
}
"""


def test_the_npm_client_sends_and_repeats_a_lost_answer_without_sending_twice(
    served: str, redis: Redis, keys: Keys, tmp_path: Path
) -> None:
    told = json.loads(run_node(SEND, tmp_path, "inngest", served, "a-key"))
    assert told["calls"] == 3, "the first request was repeated"
    entries = sent(redis, keys)
    ids = [entry["id"] for entry in entries]
    assert ids == [*told["ids"][:2], *told["ids"]], "a repeated request has the same ids"
    assert ids[1] == "once"
    assert json.loads(entries[0]["data"]) == {"name": "Jäne", "when": [1, None]}
    assert entries[1]["ts"] == "1700000000000"
    assert entries[4]["name"] == "user/seen"


def test_the_npm_client_is_told_of_a_wrong_key(
    redis_server: RedisServer, redis: Redis, keys: Keys, tmp_path: Path
) -> None:
    settings = Settings(
        redis_url=redis_server.url, namespace=keys.ns, dashboard_port=0, event_keys="right"
    )
    place = server.take_place(settings)
    stop = server.start(lambda: server.site_of(settings), place)
    try:
        told = json.loads(run_node(SEND, tmp_path, "inngest", place.url, "wrong"))
    finally:
        stop()
    assert "event key" in told["error"].lower()
    assert sent(redis, keys) == []
