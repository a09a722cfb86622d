"""`qflow scheduler`: timers, cron schedules and the rescue of dead workers' runs."""

from __future__ import annotations

import click

from qflow.cli.context import CONNECTION, with_settings
from qflow.config import Settings


@click.command()
@with_settings(
    *CONNECTION, "lease", "retention", "retention_failed", "event_retention",
    "metrics_port", "metrics_host", "log_format", "log_level",
)  # fmt: skip
def command(settings: Settings) -> int:
    """Wake sleeps and retries, fire cron schedules, return dead workers' runs, drop what is old.

    Run two or three: one leads, the others stand by.
    """
    from qflow.services.supervisor import run_scheduler

    return run_scheduler(settings)
