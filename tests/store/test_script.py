"""Loading and calling scripts."""

from __future__ import annotations

import hiredis
import pytest
from store.lab import FN, Lab, opening

from qflow.errors import RedisRefused
from qflow.store import lease, script
from qflow.store.script import Call


def test_every_script_loads(lab: Lab) -> None:
    shas = [script.script(name).sha for name in script.names()]
    lab.redis.call("SCRIPT", "FLUSH")
    script.load(lab.redis)
    assert lab.redis.call("SCRIPT", "EXISTS", *shas) == [1] * len(shas)
    assert len(set(shas)) == len(script.names()) > 10


def test_calls_run_in_their_order_after_a_flush(lab: Lab) -> None:
    lab.publish(FN)
    held, lane = lab.held()
    opened = lane.next("s", "one")
    following = opened.next("s", "two")
    calls = [
        opening(held, lane, opened),
        opening(held, opened, following),
        lease.rescue(lab.keys, "w1", 500, leaving=True),
    ]
    lab.redis.call("SCRIPT", "FLUSH")
    assert script.run_all(lab.redis, calls) == [1, 1, 1]
    assert lab.counter("fenced") == 0


def test_errors_stay_in_their_places(lab: Lab) -> None:
    lab.redis.call("SET", lab.keys.leader, "no hash")
    broken = Call("lead", (lab.keys.leader,), ("a", 1000, 0))
    fine = Call("lead", (f"{lab.keys.leader}2",), ("a", 1000, 0))
    replies = script.run_all(lab.redis, [broken, fine])
    assert isinstance(replies[0], hiredis.ReplyError)
    assert replies[1][0] == 1
    with pytest.raises(RedisRefused, match="WRONGTYPE"):
        script.run(lab.redis, broken)
    lab.redis.call("DEL", lab.keys.leader, f"{lab.keys.leader}2")
