"""What is right and wrong with Redis and with qflow on it, each finding with its remedy."""

from __future__ import annotations

from qflow.read import redis_health, work_health
from qflow.read.facts import Facts, Finding, examine

__all__ = ["Facts", "Finding", "examine", "findings"]


def findings(facts: Facts) -> list[Finding]:
    """Return every finding, in the order in which one looks: Redis, processes, work."""
    return [*redis_health.findings(facts), *work_health.findings(facts)]
