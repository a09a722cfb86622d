"""What is right and wrong with qflow on Redis: its processes, and the work that waits for them."""

from __future__ import annotations

from typing import Final

from qflow.core.durations import from_ms
from qflow.read.facts import Facts, Finding, Level

_LAG: Final = 1_000
_OLD_MS: Final = 60_000
_LATE_MS: Final = 10_000
_DECADES_MS: Final = 10**12


def findings(facts: Facts) -> list[Finding]:
    """Return what is found about processes and work."""
    return [
        _functions(facts),
        _router(facts),
        _leader(facts),
        _workers(facts),
        _queue(facts),
        _timers(facts),
        _rejected(facts),
        _counters(facts),
    ]


def _functions(facts: Facts) -> Finding:
    count = facts.overview.functions
    if count:
        return Finding("ok", "functions", f"{count} published")
    return Finding("warn", "functions", "none published", "start `qflow worker` or `qflow dev`")


def _router(facts: Facts) -> Finding:
    stream = facts.overview.stream
    if stream.lag is None:
        level: Level = "bad" if stream.length else "warn"
        detail = f"no router ever ran; {stream.length} events wait for one"
        return Finding(level, "router", detail, "start `qflow router`")
    detail = f"{stream.lag} events unread, {stream.pending} being routed, {stream.length} kept"
    if stream.lag >= _LAG:
        return Finding(
            "warn", "router", detail, "is `qflow router` running? Start one, or one more"
        )
    return Finding("ok", "router", detail)


def _leader(facts: Facts) -> Finding:
    held, remedy = facts.leader, "start `qflow scheduler`"
    if held.live:
        return Finding("ok", "scheduler", f"{held.holder} leads (term {held.token})")
    long_gone = -held.left_ms > _OLD_MS  # else a standby, or a restart, is about to take over
    needed: Level = "bad" if facts.overview.unfinished and long_gone else "warn"
    if not held.holder:
        return Finding(
            needed, "scheduler", "none ever ran: no timer, retry or cron will fire", remedy
        )
    resigned = held.left_ms < -_DECADES_MS  # a lead that is laid down ends at the epoch
    ago = "resigned" if resigned else f"went silent {from_ms(_rounded(-held.left_ms))} ago"
    return Finding(needed, "scheduler", f"nobody leads; {held.holder} {ago}", remedy)


def _workers(facts: Facts) -> Finding:
    live = sum(left > 0 for left in facts.leases.values())
    lapsed = {name: -left for name, left in facts.leases.items() if left <= 0}
    if lapsed:
        worst = max(lapsed, key=lambda name: lapsed[name])
        detail = (
            f"{live} live, {len(lapsed)} lapsed; {worst} for {from_ms(_rounded(lapsed[worst]))}"
        )
        level: Level = "bad" if lapsed[worst] > _OLD_MS and facts.overview.unfinished else "warn"
        return Finding(level, "workers", detail, "a running `qflow scheduler` returns their jobs")
    if live:
        return Finding("ok", "workers", f"{live} live")
    level = "bad" if facts.overview.queue_depth else "warn"
    return Finding(level, "workers", "none", "start `qflow worker`")


def _queue(facts: Facts) -> Finding:
    seen = facts.overview
    if not seen.queue_depth:
        return Finding("ok", "queue", "empty")
    detail = f"{seen.queue_depth} jobs, the first for {from_ms(_rounded(seen.oldest_wait_ms))}"
    if seen.oldest_wait_ms > _OLD_MS:
        return Finding("warn", "queue", detail, "start more workers, or raise QFLOW_SLOTS")
    return Finding("ok", "queue", detail)


def _timers(facts: Facts) -> Finding:
    seen = facts.overview
    if not seen.delayed or seen.next_due_ms is None:
        return Finding("ok", "timers", "none set")
    if seen.overdue_ms > _LATE_MS:
        late = from_ms(_rounded(seen.overdue_ms))
        remedy = "see the log of the scheduler that leads, and restart it"
        if not facts.leader.live:
            remedy = "start `qflow scheduler`"
        return Finding("bad", "timers", f"{seen.delayed} set, the first overdue by {late}", remedy)
    due = from_ms(_rounded(max(0, seen.next_due_ms - seen.now_ms)))
    return Finding("ok", "timers", f"{seen.delayed} set, the next due in {due}")


def _rejected(facts: Facts) -> Finding:
    count = facts.overview.stream.rejected
    if count:
        return Finding(
            "warn", "rejected", f"{count} malformed events", "see `qflow events rejected`"
        )
    return Finding("ok", "rejected", "no malformed events")


def _counters(facts: Facts) -> Finding:
    counted = facts.overview.counters
    names = {
        "deaths": "worker deaths", "fenced": "late commits refused", "dropped": "stale jobs dropped",
        "duplicates": "duplicate events",
    }  # fmt: skip
    told = [f"{words}: {counted[name]}" for name, words in names.items() if counted.get(name)]
    return Finding("ok", "history", ", ".join(told) or "no deaths, late commits or duplicates")


def _rounded(ms: int) -> int:
    """Return a length of time as exact as one wants to read it."""
    return ms if ms < 1_000 else ms // 1_000 * 1_000
