"""reject.lua: a malformed entry is moved aside once, with its reason."""

from __future__ import annotations

from store.lab import Lab

from qflow.store import stream
from qflow.store.stream import Entry


def rejected(lab: Lab) -> list[dict[bytes, bytes]]:
    entries = lab.redis.call("XRANGE", lab.keys.rejected, "-", "+")
    return [dict(zip(flat[::2], flat[1::2], strict=True)) for _, flat in entries]


def test_moved_as_it_came(lab: Lab) -> None:
    entry = lab.entry(name="", data="{", other="x")
    fields = {b"name": b"", b"data": b"{", b"other": b"\xff\x00"}
    assert lab(stream.reject(lab.keys, Entry(entry, fields), "no name")) == 1
    assert rejected(lab) == [{b"entry": entry.encode(), b"reason": b"no name", **fields}]
    assert lab.counter("rejected") == 1
    assert lab.redis.call("XPENDING", lab.keys.events, stream.GROUP)[0] == 0
    assert lab.redis.call("XRANGE", lab.keys.events, entry, entry) == []


def test_repeated_it_moves_nothing(lab: Lab) -> None:
    call = stream.reject(lab.keys, Entry(lab.entry(), {b"a": b"b"}), "no name")
    assert lab(call) == 1
    before = lab.snapshot()
    assert lab(call) == 0
    assert lab.snapshot() == before
    assert lab.counter("rejected") == 1


def test_far_too_large_ones_are_cut(lab: Lab) -> None:
    fields = {b"f%d" % n: b"x" * 1000_000 if n == 0 else b"y" for n in range(5_000)}
    assert lab(stream.reject(lab.keys, Entry(lab.entry(), fields), "what is this")) == 1
    (found,) = rejected(lab)
    assert len(found) == 103
    assert len(found[b"f0"]) == 65_536
    assert found[b"left_out"] == b"4900 more fields"


def test_the_stream_of_them_is_bounded(lab: Lab) -> None:
    for _ in range(3):
        entry = lab.entry()
        lab(stream.reject(lab.keys, Entry(entry, {}), "r"))
    lab.redis.pipeline([("XADD", lab.keys.rejected, "*", "a", "b")] * 10_200)
    lab(stream.reject(lab.keys, Entry(lab.entry(), {}), "r"))
    assert lab.redis.call("XLEN", lab.keys.rejected) < 10_200
