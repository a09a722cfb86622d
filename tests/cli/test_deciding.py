"""`qflow signal` and `qflow approvals`."""

from __future__ import annotations

import json

from cli.conftest import Command
from read.scenes import Scene, waiting

from qflow.core.ids import step_hash
from qflow.core.waits import approval_signal


def asked(scene: Scene, title: str = "Buy a boat?") -> str:
    run = scene.start("pay")
    scene.claim().fork(
        ask=waiting(
            "approval",
            "ask",
            title,
            signal=approval_signal(run, step_hash("ask")),
            approval={"title": title, "assignee": "jane"},
            refused="{}",
        )
    )
    return run


def result(scene: Scene, run: str, step: str) -> object:
    return json.loads(scene.redis.call("HGET", scene.keys.steps(run), step))["ok"]


def test_approvals(scene: Scene, qflow: Command) -> None:
    assert qflow("approvals", "list").out == "nothing waits for an approval\n"
    first, second = asked(scene), asked(scene, "Sell it?")
    listed = qflow("approvals", "list", "--json").json
    assert [each["title"] for each in listed] == ["Buy a boat?", "Sell it?"]
    assert (listed[0]["step"], listed[0]["assignee"]) == ("ask", "jane")
    assert "Sell it?" in qflow("approvals", "list").out
    said = qflow("approvals", "approve", first[-8:], "--by", "joe", "--note", "cheap")
    assert said == (0, f"approved 'Buy a boat?' of run {first}\n", "")
    decided = result(scene, first, "ask")
    assert isinstance(decided, dict)
    assert decided.pop("at") > 0
    assert decided == {"approved": True, "by": "joe", "note": "cheap"}
    assert qflow("approvals", "reject", second).code == 0
    again = qflow("approvals", "reject", second)
    assert again.code == 1
    assert "no approval" in again.err
    assert qflow("approvals", "list", "--json").json == []


def test_signal(scene: Scene, qflow: Command) -> None:
    said = qflow("signal", "door")
    assert (said.code, said.err) == (1, "nobody waits for signal 'door'\n")
    run = scene.start("pay")
    scene.claim().fork(said=waiting("signal", "said", "door", signal="door", refused="{}"))
    assert qflow("signal", "door", "--data", "[1, 2]").out == "delivered\n"
    assert result(scene, run, "said") == [1, 2]
    assert qflow("signal", "door", "--json").json == {"delivered": False}
    assert qflow("signal", "", "--data", "1").code == 2
    assert qflow("signal", "door", "--data", "{x}").code == 2


def test_show_draws_open_steps(scene: Scene, qflow: Command) -> None:
    run = asked(scene)
    out = qflow("runs", "show", run).out
    assert "ask  approval Buy a boat?" in out
    (step,) = qflow("runs", "show", run, "--json").json["steps"]
    assert (step["kind"], step["status"], step["wants"]) == ("approval", "waiting", "Buy a boat?")
