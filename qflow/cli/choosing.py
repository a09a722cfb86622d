"""Runs that a command is to do something with: those that a filter finds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click

from qflow.cli.moments import Moment, absolute
from qflow.errors import UsageError
from qflow.read import functions, runs
from qflow.store.keys import Keys
from qflow.store.redis import Redis


class Filter(NamedTuple):
    """Which runs: of this function, in these states, created between these moments (ms)."""

    function: str
    statuses: tuple[str, ...]
    after: int | None
    before: int | None


def filtered(statuses: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of a filter; `statuses` are those that it may name."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.option("--function", default="", help="Runs of this function."),
        click.option(
            "--status",
            "statuses",
            metavar="S[,S]",
            help=f"Runs in these states, of {', '.join(statuses)}.",
            callback=lambda _ctx, _param, text: _statuses(text, statuses),
        ),
        click.option("--after", type=Moment(), help="Created after then: 2h (ago), or a date."),
        click.option("--before", type=Moment(), help="Created before then."),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def choose(redis: Redis, keys: Keys, wanted: Filter, states: Sequence[str]) -> list[str]:
    """Return the runs that a filter finds, oldest first; in `states` where it names none."""
    if wanted.function:
        functions.function(redis, keys, wanted.function)  # says so if there is no such function
    now = runs.now_ms(redis)
    return runs.created_between(
        redis,
        keys,
        function=wanted.function,
        statuses=wanted.statuses or states,
        after=absolute(wanted.after, now),
        before=absolute(wanted.before, now),
    )


def confirm(question: str, *, yes: bool) -> None:
    """Ask before many runs are changed; a no ends the command."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is there to answer: add --yes")
    click.confirm(question, abort=True, err=True)


def _statuses(text: str | None, allowed: Sequence[str]) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    for status in chosen:
        if status not in allowed:
            raise click.BadParameter(f"{status!r} is none of {', '.join(allowed)}")
    return chosen
