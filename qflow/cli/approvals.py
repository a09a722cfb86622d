"""`qflow approvals`: what waits for a person's decision."""

from __future__ import annotations

import getpass
import json
import os

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.config import Settings
from qflow.core.memo import value_text
from qflow.errors import UsageError
from qflow.read import approvals, runs


@click.group()
def command() -> None:
    """List, approve and reject what runs wait for a person to decide."""


@command.command("list")
@as_json
@with_settings(*CONNECTION)
def list_command(settings: Settings, as_json: bool) -> None:
    """List what waits, longest first."""
    redis, keys = connect(settings)
    found = approvals.pending(redis, keys)
    if as_json:
        display.print_json([each.as_dict() for each in found])
        return
    if not found:
        click.echo("nothing waits for an approval")
        return
    now_ms = runs.now_ms(redis)
    table = display.table("id", "title", "for", "function", "since", give_way="title")
    for each in found:
        table.add_row(
            each.id,
            display.cell(display.one_line(each.title, 60)),
            display.one_line(each.assignee, 30),
            display.one_line(each.function, 30),
            display.ago(each.since, now_ms),
        )
    display.console().print(table)


_id = click.argument("approval", metavar="ID")
_by = click.option("--by", default="", help="Who decides; default: the user of this shell.")
_note = click.option("--note", default="", help="Why; kept with the decision.")


@command.command("approve")
@_id
@_by
@_note
@with_settings(*CONNECTION)
def approve_command(settings: Settings, approval: str, by: str, note: str) -> None:
    """Approve ID (or the only one whose run's id begins with it or ends in it)."""
    _decide(settings, approval, by, note, approved=True)


@command.command("reject")
@_id
@_by
@_note
@with_settings(*CONNECTION)
def reject_command(settings: Settings, approval: str, by: str, note: str) -> None:
    """Reject ID (or the only one whose run's id begins with it or ends in it)."""
    _decide(settings, approval, by, note, approved=False)


def _decide(settings: Settings, wanted: str, by: str, note: str, *, approved: bool) -> None:
    from qflow.store import script, wait

    redis, keys = connect(settings)
    found = approvals.find(redis, keys, wanted)
    told = {"approved": approved, "by": by or _user(), "note": note, "at": runs.now_ms(redis)}
    result = value_text(json.dumps(told))
    ttl_s = settings.ms("rq_ttl") // 1000
    call = wait.signal(keys, found.signal, os.urandom(12).hex(), result, ttl_s)
    if not script.run(redis, call):
        raise UsageError(f"approval {found.id} has been decided meanwhile")
    click.echo(f"{'approved' if approved else 'rejected'} {found.title!r} of run {found.run}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this user id, as in some containers
        return str(os.getuid())
