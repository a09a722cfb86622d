"""`qflow dev`: everything in one command."""

from __future__ import annotations

import click

from qflow.cli.context import CONNECTION, path, with_settings
from qflow.config import Settings


@click.command()
@path
@with_settings(*CONNECTION, "slots", "lease", "dashboard_port", "log_format", "log_level")
def command(settings: Settings) -> int:
    """Run Redis, router, scheduler and a worker for the folder PATH (default: workers).

    Functions reload as you edit them. Where no Redis is configured, a private one is started, with
    its data in .qflow; other commands in this folder find it. Ctrl-C stops everything.
    """
    from qflow.dev.server import run_dev

    return run_dev(settings)
