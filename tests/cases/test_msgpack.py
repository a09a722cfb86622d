"""Events whose data is msgpack."""

from __future__ import annotations

import datetime as dt

import msgpack
from cases.world import World


def test_msgpack_data(world: World) -> None:
    seen = []

    @world.app.function("packed", trigger="packed")
    def packed(event) -> None:  # type: ignore[no-untyped-def]
        seen.append(event)

    world.worker()
    data = {
        "text": "Gr\u00fc\u00dfe", "n": 2**60, "f": 0.5, "raw": b"\x00\xff", "list": [1, {"a": None}],
        "when": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), 7: "a number as key",
    }  # fmt: skip
    entry = world.redis.call(
        "XADD", world.keys.events, "*", "name", "packed", "enc", "msgpack", "ts", 1_700_000_000_000,
        "data", msgpack.packb(data, datetime=True), "id", "p1", "v", "2",
    )  # fmt: skip
    assert entry
    assert world.ended("p1", "packed").status == "completed"
    assert seen[0].data == data
    assert (seen[0].id, seen[0].ts, seen[0].v) == ("p1", 1_700_000_000_000, "2")
