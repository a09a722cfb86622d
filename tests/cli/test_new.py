"""`qflow new`: asks, shows, writes whole or not at all, keeps versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.conftest import Command

WORDS = "Create a workflow that syncs our Salesforce contacts every hour."
ID = "sync-salesforce-contacts"
CODE = Path("workers/sync_salesforce_contacts.py")


def everything() -> list[str]:
    """Return every file below the current folder."""
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_json_prints_and_writes_nothing(qflow: Command) -> None:
    made = qflow("new", WORDS, "--json").json
    assert list(made) == ["id", "triggers", "steps", "secrets", "questions", "path", "code"]
    assert made["id"] == ID
    assert made["triggers"] == [{"cron": "0 * * * *", "tz": "UTC"}]
    assert made["steps"] == [{"id": "copy-contacts", "kind": "run"}]
    assert made["secrets"] == ["SALESFORCE_URL", "SALESFORCE_TOKEN", "DATABASE_URL"]
    assert made["path"] == str(CODE)
    compile(made["code"], made["path"], "exec")
    assert everything() == []


def test_json_of_an_event(qflow: Command) -> None:
    made = qflow(
        "new", "When an order is paid and event.data.amount > 100, tell #vip", "--json"
    ).json
    assert made["triggers"] == [{"event": "order/paid", "when": "event.data.amount > 100"}]
    assert made["questions"] == ["What should the message say?"]


def test_yes_writes_the_module_its_test_and_the_app(qflow: Command) -> None:
    said = qflow("new", WORDS, "--yes")
    assert said.code == 0
    assert "understood: every hour" in said.out
    assert "set SALESFORCE_TOKEN: an access token that may read contacts" in said.out
    assert everything() == [
        f".qflow/workflows/{ID}.json",
        "tests/test_sync_salesforce_contacts.py",
        "workers/client.py",
        str(CODE),
    ]


def test_questions_are_asked_and_a_wrong_answer_is_asked_again(qflow: Command) -> None:
    words = "Every day at 9 run check-queue"
    said = qflow("new", words, stdin=b"Atlantis\nTokyo\ny\n")
    assert "'Atlantis' is no time zone" in said.out
    assert 'tz="Asia/Tokyo"' in Path("workers/start_check_queue.py").read_text()


def test_a_person_who_says_no_gets_nothing(qflow: Command) -> None:
    said = qflow("new", "Every hour run check-queue", stdin=b"n\n")
    assert (said.code, everything()) == (1, [])
    assert "+@app.function" in said.out
    assert "nothing was written" in said.out


def test_open_questions_make_a_draft_that_no_worker_sees(qflow: Command) -> None:
    said = qflow("new", "Run this every weekday at 8 AM in New York", "--yes")
    assert said.code == 1
    assert "nothing is active: these questions are open\n  What should it do?" in said.out
    assert everything() == [".qflow/workflows/do-the-work.json"]
    done = qflow("new", "--change", "do-the-work", "post to #ops saying 'Hi'", "--yes")
    assert done.code == 0
    assert 'tz="America/New_York"' in Path("workers/do_the_work.py").read_text()


@pytest.mark.parametrize("words", ["", "delete all files", "every day at 25:00 run x-y"])
def test_refused_words_write_nothing(qflow: Command, words: str) -> None:
    said = qflow("new", words, "--yes")
    assert said.code == 2
    assert said.err.startswith("error: nothing was written: ")
    assert everything() == []


def test_versions_go_forward_and_back(qflow: Command) -> None:
    qflow("new", WORDS, "--yes")
    first = CODE.read_text()
    said = qflow("new", "--change", ID, "also post to #ops when it fails", "--yes")
    assert "+    on_failure=after_sync_salesforce_contacts," in said.out
    assert "--- workers/sync_salesforce_contacts.py" in said.out
    assert qflow("new", "--rollback", ID, "--yes").code == 0
    assert CODE.read_text() == first
    kept = json.loads(Path(f".qflow/workflows/{ID}.json").read_text())["versions"]
    assert [(each["number"], each["state"], each["words"]) for each in kept] == [
        (1, "active", WORDS),
        (2, "active", "also post to #ops when it fails"),
        (3, "active", "back to version 1"),
    ]
    assert {each["provider"] for each in kept} == {"offline"}
    assert "back to version 1" in qflow("new", "--versions", ID).out
    assert "has no version 9" in qflow("new", "--rollback", ID, "--to", "9").err


def test_what_a_person_wrote_is_not_overwritten(qflow: Command) -> None:
    qflow("new", WORDS, "--yes")
    again = qflow("new", WORDS, "--yes")
    assert again.code == 2
    assert "is there already: change it with --change" in again.err
    CODE.write_text(CODE.read_text() + "\n# mine\n")
    changed = qflow("new", "--change", ID, "retry 2 times", "--yes")
    assert changed.code == 2
    assert "was edited by hand" in changed.err
    assert CODE.read_text().endswith("# mine\n")


def test_an_unknown_workflow_is_named(qflow: Command) -> None:
    said = qflow("new", "--change", "no-such", "retry 2 times")
    assert "no workflow 'no-such' was written in words here" in said.err


def test_an_app_that_is_there_is_used(qflow: Command) -> None:
    Path("workers").mkdir()
    Path("workers/shop.py").write_text('from qflow import App\n\napp = App("shop")\n')
    qflow("new", WORDS, "--yes")
    assert "from .shop import app" in CODE.read_text()
    assert not Path("workers/client.py").exists()
