"""A malformed entry is moved aside with its reason; the stream goes on."""

from __future__ import annotations

import pytest
from cases.world import World

BAD: dict[str, tuple[dict[str, bytes | str], str]] = {
    "no name": ({"data": "{}"}, "needs a name"),
    "empty name": ({"name": "", "data": "{}"}, "needs a name"),
    "long name": ({"name": "n" * 256}, "256 characters"),
    "unprintable name": ({"name": "a\nb"}, "cannot be printed"),
    "name not UTF-8": ({"name": b"\xff"}, "'name' is not UTF-8"),
    "reserved name": ({"name": "qflow/cron"}, "reserved"),
    "long id": ({"name": "go", "id": "i" * 256}, "id has 256 characters"),
    "id not UTF-8": ({"name": "go", "id": b"\xff"}, "'id' is not UTF-8"),
    "no JSON": ({"name": "go", "data": "{"}, "not JSON"),
    "NaN": ({"name": "go", "data": '{"n":NaN}'}, "NaN"),
    "deep": ({"name": "go", "data": "[" * 200_000}, "not JSON"),
    "huge number": ({"name": "go", "data": '{"n":' + "9" * 5000 + "}"}, "not JSON"),
    "a list": ({"name": "go", "data": "[]"}, "not a list"),
    "text": ({"name": "go", "data": '"x"'}, "not text"),
    "null": ({"name": "go", "data": "null"}, "not null"),
    "data not UTF-8": ({"name": "go", "data": b'{"a":"\xff"}'}, "not UTF-8"),
    "too large": ({"name": "go", "data": '{"a":"' + "x" * 512 * 1024 + '"}'}, "512 KiB"),
    "bad ts": ({"name": "go", "ts": "soon"}, "ts 'soon'"),
    "ts in odd digits": ({"name": "go", "ts": "\u00b2"}, "ts"),
    "endless ts": ({"name": "go", "ts": "1" * 5000}, "ts"),
    "ts in seconds and fractions": ({"name": "go", "ts": "1.5"}, "ts"),
    "unknown enc": ({"name": "go", "enc": "pickle", "data": b"x"}, "'pickle' is unknown"),
    "no msgpack": ({"name": "go", "enc": "msgpack", "data": b"\xc1"}, "not msgpack"),
    "msgpack list": ({"name": "go", "enc": "msgpack", "data": b"\x90"}, "not a list"),
    "msgpack list as key": ({"name": "go", "enc": "msgpack", "data": b"\x81\x90\x01"}, "not msgpack"),
    "msgpack time out of range": (
        {"name": "go", "enc": "msgpack", "data": b"\x81\xa1a\xc7\x0c\xff\0\0\0\0\x7f" + b"\xff" * 7},
        "not msgpack",
    ),
    "msgpack of unknown type": (
        {"name": "go", "enc": "msgpack", "data": b"\x81\xa1a\xd4\x05x"}, "type 5 is unknown",
    ),
}  # fmt: skip


def test_every_kind_is_rejected_and_the_stream_goes_on(world: World) -> None:
    @world.app.function("good", trigger="go")
    def good() -> str:
        return "good"

    world.worker()
    between = []
    for fields, _ in BAD.values():
        flat = [part for pair in fields.items() for part in pair]
        world.redis.call("XADD", world.keys.events, "*", *flat)
        between.append(world.send("go"))
    for event in between:
        assert world.ended(event, "good").output == "good"
    keys = world.keys
    entries = world.redis.call("XRANGE", keys.rejected, "-", "+")
    for (kind, (fields, reason)), (_, flat) in zip(BAD.items(), entries, strict=False):
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        assert reason in found[b"reason"].decode(), kind
        assert found[b"entry"], kind
        for name, value in fields.items():
            raw = value.encode() if isinstance(value, str) else value
            assert raw.startswith(found[name.encode()]), kind
    assert len(entries) == len(BAD) == world.counter("rejected")
    assert world.redis.call("XPENDING", keys.events, "router")[0] == 0
    told = [fields["reason"] for fields in world.emitted("event.rejected")]
    assert len(told) == len(BAD)
    assert not world.emitted("loop.failed")


@pytest.mark.parametrize("count", [101, 9_000])
def test_an_entry_of_very_many_fields(world: World, count: int) -> None:
    @world.app.function("good", trigger="go")
    def good() -> str:
        return "good"

    world.worker()
    flat = [part for n in range(count) for part in (f"f{n}", "v")]
    world.redis.call("XADD", world.keys.events, "*", *flat)
    assert world.outcome("good", "go").output == "good"
    entry = world.redis.call("XRANGE", world.keys.rejected, "-", "+")[0]
    found = dict(zip(entry[1][::2], entry[1][1::2], strict=True))
    assert found[b"left_out"] == b"%d more fields" % (count - 100)
