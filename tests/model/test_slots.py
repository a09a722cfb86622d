"""Slots of two limits: Redis queues the same runs in the same order as the model and leaves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from model.models import Event, Member, Slots
from model.real import Real, moved_clock

from qflow import Concurrency
from qflow.core.ids import step_hash
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
OLDER = [
    *(("send", "a", 0), ("send", "a", 0), ("claim", "a", 0), ("fork", "a", 0), ("claim", "a", 0)),
    ("settle", "a", 0),
]
"""A run that its only step wakes goes before a newer one, which waits for the step's slot too."""
MOVES = st.lists(
    st.tuples(
        st.sampled_from(
            ["send", "send", "claim", "claim", "step", "end", "fork", "settle", "reopen", "cancel"]
        ),
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
        self.working: dict[Member, Claimed] = {}
        self.keys: dict[int, str] = {}
        self.opened: Counter[int] = Counter()

    def send(self, key: str) -> None:
        self.real.move(1)
        n = len(self.keys)
        self.keys[n] = key
        self.model.enter(Member(n), key)
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
        member = self.model.queue.pop(0)
        assert claimed.member.replace(":", "") == self.real.runs[member.run] + member.step
        self.working[member] = claimed

    def step(self, run: int, at: int) -> None:
        keeps = self.model.hand_over(run)
        following = self.real.step(self.working.pop(Member(run)), f"s{at}")
        assert (following is not None) == keeps
        if following is not None:
            self.working[Member(run)] = following

    def fork(self, run: int, at: int) -> None:
        steps = [f"{at}{letter}" for letter in "xyz"[: 1 + at % 3]]
        self.model.fork(run, [step_hash(step) for step in steps])
        self.real.fork(self.working.pop(Member(run)), steps)
        self.opened[run] += len(steps)

    def settle(self, member: Member) -> None:
        self.model.settle(member)
        self.real.settle(self.working.pop(member))
        self.opened[member.run] -= 1

    def reopen(self, member: Member) -> None:
        key = self.model.holders[member]
        self.model.end(member)
        self.model.enter(member, key)
        self.real.reopen(self.working.pop(member))

    def end(self, run: int) -> None:
        self.model.end(Member(run))
        self.real.complete(self.working.pop(Member(run)))

    def move(self, what: str, member: Member, at: int) -> None:
        """Do this with what a worker has, where it makes sense."""
        run, step = member
        if step and what in ("settle", "reopen"):
            self.settle(member) if what == "settle" else self.reopen(member)
        elif not step and what == "fork":
            self.fork(run, at)
        elif not step and what == "step":
            self.step(run, at)
        elif not step and what == "end" and not self.opened[run]:
            self.end(run)

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
            key: {
                f"{runs[each.run]}:{each.step}".rstrip(":")
                for each, of in model.holders.items()
                if of == key
            }
            for key in "abc"
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
@example(total=1, each=1, moves=OLDER)
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
        elif working:
            both.move(move, working[pick % len(working)], at)
        both.check()
    while both.model.queue or both.working:
        if both.model.queue:
            both.claim()
        else:
            member = max(both.working)
            both.settle(member) if member.step else both.end(member.run)
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
    for at, (move, key, pick) in enumerate(moves):
        if move == "send":
            both._create(number, key)
            number += 1
        elif move == "claim":
            claimed = real.claim()
            if claimed is not None and not claimed.is_open and pick % 2:
                real.fork(claimed, [f"{at}x", f"{at}y"])
        elif move == "cancel" and number:
            real.cancel(pick % number)
    for n in range(number):
        real.cancel(n)
    kinds = ("slots:*", "backlog:*", "ring:*", "rings")
    assert [name for kind in kinds for name in redis.call("KEYS", f"{real.keys.ns}:{kind}")] == []
