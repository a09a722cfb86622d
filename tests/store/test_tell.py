"""include/tell.lua: the end of a run becomes an event, where a function listens, once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from store.lab import FN, KEEP, Lab, advancing, wrote

from qflow.core.event import CANCELLED, FAILED, FINISHED, SYSTEM
from qflow.store import directory, run, stream
from qflow.store.run import End, Held, Lane

HOW = '"error":{"name":"E"},"step":"send","attempt":2'
COMPLETED = End("completed", "[1]", 700, "", '{"t":"end","status":"completed"}')
ENDED = End("failed", '{"name":"E"}', 900, "", '{"t":"end","status":"failed"}', HOW)


def publish(lab: Lab, *listened: str) -> None:
    specs = [
        {"id": FN, "triggers": [{"event": "go"}], "source": "'qflow/function.failed'"},
        *({"id": f"on-{n}", "triggers": [{"event": name}]} for n, name in enumerate(listened)),
    ]
    lab(directory.publish(lab.keys, "app:workers", specs, ()))


def told(lab: Lab) -> list[dict[str, Any]]:
    entries = lab.redis.call("XRANGE", lab.keys.events, "-", "+")
    found = [
        {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
        for _, flat in entries
    ]
    return [{**e, "data": json.loads(e["data"])} for e in found if e["name"] in SYSTEM]


def started_by(lab: Lab, event: str) -> tuple[Held, Lane]:
    entry, start = lab.entry(), lab.new()
    text = f'{{"name":"{event}","id":"e1","ts":1,"data":{{}}}}'
    starting = stream.start(lab.keys, entry, lab.version, ("e1", text), KEEP, [start])
    assert lab(starting) == 1
    lab.beat()
    (claimed,) = lab.claim()
    return Held(lab.keys, start.run, FN, 0, 500, 90), claimed.lane


@pytest.mark.parametrize(
    ("listened", "end", "names"),
    [
        ((), ENDED, []),
        ((FAILED,), COMPLETED, []),
        ((FAILED,), ENDED, [FAILED]),
        ((FINISHED,), COMPLETED, [FINISHED]),
        ((FINISHED,), ENDED, [FINISHED]),
        ((FINISHED, FAILED, CANCELLED), ENDED, [FINISHED, FAILED]),
    ],
)
def test_who_hears(lab: Lab, listened: tuple[str, ...], end: End, names: list[str]) -> None:
    publish(lab, *listened)
    held, lane = lab.stepping()
    call = run.finish(held, lane, wrote("send"), end)
    assert lab(call) == 1
    assert [event["name"] for event in told(lab)] == names
    assert lab(call) == 2
    assert len(told(lab)) == len(names), "a repeated call tells again"


def test_what_it_says(lab: Lab) -> None:
    publish(lab, FAILED, FINISHED)
    held, lane = started_by(lab, "go")
    lab(run.finish(held, lane, run.NOTHING, ENDED))
    finished, failed = told(lab)
    assert (failed["of"], failed["id"]) == (FN, f"{held.run}:failed")
    assert finished["id"] == f"{held.run}:finished"
    assert failed["data"] == {
        "run_id": held.run, "function_id": FN, "status": "failed", "error": {"name": "E"}, "step": "send",
        "attempt": 2, "event": {"name": "go", "id": "e1", "ts": 1, "data": {}},
    }  # fmt: skip


def test_the_output_of_a_completed_run(lab: Lab) -> None:
    publish(lab, FINISHED)
    held, lane = started_by(lab, "go")
    lab(run.finish(held, lane, run.NOTHING, COMPLETED))
    (finished,) = told(lab)
    assert finished["data"]["output"] == [1]
    assert finished["data"]["status"] == "completed"


def test_runs_that_complete_together(lab: Lab) -> None:
    publish(lab, FINISHED)
    held, lane = lab.stepping()
    call = advancing(held, lane, lane.next("e", "send"), wrote("send"), output='{"n":1}')
    assert lab(call) == [1]
    (finished,) = told(lab)
    assert finished["data"]["output"] == {"n": 1}
    assert lab(call) == [2]
    assert len(told(lab)) == 1


@pytest.mark.parametrize("name", SYSTEM)
def test_no_event_of_a_run_that_such_an_event_started(lab: Lab, name: str) -> None:
    publish(lab, *SYSTEM)
    held, lane = started_by(lab, name)
    lab(run.finish(held, lane, run.NOTHING, ENDED))
    assert told(lab) == []


def test_a_listener_that_is_removed_is_told_no_more(lab: Lab) -> None:
    publish(lab, FAILED)
    assert lab.hash(lab.keys.functions_listened) == {"failed": "1"}
    publish(lab)
    assert lab.redis.call("EXISTS", lab.keys.functions_listened) == 0
