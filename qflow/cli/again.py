"""`qflow runs rerun` and `replay`: runs again, one or all that a filter finds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from qflow.cli import display
from qflow.cli.choosing import Filter, choose, confirm, filtered
from qflow.cli.context import CONNECTION, as_json, connect, hooks, with_settings
from qflow.cli.payload import read_data, read_value
from qflow.config import Settings
from qflow.core.status import ENDED
from qflow.engine.rerunning import Change, Rerunner
from qflow.errors import QflowError, UsageError
from qflow.read import runs
from qflow.read.finished import before
from qflow.store.stream import Keep

_REPLAYED = tuple(status for status in ENDED if status != "completed")


@click.command("rerun")
@click.argument("run_id", metavar="ID")
@click.option("--from", "step", metavar="STEP", default="", help="Keep what finished before STEP.")
@click.option("--data", metavar="JSON", help="New event data or, with --from, new input of STEP.")
@as_json
@with_settings(*CONNECTION)
def rerun(settings: Settings, run_id: str, step: str, data: str | None, as_json: bool) -> None:
    """Run the run ID again: a new run for the same event, linked to the old one.

    With --from STEP, the results of the steps that finished before STEP are kept. --data then replaces
    what STEP's function is called with: a JSON list its positional arguments, an object arguments by
    name, anything else its first argument. Without --from it replaces the event's data. JSON may also
    be @FILE, or - for standard input.
    """
    redis, keys = connect(settings)
    old = runs.find(redis, keys, run_id)
    kept = before(redis, keys, old, step) if step else None
    if kept is not None and kept.waits and data is not None:
        raise UsageError(f"step {step!r} calls no function and has no input: leave --data out")
    if data is None:
        change = Change()
    elif kept is None:
        change = Change(data=read_data(data))
    else:
        change = Change(step=step, input=read_value(data, "--data")[0])
    rerunner = Rerunner(redis, keys, Keep(*settings.kept_s), hooks())
    new = rerunner.rerun(old, change, kept.kept if kept else ())
    if as_json:
        names = [each.step for each in kept.kept] if kept else []
        display.print_json({"id": new, "origin": old, "kept": names})
        return
    with_kept = f", with {len(kept.kept)} steps kept" if kept else ""
    click.echo(f"run {new} created from {old}{with_kept}: qflow runs tail {new}")


@click.command("replay")
@filtered(ENDED)
@click.option(
    "--rate", type=click.FloatRange(0.01, 10_000), default=50.0, show_default=True,
    help="At most so many runs a second.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@with_settings(*CONNECTION)
def replay(settings: Settings, rate: float, yes: bool, as_json: bool, **wanted: Any) -> int:
    """Run again what a filter finds: failed, cancelled and skipped runs unless --status says otherwise.

    Runs that were run again before are left out, so the same command goes on where it was interrupted.
    """
    redis, keys = connect(settings)
    chosen = Filter(**wanted)
    if not any(chosen):
        raise UsageError("give --function, --status, --after or --before")
    found = choose(redis, keys, chosen, _REPLAYED)
    left = runs.never_rerun(redis, keys, found)
    if left:
        confirm(f"Run {len(left)} runs again, at most {rate:g} a second?", yes=yes)
    rerunner = Rerunner(redis, keys, Keep(*settings.kept_s))
    done: dict[str, str] = {}
    failed: dict[str, str] = {}
    try:
        _replay(rerunner, left, rate, done, failed)
    except KeyboardInterrupt:
        rest = len(left) - len(done) - len(failed)
        click.echo(f"{len(done)} run again, {rest} left: the same command goes on", err=True)
        raise
    return _report(done, failed, len(found) - len(left), as_json=as_json)


def _replay(
    rerunner: Rerunner,
    left: Sequence[str],
    rate: float,
    done: dict[str, str],
    failed: dict[str, str],
) -> None:
    began = time.monotonic()
    with display.progress(len(left)) as bar:
        for number, run in enumerate(left):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            try:
                done[run] = rerunner.rerun(run)
            except QflowError as error:
                failed[run] = str(error)
            bar.step(run)


def _report(done: dict[str, str], failed: dict[str, str], earlier: int, *, as_json: bool) -> int:
    if as_json:
        display.print_json({"created": done, "failed": failed, "rerun_before": earlier})
    else:
        for error in failed.values():
            click.echo(error, err=True)
        before_that = f"; {earlier} were run again before" if earlier else ""
        click.echo(f"{len(done)} runs run again{before_that}")
    return 1 if failed else 0
