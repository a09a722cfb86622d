"""`qflow router`: turn events into runs."""

from __future__ import annotations

import click

from qflow.cli.context import CONNECTION, with_settings
from qflow.config import Settings


@click.command()
@with_settings(
    *CONNECTION, "lease", "retention", "metrics_port", "metrics_host", "log_format", "log_level"
)
def command(settings: Settings) -> int:
    """Read the event stream and start a run for every function whose trigger matches.

    Run as many as you like: they share the stream, and each takes over what another left behind.
    """
    from qflow.services.supervisor import run_router

    return run_router(settings)
