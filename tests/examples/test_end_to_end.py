"""The examples on real processes, as `qflow router`, `scheduler` and `worker`, with real kills."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from acme import ROOT, Acme
from copies import empty, expected, rows

import qflow
from qflow.dev.redis_process import free_port
from qflow.testing.leaks import leaks


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    """One company for all tests: its services are reset for each."""
    with Acme(tmp_path_factory.mktemp("acme")) as made:
        yield made
        assert not leaks(made.redis, made.keys)


@pytest.fixture
def acme(company: Acme) -> Acme:
    """The company, with nothing happened yet."""
    for service in (company.salesforce, company.zendesk, company.slack, company.exchange):
        service.reset()
    company.mail.messages.clear()
    empty(company.database)
    return company


@pytest.fixture(scope="module")
def users(company: Acme) -> Iterator[httpx.Client]:
    """A client of the example web service, which uvicorn serves."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "examples.signup.app:app", "--port", str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT, env=company.processes.env, stderr=subprocess.DEVNULL
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        try:
            company.processes.wait_for(lambda: _answers(client), 20, "uvicorn")
            yield client
        finally:
            server.terminate()
            server.wait()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/users").status_code == httpx.codes.METHOD_NOT_ALLOWED
    except httpx.TransportError:
        return False


def outcomes(story: dict[str, Any]) -> dict[str, list[str]]:
    """Return how each attempt of each step ended."""
    return {step["id"]: [a["outcome"] for a in step["attempts"]] for step in story["steps"]}


def test_the_worker_publishes_what_starts_each_function(acme: Acme) -> None:
    listed = acme.processes.run("functions", "list", "--json")
    found = {function["id"]: function["triggers"] for function in json.loads(listed.stdout)}
    assert set(found) == {
        *("sync-contacts", "daily-ticket-summary", "send-welcome-email", "fetch-rates")
    }
    assert found["send-welcome-email"] == [{"event": "user/created"}]
    assert [trigger.get("cron") for trigger in found["sync-contacts"]] == ["0 * * * *"]
    (nine,) = found["daily-ticket-summary"]
    assert (nine["cron"], nine["tz"]) == ("0 9 * * *", "Europe/Berlin")


def test_syncing_twice_doubles_nothing(acme: Acme) -> None:
    first = acme.run("sync-contacts")
    assert (first["status"], first["output"]) == ("completed", 25)
    assert rows(acme.database) == expected(25)
    assert acme.run("sync-contacts")["output"] == 25
    assert rows(acme.database) == expected(25)
    assert acme.salesforce.offsets == [0, 10, 20] * 2


def test_a_busy_service_is_asked_again_when_it_says(acme: Acme) -> None:
    acme.salesforce.fail(1, 503, Retry_After="1")
    acme.salesforce.fail(1, 429, Retry_After="0")
    story = acme.run("sync-contacts")
    assert outcomes(story) == {
        "copy-page-1": ["retry", "retry", "ok"],
        "copy-page-2": ["ok"],
        "copy-page-3": ["ok"],
    }
    failed, again, _ = story["steps"][0]["attempts"]
    assert 990 <= again["started"] - failed["ended"] < 3000
    assert story["output"] == 25


def test_a_refused_token_fails_the_run_at_once(acme: Acme) -> None:
    acme.salesforce.fail(1, 401, [{"errorCode": "INVALID_SESSION_ID", "message": "expired"}])
    ended = acme.processes.run("run", "sync-contacts")
    assert ended.returncode == 1
    assert "put a valid token into SALESFORCE_TOKEN" in ended.stderr
    assert len(acme.salesforce.requests) == 1


def test_a_worker_killed_while_it_fetches_a_page(acme: Acme) -> None:
    acme.salesforce.hold(10)
    run = acme.start("sync-contacts")
    assert acme.salesforce.reached.wait(10)
    acme.worker.kill()
    assert acme.worker.exit_code == -signal.SIGKILL
    assert rows(acme.database) == expected(10)
    acme.salesforce.release()
    acme.new_worker()
    story = acme.finish(run)
    assert (story["status"], story["output"]) == ("completed", 25)
    assert outcomes(story)["copy-page-1"] == ["ok"]
    assert outcomes(story)["copy-page-2"] == ["died", "ok"]
    assert acme.salesforce.offsets == [0, 10, 10, 20]
    assert rows(acme.database) == expected(25)


def test_a_worker_killed_after_it_saved_a_page(acme: Acme) -> None:
    acme.worker.term()
    doomed = acme.new_worker({"QFLOW_CRASH_AT": "step.after#2"})
    run = acme.start("sync-contacts")
    assert doomed.wait() == -signal.SIGKILL
    assert rows(acme.database) == expected(20)
    acme.new_worker()
    story = acme.finish(run)
    assert (story["status"], story["output"]) == ("completed", 25)
    assert acme.salesforce.offsets == [0, 10, 10, 20]
    assert rows(acme.database) == expected(25)


def test_the_ticket_summary_is_posted_once(acme: Acme) -> None:
    for days in range(7):
        acme.zendesk.add(f"Ticket {days}", "high", days)
    acme.slack.fail(1, 500, "rollup_error")
    story = acme.run("daily-ticket-summary")
    assert story["output"] == 7
    assert outcomes(story)["post-summary"] == ["retry", "ok"]
    (message,) = acme.slack.messages
    assert message["text"] == "7 open tickets"
    assert f"{acme.zendesk.url}/agent/tickets/1006|#1006> Ticket 6 (6 days)" in str(message)


def test_the_rates_fall_back_to_the_cache(acme: Acme) -> None:
    live = acme.run("fetch-rates")["output"]
    assert live == {
        "source": "live",
        "base": "EUR",
        "date": "2024-11-25",
        "rates": {"USD": "1.0495", "CHF": "0.9321"},
    }
    acme.exchange.stop()
    try:
        story = acme.run("fetch-rates")
        unknown = acme.run("fetch-rates", '{"base": "USD"}')
    finally:
        acme.exchange.start()
    assert story["output"] == {**live, "source": "cache"}
    assert outcomes(story) == {"fetch-live": ["retry", "retry", "failed"], "read-cache": ["ok"]}
    assert unknown["status"] == "failed"
    assert "no rates of USD are cached" in unknown["error"]["message"]


def test_a_wrong_question_is_not_answered_from_the_cache(acme: Acme) -> None:
    acme.run("fetch-rates")
    acme.exchange.fail(1, 404, {"message": "not found"})
    story = acme.run("fetch-rates")
    assert story["status"] == "failed"
    assert outcomes(story) == {"fetch-live": ["failed"]}


def test_a_new_user_is_welcomed_once(acme: Acme, users: httpx.Client) -> None:
    jane = {"email": "jane@example.com", "name": "Jane"}
    answers = [users.post("/users", json=jane, headers={"Idempotency-Key": "k1"}) for _ in "12"]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json() for answer in answers] == [{"id": "k1"}] * 2
    joe = users.post("/users", json={**jane, "email": "joe@example.com"})
    assert joe.status_code == httpx.codes.ACCEPTED
    last = acme.processes.wait_for(lambda: _run_of(acme, joe.json()["id"]), 10, "Joe's run")
    for run in {acme.first_run_of("send-welcome-email"), last}:
        assert acme.finish(run)["status"] == "completed"
    assert len(acme.runs_of("send-welcome-email")) == 2
    welcomed = sorted(message["To"] for message in acme.mail.messages)
    assert welcomed == ["Jane <jane@example.com>", "Jane <joe@example.com>"]


def _run_of(acme: Acme, event: str) -> str:
    """Return the run of the welcome mail that an event started, "" where there is none yet."""
    for run in acme.runs_of("send-welcome-email"):
        if acme.redis.call("HGET", acme.keys.run(run), "event_id") == event.encode():
            return run
    return ""


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", '{"email": "jane@example.com"}', '{"email": "jane", "name": "Jane"}']
    + ['{"email": "a@b", "name": ""}', '{"email": ["a@b"], "name": "x"}', b'\xff{"email": 1}'],
)
def test_a_user_who_is_none_announces_nothing(
    acme: Acme, users: httpx.Client, body: str | bytes
) -> None:
    before = acme.redis.call("XLEN", acme.keys.events)
    answer = users.post("/users", content=body)
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert answer.json()["errors"][0]["msg"]
    assert acme.redis.call("XLEN", acme.keys.events) == before


def test_an_event_from_anywhere_in_python_starts_the_mail(acme: Acme) -> None:
    app = qflow.App("billing", redis_url=acme.redis_server.url)
    event = app.send(qflow.Event("user/created", data={"email": "ann@example.com", "name": "Ann"}))
    run = acme.processes.wait_for(lambda: _run_of(acme, event), 10, "Ann's run")
    assert acme.finish(run)["status"] == "completed"
    assert [message["To"] for message in acme.mail.messages] == ["Ann <ann@example.com>"]
