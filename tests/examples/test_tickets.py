"""The ticket summary: every open ticket once, in a message that Slack takes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from local_services.slack import Slack
from local_services.zendesk import Zendesk

from qflow import NonRetriableError
from workers.tickets import Ticket, daily_ticket_summary, fetch_page, post_summary, summary

NOW = datetime(2024, 11, 25, 8, tzinfo=UTC)
BASE = "https://acme.zendesk.com/agent/tickets"


def ticket(number: int, subject: str | None, days: float, priority: str | None = None) -> Ticket:
    """Return a ticket that is `days` old at NOW."""
    created = NOW - timedelta(days=days)
    return Ticket(id=number, subject=subject, priority=priority, created_at=created)


def fetch_all() -> list[Ticket]:
    """Fetch every page, as the function's steps do."""
    page = asyncio.run(fetch_page(None))
    found = page.results
    while page.meta.has_more:
        page = asyncio.run(fetch_page(page.meta.after_cursor))
        found += page.results
    return found


def test_open_tickets_are_read_page_by_page(zendesk: Zendesk) -> None:
    wanted = [zendesk.add(f"Ticket {n}", "normal", n) for n in range(7)]
    zendesk.add("Done", "high", 3, "solved")
    assert [found.id for found in fetch_all()] == wanted
    assert len(zendesk.requests) == 3


def test_the_message_says_how_many_and_which_wait_longest() -> None:
    found = [ticket(n, f"Nr {n}", n, "high") for n in range(6)]
    message = summary([*found, ticket(9, "a <b> & c", 1.5), ticket(10, None, 9)], NOW, BASE)
    assert message["text"] == "8 open tickets"
    header, counts, oldest = (block["text"]["text"] for block in message["blocks"])
    assert header == "8 open tickets"
    assert counts == "*6* high · *2* normal"
    lines = oldest.splitlines()
    assert lines[1] == f"• <{BASE}/10|#10> (no subject) (9 days)"
    assert len(lines) == 6
    (line,) = summary([ticket(9, "a <b>\n& c", 1.5)], NOW, BASE)["blocks"][2]["text"][
        "text"
    ].splitlines()[1:]
    assert line == f"• <{BASE}/9|#9> a &lt;b&gt; &amp; c (1 day)"


@pytest.mark.parametrize("count", [0, 1, 300])
def test_slack_takes_the_message(zendesk: Zendesk, slack: Slack, count: int) -> None:
    found = [ticket(n, "&" * 500, n % 40, "urgent") for n in range(count)]
    asyncio.run(post_summary(found, NOW))
    (message,) = slack.messages
    assert message["text"] == {0: "No open tickets", 1: "1 open ticket"}.get(
        count, "300 open tickets"
    )


def test_a_webhook_that_is_gone_is_not_tried_again(
    zendesk: Zendesk, slack: Slack, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SLACK_WEBHOOK_URL", f"{slack.url}/services/T0/B0/secret")
    with pytest.raises(NonRetriableError, match="no_service; see SLACK_WEBHOOK_URL") as caught:
        asyncio.run(post_summary([], NOW))
    assert "secret" not in str(caught.value)


def test_it_is_nine_in_berlin() -> None:
    (cron,) = daily_ticket_summary.crons
    assert (cron.expression, cron.tz) == ("0 9 * * *", "Europe/Berlin")
