"""Runs that earlier versions left half-way are resumed by this one, and end as they began."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cases.world import World
from golden.flows import HANDLERS, define

from qflow.core.ids import job_id
from qflow.store.run import Lane

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))
ORDER = (
    "Order(number={}, placed=datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), "
    "total=Decimal('9.90'), colour=<Colour.RED: 'red'>)"
)
OUTPUTS: dict[str, Any] = {
    "values": [ORDER.format(7), "(1, {2, 3})", ORDER.format(8)],
    "fallback": "ValueError no stock reserve other",
    "on_the_loop": "Decimal('9.90')",
    "retried": "not now",
    "patched": [True, True, True],
}


def restore(world: World, history: dict[str, Any]) -> str:
    """Put a run into Redis as it was, its timer due now; return its id."""
    keys, run, fields = world.keys, history["run"], history["fields"]
    lane = Lane.parse(fields["lane"])
    assert lane.state == "d", "histories are of runs that wait for a time"
    flat = [part for pair in fields.items() for part in pair]
    steps = [part for pair in history["steps"].items() for part in pair]
    job = job_id(run, lane.step, lane.token)
    world.redis.pipeline(
        [
            ("HSET", keys.run(run), *flat),
            *([("HSET", keys.steps(run), *steps)] if steps else []),
            ("ZADD", keys.runs, fields["created"], run),
            ("ZADD", keys.by_status("waiting"), fields["created"], run),
            ("ZADD", keys.by_function(history["function"], "waiting"), fields["created"], run),
            ("HSET", keys.job(job), "status", "scheduled", "origin", keys.queue_name),
            ("ZADD", keys.scheduled, 1, job),
        ]
    )
    return str(run)


def test_every_function_has_a_history() -> None:
    recorded = {json.loads(path.read_text())["function"] for path in HISTORIES}
    assert recorded == set(HANDLERS) == set(OUTPUTS)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_it_goes_on_as_it_began(world: World, path: Path) -> None:
    history = json.loads(path.read_text())
    define(world.app)
    world.worker()
    run = restore(world, history)
    found = world.until_status(run, "completed", "failed")
    assert found.output == OUTPUTS[history["function"]]
    kept = {step: found.steps[step] for step in history["steps"]}
    assert kept == history["steps"], "what had finished was written again"
