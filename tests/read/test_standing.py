"""Why a run does not move, in words."""

from __future__ import annotations

from read.scenes import JOB, Scene

from qflow.read.around import Around, Limited
from qflow.read.standing import Standing, standing
from qflow.read.timeline import timeline
from qflow.read.topology import Leader

LED = Leader("s1", 1, 5_000)
ALONE = Leader("", 0, 0)


def said(scene: Scene, run: str, around: Around | None = None) -> Standing | None:
    at_work = Around(1, {"w1": 10_000}, LED)
    return standing(timeline(scene.redis, scene.keys, run), around or at_work)


def test_a_queued_run_needs_a_worker(scene: Scene) -> None:
    run = scene.start("pay")
    assert said(scene, run) == ("ok", "In the queue with one job, for one worker.", "")
    alone = said(scene, run, Around(3, {"w1": -1}, LED))
    assert alone == ("bad", "In the queue, and no worker is running.", "start `qflow worker`")


def test_a_running_run_says_what_runs_where(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge")
    told = said(scene, run)
    assert told is not None
    assert told.text.startswith("Running step 'charge' on w1 for ")
    silent = said(scene, run, Around(0, {"w1": -5_000}, LED))
    assert silent is not None
    assert (silent.level, "has gone silent" in silent.text) == ("warn", True)


def test_a_waiting_run_says_until_when(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().open("charge").again(90_000)
    told = said(scene, run)
    assert told is not None
    assert told.text.startswith("Step 'charge' failed once and waits to try again; goes on in 1m")
    asleep = scene.start("pay")
    scene.claim().sleep("nap", 3_900_000)
    told = said(scene, asleep)
    assert told is not None
    assert told.text.startswith("Sleeping in 'nap'; goes on in 1h")


def test_what_is_overdue_needs_a_scheduler(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    scene.redis.call("HSET", scene.keys.run(run), "due", scene.now_ms() - 20_000)
    told = said(scene, run, Around(0, {"w1": 1}, ALONE))
    assert told is not None
    assert told.level == "bad"
    assert "was due 20s ago" in told.text
    assert "start `qflow scheduler`" in told.remedy


def test_what_waits_for_a_slot_says_of_which_limit(scene: Scene) -> None:
    scene.redis.call("HSET", scene.keys.limits, "fn:pay:0", 1)
    first = scene.start("pay", flow="fn:pay:0=acme;")
    second = scene.start("pay", flow="fn:pay:0=acme;")
    assert said(scene, second) == ("ok", "Waits for a slot of fn:pay:0=acme.", "")
    scene.claim().fork(a=JOB, b=JOB)
    told = said(scene, first)
    assert told is not None
    assert told.text.endswith("waits for a slot of fn:pay:0=acme, beside 1 more open steps.")


def test_what_starts_later_says_when(scene: Scene) -> None:
    run = scene.start("pay", gates=[["debounce", "*", 90_000, 0, 1]])
    told = said(scene, run)
    assert told is not None
    assert told.text.startswith(
        "Not started yet: debounced, it starts once no newer event has come"
    )


def test_an_ended_run_stands_nowhere(scene: Scene) -> None:
    run = scene.start("pay")
    scene.claim().complete()
    assert said(scene, run) is None


def test_a_run_whose_workflow_nobody_has_says_so(scene: Scene) -> None:
    run = scene.start("pay")
    told = said(scene, run, Around(1, {"w1": 10_000}, LED, published=False))
    assert told is not None
    assert (told.level, told.text) == ("bad", "No worker here has its workflow any more.")


def test_a_run_behind_a_limit_says_which_and_its_place(scene: Scene) -> None:
    run = scene.start("pay")
    limited = Limited("fn:pay:0", "acme", 2, ("r1",), 2, 3, 9)
    told = said(scene, run, Around(0, {"w1": 1}, LED, limited=limited))
    assert told is not None
    assert told.text == (
        "Waiting for a slot of pay for acme: all its 2 slots are taken, it is number 3 of 9 that wait."
    )
