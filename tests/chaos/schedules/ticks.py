"""A function that is due every minute; tests set its schedule back rather than wait."""

from __future__ import annotations

import os

import qflow
from qflow import Cron, Event, SyncStep

app = qflow.App("ticks")


@app.function("ticking", trigger=Cron("* * * * *", catch_up="all"))
def ticking(event: Event, step: SyncStep) -> int:
    return step.run("mark", lambda: int(event.data["scheduled_ms"]) + 0 * os.getpid())
