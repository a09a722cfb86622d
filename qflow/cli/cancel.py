"""`qflow runs cancel`: end runs by hand, named ones or all that a filter finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from qflow.cli import display
from qflow.cli.choosing import Filter, choose, confirm, filtered
from qflow.cli.context import CONNECTION, as_json, connect, with_settings
from qflow.config import Settings
from qflow.core.status import UNFINISHED
from qflow.engine.cancelling import Ended, cancel_all
from qflow.errors import UsageError
from qflow.read import runs
from qflow.store.stream import Keep

_REASON = "by hand"


@click.command("cancel")
@click.argument("run_ids", metavar="[ID]...", nargs=-1)
@filtered(UNFINISHED)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@with_settings(*CONNECTION)
def command(
    settings: Settings, run_ids: tuple[str, ...], yes: bool, as_json: bool, **wanted: Any
) -> int:
    """Cancel the runs of these IDs, or the unfinished ones that a filter finds.

    Exit 1 where a run that was named had ended before. What a worker executes of them is interrupted.
    """
    redis, keys = connect(settings)
    chosen = Filter(**wanted)
    if bool(run_ids) == any(chosen):
        raise UsageError("name runs, or give --function, --status, --after or --before")
    if run_ids:
        found = [runs.find(redis, keys, run) for run in run_ids]
    else:
        found = choose(redis, keys, chosen, UNFINISHED)
        if found:
            confirm(f"Cancel {len(found)} runs?", yes=yes)
    keep = Keep(*settings.kept_s)
    with display.progress(len(found)) as bar:
        ended = [bar.step(each) for each in cancel_all(redis, keys, found, _REASON, keep)]
    return _report(ended, as_json=as_json, named=bool(run_ids))


def _report(ended: Sequence[Ended], *, as_json: bool, named: bool) -> int:
    cancelled = [each.run for each in ended if not each.status]
    before = {each.run: each.status for each in ended if each.status}
    if as_json:
        display.print_json({"cancelled": cancelled, "ended_before": before})
    elif named:
        for each in ended:
            now = f"had ended before: it is {each.status}" if each.status else "is cancelled"
            click.echo(f"run {each.run} {now}")
    else:
        late = f"; {len(before)} had ended meanwhile" if before else ""
        click.echo(
            f"{len(cancelled)} runs cancelled{late}" if ended else "no unfinished run matches"
        )
    return 1 if named and before else 0
