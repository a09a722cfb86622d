"""`qflow fix`: a patch for a failed run, proved on that run's own history."""

from __future__ import annotations

import os

import click

from qflow.cli import display
from qflow.cli.context import CONNECTION, as_json, connect, opener, path, with_settings
from qflow.cli.endings import FAILED
from qflow.config import Settings
from qflow.errors import ConfigError


@click.command()
@click.argument("run")
@path
@click.option("--yes", is_flag=True, help="Write it without asking.")
@as_json
@with_settings(*CONNECTION)
def command(settings: Settings, run: str, yes: bool, as_json: bool) -> int | None:
    """Ask the model for a patch of the module in PATH whose function's RUN failed.

    The patch must pass the checks, and the run's event and finished steps are played with it in the
    sandbox; then its diff is shown, and written where you agree. With --json nothing is written.
    """
    from qflow.authoring import mending, providers
    from qflow.read import functions, runs
    from qflow.read.timeline import timeline

    provider = providers.chosen(settings)
    if provider is None:
        raise ConfigError(
            "qflow fix asks a model: set QFLOW_AI_MODEL and QFLOW_AI_BASE_URL or _KEY"
        )
    redis, keys = connect(settings)
    told = opener().story(timeline(redis, keys, runs.find(redis, keys, run)))
    view = functions.function(redis, keys, told.row.function)
    failed = mending.failure(told, view, settings.path)
    mended = mending.mend(provider, failed)
    if as_json:
        display.print_json(
            {
                "run": told.row.id,
                "path": failed.path,
                "explanation": mended.patch.explanation,
                "reproduced": mended.reproduced,
                "rounds": mended.rounds,
                "diff": mended.diff,
            }
        )
        return None
    click.echo(display.one_line(mended.patch.explanation))
    seen = "failed in the sandbox as it is" if mended.reproduced else "does not fail in the sandbox"
    click.echo(f"the run's history {seen}, and passes with this patch:\n")
    click.echo("".join(f"{display.safe(row)}\n" for row in mended.diff.splitlines()))
    if not yes and not click.confirm("Write this?"):
        click.echo("nothing was written")
        return FAILED
    _write(failed.path, mended.patch.source)
    click.echo(f"wrote {failed.path}; run it again: qflow runs rerun {told.row.id}")
    return None


def _write(path: str, source: str) -> None:
    made = f"{path}.{os.getpid()}.new"
    with open(made, "w", encoding="utf-8") as file:
        file.write(source)
    os.replace(made, path)
