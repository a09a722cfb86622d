"""What the listing and showing commands print, for people and for programs."""

from __future__ import annotations

import json
import re

from cli.conftest import Command
from read.scenes import Scene

from qflow.core.ids import job_id

STATES = ["queued", "running", "waiting", "completed", "failed", "cancelled", "skipped"]


def narrow(text: str) -> bool:
    return all(len(line) <= 100 for line in text.splitlines())


def test_runs_list(scene: Scene, qflow: Command) -> None:
    failed = scene.start("pay")
    scene.claim().fail()
    scene.start("ship")
    rows = qflow("runs", "list", "--json").json
    assert {row["status"] for row in rows} == {"queued", "failed"}
    assert [row["id"] for row in rows if row["status"] == "failed"] == [failed]
    assert set(rows[0]) == {
        "id", "function", "status", "created", "started", "ended", "duration_ms", "error",
    }  # fmt: skip
    said = qflow("runs", "list")
    assert re.search(rf"{failed} +pay +failed +\ds ago +\d+ms +ValueError: no such thing", said.out)
    assert narrow(said.out)
    assert [row["id"] for row in qflow("runs", "list", "--status", "failed", "--json").json] == [
        failed
    ]
    scene.claim().complete()


def test_runs_list_in_pages(scene: Scene, qflow: Command) -> None:
    for _ in range(3):
        scene.start("pay")
    said = qflow("runs", "list", "--limit", "2")
    more = re.search(r"more: add (--cursor \w+)", said.out)
    assert more is not None
    rest = qflow("runs", "list", *more[1].split(), "--json").json
    assert len(rest) == 1
    assert rest[0]["id"] not in said.out


def test_listings_of_nothing(scene: Scene, qflow: Command) -> None:
    assert qflow("runs", "list").out == "no runs\n"
    assert qflow("runs", "list", "--json").json == []
    assert qflow("runs", "list", "--function", "pay", "--json").json == []
    said = qflow("runs", "list", "--function", "pai")
    assert (said.code, "did you mean 'pay'" in said.err) == (1, True)
    assert qflow("events", "list", "--json").json == []
    assert qflow("events", "rejected").out == "none\n"


def test_runs_show(scene: Scene, qflow: Command) -> None:
    run = scene.start("pay")
    scene.claim().open("reserve").store({"seats": 2}).open("charge").again(1)
    scene.due()
    scene.claim().store_error().fail()
    told = qflow("runs", "show", run, "--json").json
    assert (told["id"], told["status"], told["error"]["name"]) == (run, "failed", "ValueError")
    reserve, charge = told["steps"]
    assert (reserve["id"], reserve["status"], reserve["output"]) == (
        "reserve",
        "completed",
        {"seats": 2},
    )
    assert [a["outcome"] for a in charge["attempts"]] == ["retry", "failed"]
    assert charge["attempts"][0]["error"]["message"] == "no such thing"
    out = qflow("runs", "show", run[-7:].lower()).out
    assert re.search(r'✓ reserve  5ms  {"seats": 2}', out)
    assert re.search(r"✗ charge  failed", out)
    assert re.search(r"attempt 0  retry  3ms .* ValueError: no such thing", out)
    assert re.search(r"attempt 1  failed", out)
    assert narrow(out)


def test_runs_show_of_what_goes_on(scene: Scene, qflow: Command) -> None:
    scene.start("pay")
    hand = scene.claim().open("charge")
    assert re.search(r"▸ charge  running for \d+ms", qflow("runs", "show", hand.run).out)
    hand.store(1).sleep("nap", 60_000)
    assert re.search(r"☾ nap  sleeping until \d{4}-", qflow("runs", "show", hand.run).out)
    scene.due()
    scene.claim().store(step="nap").complete({"ok": True})
    out = qflow("runs", "show", hand.run).out
    assert "✓ nap" in out
    assert 'output  {"ok": true}' in out


def test_runs_show_of_an_unknown_run(scene: Scene, qflow: Command) -> None:
    run = scene.start("pay")
    said = qflow("runs", "show", run[:-1] + "I")
    assert (said.code, said.out) == (1, "")
    assert f"did you mean {run}?" in said.err


def test_nothing_that_users_wrote_reaches_the_terminal_raw(scene: Scene, qflow: Command) -> None:
    scene.start("pay")
    hand = scene.claim().open("\x1b[31mred\x07[bold]").store("\x1b]0;title\x07")
    hand.complete("\x1b[2J")
    for arguments in (("runs", "show", hand.run), ("runs", "tail", hand.run)):
        out = qflow(*arguments).out
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "red" in out


def test_runs_tail_of_one_run(scene: Scene, qflow: Command) -> None:
    run = scene.start("pay")
    scene.claim().open("charge").again(1)
    scene.due()
    scene.claim().store(7).sleep("nap", 1)
    scene.due()
    scene.claim().store(step="nap").open("ship").store_error().fail()
    out = qflow("runs", "tail", run).out
    words = [
        "taken by w1", "retry +step charge, attempt 0: ValueError: no such thing; again at",
        "taken by w1", "ok +step charge in 5ms", "sleeping +step nap until", "taken by w1",
        "ok +step nap is over", "failed +step ship, attempt 0, for good: ValueError", "failed",
    ]  # fmt: skip
    lines = out.splitlines()
    assert len(lines) == len(words)
    for line, word in zip(lines, words, strict=True):
        assert re.search(word, line), line
    kinds = [
        json.loads(line)["t"] for line in qflow("runs", "tail", run, "--json").out.splitlines()
    ]
    assert kinds == ["claim", "retry", "claim", "step", "sleep", "claim", "step", "step", "end"]


def test_functions(scene: Scene, qflow: Command) -> None:
    scene.start("pay")
    scene.claim().complete()
    shown = qflow("functions", "show", "pay", "--json").json
    assert list(shown["runs"]) == STATES
    assert (shown["id"], shown["runs"]["completed"]) == ("pay", 1)
    listed = qflow("functions", "list", "--json").json
    assert [(item["id"], item["runs"]["completed"]) for item in listed] == [("pay", 1), ("ship", 0)]
    assert re.search(r"pay +order/paid +0 +0 +0 +1 +0", qflow("functions", "list").out)
    out = qflow("functions", "show", "pay").out
    assert re.search(r"triggers +order/paid", out)
    assert narrow(out)


def test_events(scene: Scene, qflow: Command) -> None:
    redis, keys = scene.redis, scene.keys
    ids = qflow("send", "user/created", "--data", '{"email": "jane@example.com"}').out.split()
    redis.call(
        "XADD",
        keys.rejected,
        "*",
        "name",
        "x",
        "data",
        "{",
        "entry",
        "1-1",
        "reason",
        "data is not JSON",
    )
    (row,) = qflow("events", "list", "--json").json
    assert (row["name"], row["id"], row["data"]) == (
        "user/created",
        ids[0],
        {"email": "jane@example.com"},
    )
    assert "jane@example.com" in qflow("events", "list").out
    assert qflow("events", "list", "--name", "user/x*", "--json").json == []
    (row,) = qflow("events", "rejected", "--json").json
    assert (row["reason"], row["of"]) == ("data is not JSON", "1-1")
    assert "data is not JSON" in qflow("events", "rejected").out


def test_doctor(scene: Scene, qflow: Command) -> None:
    said = qflow("doctor", "--json")
    report = said.json
    assert said.code == 0
    assert report["redis"]["url"].startswith("redis://127.0.0.1:")
    assert report["redis"]["version"].count(".") == 2
    levels = {finding["what"]: finding["level"] for finding in report["findings"]}
    assert (levels["version"], levels["workers"], levels["scheduler"]) == ("ok", "ok", "warn")
    out = qflow("doctor").out
    assert "✓ workers" in out
    assert "→ start `qflow scheduler`" in out


def test_doctor_with_a_bad_finding_exits_1(scene: Scene, qflow: Command) -> None:
    scene.start("pay")
    assert qflow("doctor").code == 1  # no scheduler ever ran, and a run may need it
    scene.claim().complete()
    assert qflow("doctor").code == 0


def test_doctor_audit(scene: Scene, qflow: Command) -> None:
    run = scene.start("pay")
    scene.redis.call("HSET", scene.keys.leader, "holder", "s", "token", 1, "until", 9 * 10**12)
    said = qflow("doctor", "--audit", "--json")
    assert (said.code, said.json["audit"]["findings"], said.json["audit"]["checked"]) == (0, [], 1)
    assert "1 unfinished run, none stuck" in qflow("doctor", "--audit").out
    scene.redis.call("LREM", scene.keys.queue, 0, job_id(run, "", 1))
    said = qflow("doctor", "--audit", "--json")
    assert said.code == 1
    (found,) = said.json["audit"]["findings"]
    assert (found["run"], found["function"]) == (run, "pay")
    assert f"{run} of pay waits for a job" in qflow("doctor", "--audit").out


def test_doctor_prints_no_password_but_in_a_url_that_the_user_set(
    scene: Scene, qflow: Command, monkeypatch: object
) -> None:
    scene.redis.call("ACL", "SETUSER", "ann", "on", ">s3cret", "~*", "&*", "+@all")
    try:
        url = f"redis://ann:s3cret@{scene.redis.target.shown.partition('//')[2]}"
        assert "s3cret" not in qflow("doctor", "--redis-url", url).out
        assert qflow("doctor", "--json", "--redis-url", url).json["redis"]["url"] == url
    finally:
        scene.redis.call("ACL", "DELUSER", "ann")


def test_a_run_is_shown_with_what_its_steps_said(scene: Scene, qflow: Command) -> None:
    log = json.dumps([[1, "print", "hello \x1b[2J"], [2, "warning", "careful"]])
    run = scene.start("pay")
    scene.claim().open("charge").store(1, log=log).complete("ok")
    said = qflow("runs", "show", run, "--logs").out
    assert re.search(r"print +charge +hello .*\[2J", said)
    assert "\x1b" not in said
    assert "hello" not in qflow("runs", "show", run).out
    loud = qflow("runs", "show", run, "--level", "warning").out
    assert ("careful" in loud, "hello" in loud) == (True, False)
    assert qflow("runs", "show", run, "--json").json["steps"][0]["attempts"][0]["log"] == (
        json.loads(log)
    )
    refused = qflow("runs", "show", run, "--level", "loud")
    assert refused.code == 2
    assert "is none of debug, info, warning, error" in refused.err
