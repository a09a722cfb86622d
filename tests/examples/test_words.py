"""The sentences of the issue: their code runs against the local services that the examples run against."""

from __future__ import annotations

import importlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from copies import expected, rows
from local_services.mail import MailServer
from local_services.salesforce import Salesforce
from local_services.slack import Slack
from local_services.zendesk import Zendesk
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from qflow.authoring import draft
from qflow.authoring.planner import answers, plan
from qflow.authoring.render import render
from qflow.authoring.spec import WorkflowSpec
from qflow.testing import Harness


class Written:
    """A folder of functions that were written from words, imported as a worker imports it."""

    def __init__(self, folder: Path) -> None:
        self.name = f"written_{abs(hash(str(folder)))}"
        self.folder = folder / self.name
        self.folder.mkdir()
        (self.folder / "client.py").write_text(draft.client("acme"))

    def write(self, words: str, **given: str) -> tuple[WorkflowSpec, Any]:
        """Write a workflow, its questions answered as given or by what holds; return its module."""
        spec = plan(words)
        while spec.questions:
            question = spec.questions[0]
            spec = answers.answer(spec, question, given.get(question.id, ""))
        (self.folder / f"{spec.module}.py").write_text(render(spec, "client"))
        return spec, importlib.import_module(f"{self.name}.{spec.module}")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """A folder for workflows, on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Written(tmp_path)
    yield made
    for name in [name for name in sys.modules if name.partition(".")[0] == made.name]:
        del sys.modules[name]


def test_salesforce_contacts_are_synced_every_hour(
    written: Written, salesforce: Salesforce, database: str
) -> None:
    words = "Create a workflow that syncs our Salesforce contacts every hour."
    spec, module = written.write(words)
    with Harness(module.app) as world:
        salesforce.fail(1, 503)
        runs = [world.start(spec.id) for _ in "12"]
        for run in runs:
            world.finish(run)
            assert run.result() == 25
    copied = rows(database)
    assert copied == expected(25)


def test_a_summary_of_open_tickets_is_posted_at_nine(
    written: Written, zendesk: Zendesk, slack: Slack
) -> None:
    words = "Set up a daily job that sends a Slack summary of open tickets at 9 AM."
    spec, module = written.write(words, source="zendesk", zone="Berlin")
    for days in range(7):
        zendesk.add(f"Ticket <{days}>", "high", days)
    zendesk.add("Done", "high", 3, "solved")
    with Harness(module.app) as world:
        world.advance("1d")
        [run] = world.runs
        world.finish(run)
        assert run.result() == 7
    assert [trigger.shown() for trigger in spec.triggers] == [
        {"cron": "0 9 * * *", "tz": "Europe/Berlin"}
    ]
    (message,) = slack.messages
    assert message["text"].startswith("7 open tickets\n• Ticket &lt;0&gt;\n")


def test_a_user_who_is_added_to_the_database_is_welcomed(
    written: Written, mail: MailServer, tmp_path: Path
) -> None:
    words = "Add a workflow that sends a welcome email when a new user is added to the database."
    _, module = written.write(words)

    class Base(DeclarativeBase):
        """The service's own classes."""

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str]
        name: Mapped[str]

    module.announce_users(User)
    engine = create_engine(f"sqlite:///{tmp_path}/users.db")
    Base.metadata.create_all(engine)
    with Harness(module.app) as world:
        with Session(engine) as session:
            session.add(User(email="gone@example.com", name="Gone"))
            session.flush()
            session.rollback()
            session.add(User(email="jane@example.com", name="Jane"))
            session.commit()
        world.settle()
        assert [run.status for run in world.runs] == ["completed"]
    engine.dispose()
    (message,) = mail.messages
    assert (message["To"], message["Subject"]) == ("jane@example.com", "Welcome")
    assert message.get_content().startswith("Hello Jane,")


def test_every_weekday_at_eight_in_a_city(written: Written, slack: Slack) -> None:
    words = "Run this every weekday at 8 AM New York time"
    spec = plan(words)
    (question,) = spec.questions
    spec = answers.answer(spec, question, "post to #sales saying 'Good morning'")
    assert not [each for each in spec.questions if each.needed]
    (written.folder / f"{spec.module}.py").write_text(render(spec, "client"))
    module = importlib.import_module(f"{written.name}.{spec.module}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLACK_SALES_WEBHOOK_URL", slack.webhook)
        with Harness(module.app) as world:
            world.advance("7d")
            assert [run.status for run in world.runs] == ["completed"] * 5
            hours = {run.created.astimezone(_new_york()).hour for run in world.runs}
    assert hours == {8}
    assert [message["text"] for message in slack.messages] == ["Good morning"] * 5


def test_an_order_that_is_refunded_gets_no_mail(written: Written, mail: MailServer) -> None:
    words = "When an order is paid, wait three days unless it is refunded, then send a mail to the customer"
    _, module = written.write(words)
    with Harness(module.app) as world:
        [kept] = world.send("order/paid", {"order_id": 1, "email": "jane@example.com"})
        [back] = world.send("order/paid", {"order_id": 2, "email": "joe@example.com"})
        world.advance("1d")
        world.send("order/refunded", {"order_id": 2})
        world.advance("3d")
        assert (kept.status, back.status) == ("completed", "completed")
    assert [message["To"] for message in mail.messages] == ["jane@example.com"]


def test_rows_are_read_and_written(written: Written, database: str) -> None:
    path = database.removeprefix("sqlite:///")
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE payments (id TEXT PRIMARY KEY, amount REAL)")
    connection.commit()
    _, module = written.write(
        "When we receive a webhook from Stripe, write the event to the payments table"
    )
    with Harness(module.app) as world:
        for amount in (7, 8):
            world.send("stripe/received", {"id": "p1", "amount": amount, "unknown": True})
        assert [run.status for run in world.runs] == ["completed"] * 2
    assert connection.execute("SELECT id, amount FROM payments").fetchall() == [("p1", 8.0)]
    connection.close()


def _new_york() -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo("America/New_York")
