"""`qflow runs cancel`: named runs, filters, and clear answers."""

from __future__ import annotations

import pytest
from cli.conftest import Command
from read.scenes import Scene


def test_one_run(scene: Scene, qflow: Command) -> None:
    run = scene.start("pay")
    said = qflow("runs", "cancel", run)
    assert (said.code, said.out) == (0, f"run {run} is cancelled\n")
    again = qflow("runs", "cancel", run)
    assert (again.code, again.out) == (1, f"run {run} had ended before: it is cancelled\n")
    shown = qflow("runs", "show", run, "--json").json
    assert (shown["status"], shown["reason"]) == ("cancelled", "by hand")
    assert "cancelled  by hand" in qflow("runs", "show", run).out


def test_several_of_which_one_has_ended(scene: Scene, qflow: Command) -> None:
    done = scene.start("pay")
    scene.claim().complete()
    run = scene.start("pay")
    said = qflow("runs", "cancel", run, done, "--json")
    assert said.code == 1
    assert said.json == {"cancelled": [run], "ended_before": {done: "completed"}}


def test_one_that_is_not_there_changes_nothing(scene: Scene, qflow: Command) -> None:
    run = scene.start("pay")
    said = qflow("runs", "cancel", run, "0" * 26)
    assert (said.code, "no run" in said.err) == (1, True)
    assert qflow("runs", "show", run, "--json").json["status"] == "queued"


def test_a_filter(scene: Scene, qflow: Command) -> None:
    waiting = scene.start("pay")
    scene.claim().sleep("nap", 60_000)
    queued, other = scene.start("pay"), scene.start("ship")
    said = qflow("runs", "cancel", "--function", "pay", "--status", "waiting", "--yes")
    assert (said.code, said.out) == (0, "1 runs cancelled\n")
    statuses = {row["id"]: row["status"] for row in qflow("runs", "list", "--json").json}
    assert statuses == {waiting: "cancelled", queued: "queued", other: "queued"}
    assert qflow("runs", "cancel", "--before", "1h", "--yes").out == "no unfinished run matches\n"
    said = qflow("runs", "cancel", "--after", "1h", "--yes", "--json")
    assert sorted(said.json["cancelled"]) == sorted([queued, other])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name runs, or give --function"),
        (("X", "--function", "pay"), "name runs, or give --function"),
        (("--status", "done", "--yes"), "'done' is none of queued, running, waiting"),
        (("--after", "yesterday"), "'yesterday' is no time"),
        (("--function", "pai", "--yes"), "did you mean 'pay'"),
        (("--function", "pay"), "Cancel 1 runs? Nobody is there to answer: add --yes"),
    ],
)
def test_what_cannot_be(
    scene: Scene, qflow: Command, arguments: tuple[str, ...], words: str
) -> None:
    run = scene.start("pay")
    said = qflow("runs", "cancel", *arguments)
    assert (said.code in (1, 2), words in said.err) == (True, True), said
    assert qflow("runs", "show", run, "--json").json["status"] == "queued"
