"""Slots of two limits: Redis queues the same runs in the same order as the model and leaves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from model.models import Event, Slots
from model.real import Real, moved_clock

from qflow import Concurrency
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.run import Claimed

NUMBERS = count()
TURNS = [
    *(("send", key, 0) for key in "aabc"),
    ("claim", "a", 0),
    ("end", "a", 0),
    ("claim", "a", 0),
]
"""What frees both slots does not serve its own key before one that waits for the other."""
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "claim", "step", "end", "cancel"]),
        st.sampled_from("abc"),
        st.integers(0, 20),
    ),
    max_size=40,
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with moved_clock(monkeypatch):
        yield


class Both:
    """A model and Redis, driven alike."""

    def __init__(self, redis: Redis, total: int, each: int) -> None:
        self.model = Slots(total, each)
        limits = [Concurrency(total), Concurrency(each, key="event.data.key")]
        self.real = Real(redis, Keys(f"slots{next(NUMBERS)}"), {"concurrency": limits})
        self.total, self.each = total, each
        self.working: dict[int, Claimed] = {}
        self.keys: dict[int, str] = {}

    def send(self, key: str) -> None:
        self.real.move(1)
        n = len(self.keys)
        self.keys[n] = key
        self.model.enter(n, key)
        self._create(n, key)

    def _create(self, n: int, key: str) -> None:
        real = self.real
        real.started = list  # type: ignore[method-assign]  # jobs are taken one by one here
        real.send(Event(n, key, 1))

    def claim(self) -> None:
        claimed = self.real.claim()
        if not self.model.queue:
            assert claimed is None
            return
        assert claimed is not None
        n = self.model.queue.pop(0)
        assert claimed.run == self.real.runs[n]
        self.working[n] = claimed

    def step(self, n: int, at: int) -> None:
        keeps = self.model.hand_over(n)
        following = self.real.step(self.working.pop(n), f"s{at}")
        assert (following is not None) == keeps
        if following is not None:
            self.working[n] = following

    def end(self, n: int) -> None:
        self.model.end(n)
        self.real.complete(self.working.pop(n))

    def check(self) -> None:
        model = self.model
        assert self.real.queued() == model.queue
        assert len(model.holders) <= self.total
        assert max(Counter(model.holders.values()).values(), default=0) <= self.each
        held = {
            key: {raw.decode() for raw in self._members(f"slots:fn:work:1={key}")} for key in "abc"
        }
        runs = self.real.runs
        assert held == {
            key: {runs[n] for n, of in model.holders.items() if of == key} for key in "abc"
        }
        waiting = {key for key, of in model.waiting.items() if of}
        room = len(model.holders) < self.total
        assert not any(room and model._free(key) for key in waiting), "a slot is free"

    def _members(self, key: str) -> list[bytes]:
        found: list[bytes] = self.real.redis.call("ZRANGE", f"{self.real.keys.ns}:{key}", 0, -1)
        return found


@pytest.mark.leaves_keys
@settings(max_examples=60, deadline=None, suppress_health_check=[*HealthCheck])
@given(total=st.integers(1, 3), each=st.integers(1, 2), moves=MOVES)
@example(total=2, each=1, moves=TURNS)
def test_redis_does_as_the_model(
    redis: Redis, total: int, each: int, moves: list[tuple[str, str, int]]
) -> None:
    both = Both(redis, total, each)
    for at, (move, key, pick) in enumerate(moves):
        working = sorted(both.working)
        if move == "send":
            both.send(key)
        elif move == "claim":
            both.claim()
        elif move in ("step", "end") and working:
            n = working[pick % len(working)]
            both.step(n, at) if move == "step" else both.end(n)
        both.check()
    while both.model.queue or both.working:
        both.claim() if both.model.queue else both.end(min(both.working))
        both.check()
    ns = both.real.keys.ns
    kinds = ("slots:*", "backlog:*", "ring:*", "rings")
    assert [name for kind in kinds for name in redis.call("KEYS", f"{ns}:{kind}")] == []


@pytest.mark.leaves_keys
@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
@given(total=st.integers(1, 2), each=st.integers(1, 2), moves=MOVES)
def test_cancelling_leaves_nothing_behind(
    redis: Redis, total: int, each: int, moves: list[tuple[str, str, int]]
) -> None:
    both = Both(redis, total, each)
    real = both.real
    number = 0
    for move, key, pick in moves:
        if move == "send":
            both._create(number, key)
            number += 1
        elif move == "claim":
            real.claim()
        elif number:
            real.cancel(pick % number)
    for n in range(number):
        real.cancel(n)
    kinds = ("slots:*", "backlog:*", "ring:*", "rings")
    assert [name for kind in kinds for name in redis.call("KEYS", f"{real.keys.ns}:{kind}")] == []
