"""Every day at nine in Berlin: tell a Slack channel which support tickets are open.

ZENDESK_URL        the account's address, such as https://acme.zendesk.com
ZENDESK_TOKEN      an OAuth access token of an agent
SLACK_WEBHOOK_URL  an incoming webhook of the channel (a secret: it is never logged)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from pydantic import BaseModel

from qflow import Backoff, Cron, Event, Step

from .client import app
from .environment import required
from .rest import Service

ZENDESK: Final = Service("Zendesk", "ZENDESK_URL", "ZENDESK_TOKEN")
SLACK: Final = Service("Slack", "SLACK_WEBHOOK_URL")

_PAGE: Final = "100"
_PRIORITIES: Final = ("urgent", "high", "normal", "low")
_OLDEST: Final = 5
_LONGEST_SUBJECT: Final = 80  # Slack takes 3,000 characters in a block, and & is five


class Ticket(BaseModel):
    """What the summary needs of a ticket."""

    id: int
    subject: str | None
    priority: str | None
    created_at: datetime


class Cursor(BaseModel):
    """Where a page of tickets ends."""

    has_more: bool
    after_cursor: str | None


class TicketPage(BaseModel):
    """One page of a ticket search."""

    results: list[Ticket]
    meta: Cursor


@app.function(
    "daily-ticket-summary",
    name="Daily ticket summary",
    trigger=Cron("0 9 * * *", tz="Europe/Berlin"),
    backoff=Backoff(base="1s", max="5m"),
)
async def daily_ticket_summary(event: Event[dict[str, Any]], step: Step) -> int:
    """Post the summary and return how many tickets are open.

    The message is made of what earlier steps returned and of the event's own time, so it is the
    same in every attempt; posting is a step by itself, so nothing else can make it happen again.
    """
    tickets: dict[int, Ticket] = {}  # by id: a ticket may move to a later page while we read
    cursor: str | None = None
    for number in count(1):
        page = await step.run(f"fetch-page-{number}", fetch_page, cursor)
        tickets.update((ticket.id, ticket) for ticket in page.results)
        cursor = page.meta.after_cursor
        if not page.meta.has_more:
            break
    now = datetime.fromtimestamp(event.ts / 1000, UTC)
    await step.run("post-summary", post_summary, list(tickets.values()), now)
    return len(tickets)


async def fetch_page(cursor: str | None) -> TicketPage:
    """Fetch the open tickets after `cursor` (None: from the first)."""
    params = {"query": "status<solved", "filter[type]": "ticket", "page[size]": _PAGE}
    if cursor is not None:
        params["page[after]"] = cursor
    return await ZENDESK.get("/api/v2/search/export", TicketPage, params)


async def post_summary(tickets: Sequence[Ticket], now: datetime) -> None:
    """Post the summary of these tickets to the channel."""
    address = required(ZENDESK.address, "the https:// address of Zendesk").rstrip("/")
    await SLACK.post(summary(tickets, now, f"{address}/agent/tickets"))


def summary(tickets: Sequence[Ticket], now: datetime, base: str) -> dict[str, Any]:
    """Return the message about these tickets; each links to its page below the URL `base`."""
    title = f"{len(tickets) or 'No'} open {'ticket' if len(tickets) == 1 else 'tickets'}"
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": title}}]
    if tickets:
        counts = Counter(ticket.priority or "normal" for ticket in tickets)
        by_priority = [f"*{counts[name]}* {name}" for name in _PRIORITIES if counts[name]]
        blocks.append(_section(" · ".join(by_priority)))
        oldest = sorted(tickets, key=lambda ticket: ticket.created_at)[:_OLDEST]
        lines = "\n".join(_line(ticket, now, base) for ticket in oldest)
        blocks.append(_section(f"Waiting longest:\n{lines}"))
    return {"text": title, "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _line(ticket: Ticket, now: datetime, base: str) -> str:
    days = (now - ticket.created_at).days
    subject = " ".join((ticket.subject or "(no subject)").split())[:_LONGEST_SUBJECT]
    for char, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):  # Slack's whole list
        subject = subject.replace(char, escaped)
    age = f"{days} {'day' if days == 1 else 'days'}" if days > 0 else "today"
    return f"• <{base}/{ticket.id}|#{ticket.id}> {subject} ({age})"
