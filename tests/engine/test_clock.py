"""The worker's idea of Redis's time."""

from __future__ import annotations

import pytest

from qflow.engine import clock
from qflow.engine.clock import Clock


class Monotonic:
    """The host's monotonic clock, set by the test (seconds)."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    monotonic = Monotonic()
    monkeypatch.setattr(clock, "time", monotonic)
    return monotonic


def read(redis_time: Clock, host: Monotonic, ms: int, there_s: float, back_s: float) -> None:
    """A reading: Redis looks at its clock `there_s` after it was asked."""
    asked = host.at
    host.at += there_s + back_s
    redis_time.set(ms, asked)


def test_it_goes_on_by_itself(host: Monotonic) -> None:
    redis_time = Clock(5_000)
    host.at += 1.25
    assert redis_time.now_ms() == 6_250


def test_an_answer_that_was_read_late_sets_nothing_back(host: Monotonic) -> None:
    redis_time = Clock(0)
    read(redis_time, host, 1_000, 0.001, 0.001)
    host.at += 1
    read(redis_time, host, 2_002, 0.001, 0.040)
    assert abs(redis_time.now_ms() - 2_042) <= 1


def test_a_sure_reading_is_taken(host: Monotonic) -> None:
    redis_time = Clock(0)
    read(redis_time, host, 1_000, 0.001, 0.061)
    assert abs(redis_time.now_ms() - 1_061) <= 31, "no surer than that"
    read(redis_time, host, 1_062, 0.001, 0.001)
    assert abs(redis_time.now_ms() - 1_063) <= 1


def test_a_jump_of_redis_s_clock_is_followed_at_once(host: Monotonic) -> None:
    redis_time = Clock(0)
    read(redis_time, host, 1_000, 0.001, 0.001)
    read(redis_time, host, 3_600_000, 0.001, 0.020)
    assert abs(redis_time.now_ms() - 3_600_020) <= 11


def test_drift_is_made_good(host: Monotonic) -> None:
    redis_time = Clock(0)
    read(redis_time, host, 1_000, 0.0, 0.0)
    for second in range(100):
        host.at += 1
        read(redis_time, host, 1_000 + round((second + 1) * 1_000.05) + 2, 0.002, 0.002)
    assert abs(redis_time.now_ms() - (1_000 + 100_005 + 4)) <= 6
