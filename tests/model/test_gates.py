"""What becomes of events: Redis and the harness that users test with agree, whatever comes when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model.models import Event, Started
from model.real import Real, moved_clock

import qflow
from qflow.core.control import Control
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing import Harness, HarnessRun

KEY = "event.data.key"
KINDS: dict[str, Control] = {
    "rate_limit": {"rate_limit": qflow.RateLimit(3, "1s", KEY)},
    "throttle": {"throttle": qflow.Throttle(3, "1s", 2, KEY)},
    "debounce": {"debounce": qflow.Debounce("400ms", KEY, "1s")},
    "endless": {"debounce": qflow.Debounce("400ms", KEY)},
    "batch": {"batch": qflow.Batch(3, "700ms", KEY)},
    "all": {
        "rate_limit": qflow.RateLimit(5, "2s", KEY),
        "debounce": qflow.Debounce("333ms", KEY, "700ms"),
        "throttle": qflow.Throttle(3, "1s", 2, KEY),
    },
}
NUMBERS = count()
EPOCH = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
Script = list[tuple[int, str, int]]
"""Events: how long after the one before (ms), the key, how much older by its own time."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with moved_clock(monkeypatch):
        yield


class OnMemory:
    """Plays on a harness, as users test their functions."""

    def __init__(self, control: Control) -> None:
        self.app = qflow.App("model")

        @self.app.function("work", trigger="go", **control)
        def work(events: list[qflow.Event]) -> list[int]:
            return [event.data["n"] for event in events]

    def play(self, script: Script) -> list[Started]:
        with Harness(self.app, now=EPOCH) as world:
            for n, (pause, key, older) in enumerate(script):
                world.advance(dt.timedelta(milliseconds=pause))
                now = _ms(world.now - EPOCH)
                world.send(qflow.Event("go", {"n": n, "key": key}, ts=100_000 + now - older))
            world.advance("20s")
            runs = [run for run in world.runs if run.status != "skipped"]
            at = [_ms(run.created + run.timeline[-1].at - EPOCH) for run in runs]
        return sorted(Started(ms, tuple(run.output)) for ms, run in zip(at, runs, strict=True))


def _ms(span: dt.timedelta) -> int:
    return span // dt.timedelta(milliseconds=1)


class OnRedis:
    """Drives the scripts; its times are counted from the first event on."""

    def __init__(self, redis: Redis, control: Control) -> None:
        self.real = Real(redis, Keys(f"model{next(NUMBERS)}"), control)
        self.zero = self.real.now

    def play(self, script: Script) -> list[Started]:
        began: list[Started] = []
        for n, (pause, key, older) in enumerate(script):
            began += self._until(self.real.now + pause)
            now = self.real.now - self.zero
            began += self.real.send(Event(n, key, 100_000 + now - older))
        began += self._until(self.real.now + 20_000)
        assert self.real.next_due() == 0
        return sorted(Started(at - self.zero, events) for at, events in began)

    def _until(self, moment: int) -> list[Started]:
        began: list[Started] = []
        while 0 < (due := self.real.next_due()) <= moment:
            self.real.move(max(0, due - self.real.now))
            began += self.real.due()
        self.real.move(moment - self.real.now)
        return began


@pytest.fixture(params=["memory", "redis"])
def play(request: pytest.FixtureRequest, redis: Redis) -> Callable[[str, Script], list[Started]]:
    """Plays a script in memory or on Redis."""

    def on(kind: str, script: Script) -> list[Started]:
        control = KINDS[kind]
        driver = OnMemory(control) if request.param == "memory" else OnRedis(redis, control)
        return driver.play(script)

    return on


Play = Callable[[str, Script], list[Started]]


@pytest.mark.leaves_keys
def test_a_rate_limit_is_exact_in_any_period(play: Play) -> None:
    began = play("rate_limit", [(0, "a", 0), (300, "a", 0), (300, "a", 0), (399, "a", 0)])
    assert [start.at for start in began] == [0, 300, 600]
    began = play("rate_limit", [(0, "a", 0), (300, "a", 0), (300, "a", 0), (400, "a", 0)])
    assert [start.at for start in began] == [0, 300, 600, 1000]


@pytest.mark.leaves_keys
def test_a_throttle_spaces_what_is_over_its_burst(play: Play) -> None:
    began = play("throttle", [(0, "a", 0)] * 5)
    assert [start.at for start in began] == [0, 0, 334, 667, 1001]


@pytest.mark.leaves_keys
def test_a_debounce_takes_the_newest_and_is_bounded(play: Play) -> None:
    began = play("debounce", [(0, "a", 0), (300, "a", 0), (100, "a", 200)])
    assert began == [Started(700, (1,))]
    began = play("debounce", [(0, "a", 0)] + [(300, "a", 0)] * 4)
    assert began == [Started(1000, (3,)), Started(1600, (4,))]


@pytest.mark.leaves_keys
def test_a_batch_starts_when_full_or_late(play: Play) -> None:
    began = play("batch", [(0, "a", 0), (0, "b", 0), (1, "a", 0), (2, "a", 0), (3, "a", 0)])
    assert began == [Started(3, (0, 2, 3)), Started(700, (1,)), Started(706, (4,))]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 50, 333, 334, 400, 700, 1000]),
        st.sampled_from("ab"),
        st.sampled_from([0, 0, 0, 10, 500]),
    ),
    max_size=15,
)


@pytest.mark.leaves_keys
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
@given(script=EVENTS)
def test_redis_and_memory_do_the_same(redis: Redis, kind: str, script: Script) -> None:
    assert OnRedis(redis, KINDS[kind]).play(script) == OnMemory(KINDS[kind]).play(script)


@pytest.mark.leaves_keys
@pytest.mark.parametrize("mode", ["skip", "cancel"])
@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
@given(moves=st.lists(st.tuples(st.sampled_from(["send", "end"]), st.sampled_from("ab"))))
def test_singletons(redis: Redis, mode: Any, moves: list[tuple[str, str]]) -> None:
    control: Control = {"singleton": qflow.Singleton(KEY, mode=mode)}
    real, app = Real(redis, Keys(f"model{next(NUMBERS)}"), control), qflow.App("model")

    @app.function("work", trigger="go", **control)
    def work(event: qflow.Event, step: qflow.SyncStep) -> None:
        step.wait_for_signal("end", str(event.data["n"]))

    runs: dict[int, HarnessRun] = {}
    active: dict[str, int] = {}
    with Harness(app) as world:
        for n, (move, key) in enumerate(moves):
            real.move(1)
            if move == "send":
                [runs[n]] = world.send("go", {"n": n, "key": key})
                real.send(Event(n, key, 1))
                active[key] = n if runs[n].status == "waiting" else active[key]
            elif key in active:
                ended = active.pop(key)
                world.signal(str(ended))
                real.complete(real.began[real.runs[ended]])
        shown = {"waiting": "running"}
        assert {n: real.status(n) for n in real.runs} == {
            n: shown.get(run.status, run.status) for n, run in runs.items()
        }
        assert sum(run.status == "waiting" for run in runs.values()) == len(active)
