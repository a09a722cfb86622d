"""`qflow runs skip-sleep`, `retry-now` and `discard`: what can be done to one run by hand."""

from __future__ import annotations

from typing import Literal

import click

from qflow.cli.context import CONNECTION, connect, with_settings
from qflow.config import Settings
from qflow.errors import QflowError
from qflow.read import runs
from qflow.store import again, script

_WORDS = {"sleep": "sleeps in", "retry": "waits for the next attempt of"}


@click.command("skip-sleep")
@click.argument("run_id", metavar="ID")
@click.argument("step", default="")
@with_settings(*CONNECTION)
def skip_sleep(settings: Settings, run_id: str, step: str) -> None:
    """Let the run ID go on that sleeps, in STEP where that is given, as if the time had passed."""
    click.echo(_hasten(settings, run_id, "sleep", step))


@click.command("retry-now")
@click.argument("run_id", metavar="ID")
@with_settings(*CONNECTION)
def retry_now(settings: Settings, run_id: str) -> None:
    """Let the run ID make its next attempt now, instead of when the backoff is over."""
    click.echo(_hasten(settings, run_id, "retry", ""))


def _hasten(settings: Settings, run_id: str, what: Literal["sleep", "retry"], step: str) -> str:
    redis, keys = connect(settings)
    run = runs.find(redis, keys, run_id)
    ttl_s = settings.kept_s[0]
    outcome, *facts = script.run(redis, again.hasten(keys, run, what, step, ttl_s))
    words = [fact.decode() for fact in facts]
    if outcome == -1:
        raise QflowError(f"run {run} does not wait for a time: it is {words[0]}")
    if outcome == 0:
        raise QflowError(f"run {run} {_WORDS.get(words[0], 'waits for')} {_name(words[1])}")
    return f"run {run} goes on with {', '.join(map(_name, words))}"


def _name(step: str) -> str:
    return f"step {step!r}" if step else "the handler"


@click.command("discard")
@click.argument("run_ids", metavar="ID...", nargs=-1, required=True)
@with_settings(*CONNECTION)
def discard(settings: Settings, run_ids: tuple[str, ...]) -> None:
    """Forget the runs of these IDs, which have ended: record, steps and trace."""
    redis, keys = connect(settings)
    found = [runs.find(redis, keys, run) for run in run_ids]
    for run in found:
        if script.run(redis, again.discard(keys, run)) == 0:
            raise QflowError(f"run {run} has not ended: cancel it first, with qflow runs cancel")
        click.echo(f"run {run} is gone")
