"""Rate limits: exactly so many starts in a period; the others are recorded as skipped, with the reason."""

from __future__ import annotations

from collections import Counter
from typing import Any

from cases.world import World

from qflow import RateLimit


def test_the_rest_is_skipped_and_says_why(world: World) -> None:
    limit = RateLimit(3, per="1h", key="event.data.tenant")
    world.app.function("work", trigger="go", rate_limit=limit)(lambda: None)
    world.worker()
    sent = [world.send("go", {"tenant": tenant}) for _ in range(5) for tenant in "ab"]
    ended = [world.ended(event, "work") for event in sent]
    assert [run.status for run in ended] == ["completed"] * 6 + ["skipped"] * 4
    assert ended[-1].fields["reason"] == "rate limit: 3 runs in 1h have started for b"
    assert ended[-1].told("end") == [
        {"t": "end", "status": "skipped", "why": ended[-1].fields["reason"]}
    ]


def test_a_period_that_is_over_counts_no_more(world: World) -> None:
    world.app.function("work", trigger="go", rate_limit=RateLimit(2, per="150ms"))(lambda: None)
    world.worker()
    starts: list[int] = []
    counts: Counter[str] = Counter()

    def three_have_started() -> bool:
        run = world.ended(world.send("go"), "work")
        counts[run.status] += 1
        if run.status == "completed":
            starts.append(int(run.fields["created"]))
        return len(starts) >= 5

    world.until(three_have_started)
    assert counts["skipped"] > 0
    assert all(c - a >= 150 for a, c in zip(starts, starts[2:], strict=False))


def test_without_a_value_of_the_key_nothing_is_limited(world: World) -> None:
    limit = RateLimit(1, per="1h", key="event.data.tenant")
    world.app.function("work", trigger="go", rate_limit=limit)(lambda: None)
    world.worker()
    given: list[dict[str, Any]] = [{}, {"tenant": None}, {"tenant": ""}, {"tenant": False}]
    ended = [world.ended(world.send("go", data), "work") for data in given]
    assert {run.status for run in ended} == {"completed"}
