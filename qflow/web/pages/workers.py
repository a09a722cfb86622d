"""Workers: who is there, what each is doing, and which scheduler leads."""

from __future__ import annotations

from qflow.read import runs, topology
from qflow.read.snapshot import text
from qflow.web.exchange import Answer, Ask, Html, Site

_RUNS_SHOWN = 20


def listing(site: Site, ask: Ask) -> Answer:
    """List workers with the runs that they hold."""
    found = topology.workers(site.redis, site.keys)
    held = [("SRANDMEMBER", site.keys.lanes(worker.name), _RUNS_SHOWN) for worker in found]
    replies = site.redis.pipeline(held) if held else []
    ids = [[text(member)[:26] for member in reply] for reply in replies]
    rows = {
        row.id: row
        for row in runs.rows(site.redis, site.keys, sorted({run for each in ids for run in each}))
    }
    shown = [
        (worker, [rows[run] for run in dict.fromkeys(each) if run in rows])
        for worker, each in zip(found, ids, strict=True)
    ]
    context = {"at": "workers", "workers": shown, "leader": topology.leader(site.redis, site.keys)}
    return Html("_worker_rows.html" if ask.partial else "workers.html", context)
