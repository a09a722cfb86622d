"""`qflow dashboard`: see and steer everything in a browser."""

from __future__ import annotations

import click

from qflow.cli.context import CONNECTION, with_settings
from qflow.config import Settings


@click.command()
@with_settings(
    *CONNECTION, "dashboard_host", "dashboard_port", "dashboard_prefix", "log_format", "log_level"
)
def command(settings: Settings) -> None:
    """Serve the dashboard, its API and POST /e/EVENT-KEY.

    Without QFLOW_DASHBOARD_TOKENS it answers this machine only. Any number may run.
    """
    from qflow.web import server

    site = server.site_of(settings)
    place = server.take_place(settings)
    click.echo(f"dashboard at {place.url}  (Ctrl-C stops it)", err=True)
    server.run(site, place)
