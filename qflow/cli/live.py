"""Prints what happens to one run, as it happens."""

from __future__ import annotations

import json
from typing import Any

import click

from qflow.cli import display
from qflow.cli.context import opener
from qflow.core.status import UNFINISHED
from qflow.read import follow as reading
from qflow.read.snapshot import text
from qflow.read.timeline import Entry
from qflow.store.keys import Keys
from qflow.store.redis import Redis


def follow(redis: Redis, keys: Keys, run: str, *, as_json: bool) -> str:
    """Print a run's trace until it ends, and return the status it ended with, "" if it is gone."""
    sleeps: set[str] = set()
    opened = opener()
    for raw in reading.trace(redis, keys, run):
        told = opened.entry(raw, run)
        if as_json:
            display.print_json(told, indent=None)
            continue
        if told["t"] == "sleep":
            sleeps.add(told["id"])
        elif told["t"] == "step" and told["id"] in sleeps:
            told["t"] = "woken"
        elif told["t"] == "step" and not told["ok"]:
            told["error"] = opened.error(_kept_error(redis, keys, run, told["id"]), run, told["id"])
        click.echo(line(told))
    return text(redis.call("HGET", keys.run(run), "status"))


def _kept_error(redis: Redis, keys: Keys, run: str, step: str) -> Any:
    kept = redis.call("HGET", keys.steps(run), step)
    return json.loads(kept).get("error") if kept else None


def line(told: Entry) -> str:
    """Return an entry of a trace as one reads it."""
    when = click.style(display.moment(told["at"], day=False), dim=True)
    return f"{when}  {_words(told)}"


def _words(told: Entry) -> str:
    kind = told["t"]
    step = display.one_line(str(told.get("id", "")), 40)
    what = f"step {step}" if step else "the handler"
    if kind == "claim":
        waited = display.length(max(0, told["at"] - int(told["q"])))
        return click.style(f"taken by {told['w']} after {waited} in the queue", dim=True)
    if kind == "step":
        took = display.length(told["e"] - told["s"])
        if told["ok"]:
            return f"{_styled('ok')}  {what}" + (f" in {took}" if told["e"] > told["s"] else "")
        error = display.error_line(told.get("error"), 120)
        return f"{_styled('failed')}  {what}, attempt {told['a']}, for good: {error}"
    if kind == "retry":
        again = f"; again at {display.moment(told['due'], day=False)}" if "due" in told else ""
        error = display.error_line(told["error"], 120)
        return f"{_styled('retry')}  {what}, attempt {told['a']}: {error}{again}"
    if kind == "woken":
        return f"{_styled('ok')}  {what} is over"
    if kind == "sleep":
        return f"{_styled('sleeping')}  {what} until {display.moment(told['due'])}"
    if kind == "died":
        return f"{_styled('died')}  worker {told['w']} died in {what}"
    if kind == "end":
        why = display.one_line(str(told.get("why", "")), 120)
        return f"{_styled(str(told['status']))}  {why}".rstrip()
    return display.one_line(str(told.get("why", kind)))


def _styled(word: str) -> str:
    return click.style(f"{word:<9}", fg=display.ansi(word), bold=word not in UNFINISHED)
