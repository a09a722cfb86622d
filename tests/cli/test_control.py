"""`qflow runs rerun, replay, skip-sleep, retry-now, discard`; `qflow functions pause, resume`."""

from __future__ import annotations

import pytest
from cli.conftest import Command
from read.scenes import Scene


def test_rerun(scene: Scene, qflow: Command) -> None:
    old = scene.start("pay")
    scene.claim().open("charge").store(7).open("ship").fail()
    said = qflow("runs", "rerun", old, "--json").json
    assert (said["origin"], said["kept"]) == (old, [])
    shown = qflow("runs", "show", said["id"], "--json").json
    assert (shown["origin"], shown["status"], shown["event"]["data"]) == (old, "queued", {"n": 1})
    assert qflow("runs", "show", old, "--json").json["again"] == said["id"]
    assert f"made from {old}" in qflow("runs", "show", said["id"]).out
    kept = qflow("runs", "rerun", old, "--from", "ship", "--json").json
    assert kept["kept"] == ["charge"]
    (step,) = qflow("runs", "show", kept["id"], "--json").json["steps"]
    assert (step["id"], step["status"], step["output"]) == ("charge", "completed", 7)
    changed = qflow("runs", "rerun", old, "--data", '{"n": 2}', "--json").json
    shown = qflow("runs", "show", changed["id"], "--json").json
    assert shown["event"]["data"] == {"n": 2}
    assert "with 1 steps kept" in qflow("runs", "rerun", old, "--from", "ship", "--data", "3").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "shp"), "did you mean 'ship'? its steps are 'charge', 'nap', 'ship'"),
        (("--data", "[1]"), "--data must be a JSON object"),
        (("--data", "{"), "is not JSON at line 1"),
        (("--from", "nap", "--data", "1"), "calls no function and has no input"),
    ],
)
def test_what_cannot_be_run_again(
    scene: Scene, qflow: Command, arguments: tuple[str, ...], words: str
) -> None:
    old = scene.start("pay")
    scene.claim().open("charge").store(7).sleep("nap", 0)
    scene.due()
    scene.claim().store(step="nap").open("ship").fail()
    said = qflow("runs", "rerun", old, *arguments)
    assert (said.code in (1, 2), words in said.err) == (True, True), said
    assert len(qflow("runs", "list", "--json").json) == 1


def test_replay_goes_on_where_it_stopped(scene: Scene, qflow: Command) -> None:
    failed = []
    for _ in range(3):
        failed.append(scene.start("pay"))
        scene.claim().fail()
    scene.start("pay")
    scene.claim().complete()
    qflow("runs", "rerun", failed[0])
    said = qflow("runs", "replay", "--function", "pay", "--rate", "1000", "--yes", "--json")
    assert said.code == 0
    assert sorted(said.json["created"]) == sorted(failed[1:])
    assert (said.json["failed"], said.json["rerun_before"]) == ({}, 1)
    again = qflow("runs", "replay", "--function", "pay", "--yes")
    assert again.out == "0 runs run again; 3 were run again before\n"
    done = qflow("runs", "replay", "--status", "completed", "--yes", "--json").json
    assert len(done["created"]) == 1


def test_replay_wants_a_filter_and_a_yes(scene: Scene, qflow: Command) -> None:
    assert "give --function" in qflow("runs", "replay").err
    scene.start("pay")
    scene.claim().fail()
    said = qflow("runs", "replay", "--function", "pay")
    assert (said.code, "add --yes" in said.err) == (2, True)


def test_a_rate_is_kept(scene: Scene, qflow: Command) -> None:
    for _ in range(5):
        scene.start("pay")
        scene.claim().fail()
    before = scene.now_ms()
    qflow("runs", "replay", "--function", "pay", "--rate", "20", "--yes")
    assert scene.now_ms() - before >= 200


def test_skip_sleep_and_retry_now(scene: Scene, qflow: Command) -> None:
    sleeping = scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    said = qflow("runs", "retry-now", sleeping)
    assert (said.code, f"run {sleeping} sleeps in step 'nap'" in said.err) == (1, True)
    assert "sleeps in step 'nap'" in qflow("runs", "skip-sleep", sleeping, "other").err
    said = qflow("runs", "skip-sleep", sleeping, "nap")
    assert said.out == f"run {sleeping} goes on with step 'nap'\n"
    assert "does not wait for a time: it is queued" in qflow("runs", "skip-sleep", sleeping).err
    scene.claim()
    failing = scene.start("pay")
    scene.claim().open("charge").again(60_000)
    assert "waits for the next attempt of step" in qflow("runs", "skip-sleep", failing).err
    assert qflow("runs", "retry-now", failing).code == 0


def test_discard(scene: Scene, qflow: Command) -> None:
    failed = scene.start("pay")
    scene.claim().fail()
    assert qflow("runs", "discard", failed).out == f"run {failed} is gone\n"
    assert qflow("runs", "list", "--json").json == []
    queued = scene.start("pay")
    said = qflow("runs", "discard", queued)
    assert (said.code, "has not ended: cancel it first" in said.err) == (1, True)


def test_pause_and_resume(scene: Scene, qflow: Command) -> None:
    assert qflow("functions", "pause", "pay").out == (
        "function pay is paused: new events are skipped\n"
    )
    assert qflow("functions", "pause", "pay").out.endswith(
        "paused already: new events are skipped\n"
    )
    assert qflow("functions", "show", "pay", "--json").json["paused"] == "skip"
    assert "pay (paused)" in qflow("functions", "list").out
    assert "new events are skipped" in qflow("functions", "show", "pay").out
    assert qflow("functions", "pause", "pay", "--hold").out.endswith("new events wait\n")
    scene.start("pay")
    assert qflow("functions", "resume", "pay").out == "function pay goes on; 1 runs had waited\n"
    said = qflow("functions", "resume", "pay")
    assert (said.code, "is not paused" in said.err) == (1, True)
    assert "did you mean 'pay'" in qflow("functions", "pause", "pai").err
    assert "did you mean 'pay'" in qflow("functions", "resume", "pai").err
