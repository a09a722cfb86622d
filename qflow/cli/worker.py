"""`qflow worker`: run functions."""

from __future__ import annotations

import click

from qflow.cli.context import CONNECTION, path, with_settings
from qflow.config import Settings


@click.command()
@path
@with_settings(
    *CONNECTION, "processes", "slots", "lease", "grace", "time_slice", "retention", "retention_failed",
    "step_log", "metrics_port", "metrics_host", "log_format", "log_level",
)  # fmt: skip
def command(settings: Settings) -> int:
    """Run the functions of the folder PATH (default: workers).

    Every module in it is imported, and its functions are published, so that the router starts them.
    SIGTERM lets running steps finish within --grace and gives the rest back; nothing is lost.
    """
    from qflow.services.supervisor import run_worker

    return run_worker(settings)
