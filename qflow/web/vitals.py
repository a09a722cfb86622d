"""The few numbers that every page shows: whether it keeps up, and whether anybody is at work."""

from __future__ import annotations

from typing import NamedTuple

from qflow.read import topology
from qflow.read.stats import Overview, overview
from qflow.web.exchange import Site


class Vitals(NamedTuple):
    """How the whole stands. Latency first: depth alone does not tell whether it keeps up."""

    seen: Overview
    workers: int
    lapsed: int
    leads: bool

    @property
    def trouble(self) -> str:
        """What is wrong now, with its remedy, "" for nothing."""
        if self.seen.functions == 0:
            return ""
        if self.seen.unfinished and not self.workers:
            return "No worker is running, so no run moves: start qflow worker."
        if self.seen.overdue_ms > 10_000 and not self.leads:
            return "No scheduler is leading, so no timer fires: start qflow scheduler."
        lag = self.seen.stream.lag
        if self.seen.stream.length and lag is None:
            return "No router ever ran, so no event starts anything: start qflow router."
        return ""


def vitals(site: Site) -> Vitals:
    """Look at it now."""
    left = topology.leases(site.redis, site.keys).values()
    live = sum(each > 0 for each in left)
    leads = topology.leader(site.redis, site.keys).live
    return Vitals(overview(site.redis, site.keys), live, len(left) - live, leads)
