"""What is right and wrong with Redis and with qflow on it, each finding with its remedy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from qflow.core.durations import from_ms
from qflow.read import snapshot
from qflow.read.snapshot import clock_ms, text
from qflow.read.stats import Overview, overview
from qflow.read.topology import Leader, leader, leases
from qflow.store.keys import Keys
from qflow.store.redis import Redis

Level = Literal["ok", "warn", "bad"]

OLDEST: Final = (6, 2)
"""The oldest Redis that has every command qflow uses."""

_CLOCK_MS: Final = 1_000
_LAG: Final = 1_000
_OLD_MS: Final = 60_000
_LATE_MS: Final = 10_000
_FULL: Final = (0.8, 0.95)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `detail` says how it is, `remedy` what to do where it is not well."""

    level: Level
    what: str
    detail: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return what `--json` prints."""
        return {"level": self.level, "what": self.what, "detail": self.detail, "remedy": self.remedy}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the findings are made of. `info` has INFO's fields; `fsync` and `save` are empty where
    Redis does not tell its configuration."""

    info: dict[str, str]
    fsync: str
    save: str
    skew_ms: int
    overview: Overview
    leader: Leader
    leases: dict[str, int]

    @property
    def version(self) -> str:
        """The version of Redis; a Valkey says which Redis it stands for."""
        return self.info.get("redis_version", "")


def examine(redis: Redis, keys: Keys) -> Facts:
    """Collect the facts, in a handful of round trips."""
    sent = time.time()
    (clock,) = redis.pipeline([("TIME",)])
    host_ms = (sent + time.time()) * 500
    info, fsync, save = snapshot.each(
        redis, [("INFO",), ("CONFIG", "GET", "appendfsync"), ("CONFIG", "GET", "save")]
    )
    return Facts(
        info=_info(text(info)),
        fsync=text(fsync[1]) if fsync else "",
        save=text(save[1]) if save else "",
        skew_ms=round(host_ms - clock_ms(clock)),
        overview=overview(redis, keys),
        leader=leader(redis, keys),
        leases=leases(redis, keys),
    )


def findings(facts: Facts) -> list[Finding]:
    """Return every finding, in the order in which one looks: Redis, processes, work."""
    return [
        _version(facts),
        _durability(facts),
        *_write_errors(facts),
        _eviction(facts),
        _memory(facts),
        _role(facts),
        _clock(facts),
        _functions(facts),
        _router(facts),
        _leader(facts),
        _workers(facts),
        _queue(facts),
        _timers(facts),
        _rejected(facts),
        _counters(facts),
    ]


def _info(raw: str) -> dict[str, str]:
    lines = (line.partition(":") for line in raw.splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def _version(facts: Facts) -> Finding:
    parts = [int(part) for part in facts.version.split(".")[:2] if part.isdigit()]
    named = f"Redis {facts.version or '(version unknown)'}"
    if len(parts) == 2 and tuple(parts) < OLDEST:
        return Finding("bad", "version", named, "qflow needs Redis 6.2 or newer: upgrade it")
    return Finding("ok" if parts else "warn", "version", named)


def _durability(facts: Facts) -> Finding:
    what = "durability"
    aof = "turn the append-only file on: CONFIG SET appendonly yes, and in redis.conf"
    if facts.info.get("aof_enabled") == "1":
        if facts.fsync == "always":
            return Finding("ok", what, "append-only file, fsync always: an accepted event survives any crash")
        if facts.fsync == "no":
            lost = "survives a crash of Redis; a crash of its host may lose the last half minute"
            return Finding("warn", what, f"append-only file, fsync no: an accepted event {lost}", "CONFIG SET appendfsync everysec")
        named = "fsync every second" if facts.fsync else "fsync unknown, every second by default"
        lost = "survives a crash of Redis; a crash of its host may lose the last second or two"
        return Finding("ok", what, f"append-only file, {named}: an accepted event {lost}")
    if facts.save or (not facts.fsync and "rdb_last_save_time" in facts.info):
        lost = "a crash of Redis loses everything since the last one"
        return Finding("warn", what, f"snapshots only: {lost}, accepted events included", aof)
    return Finding("warn", what, "none: any restart of Redis loses every event and every run", aof)


def _write_errors(facts: Facts) -> Iterator[Finding]:
    for field, what in (("aof_last_write_status", "append-only file"), ("rdb_last_bgsave_status", "snapshot")):
        if facts.info.get(field, "ok") != "ok":
            yield Finding(
                "bad", "disk", f"the last write of the {what} failed",
                "see Redis's log; usually the disk is full or may not be written",
            )  # fmt: skip


def _eviction(facts: Facts) -> Finding:
    policy = facts.info.get("maxmemory_policy", "unknown")
    if policy.startswith("allkeys"):
        return Finding(
            "bad", "eviction", f"{policy}: when memory is full, Redis deletes runs and queued jobs",
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
        )  # fmt: skip
    if policy.startswith("volatile"):
        return Finding("ok", "eviction", f"{policy}: when memory is full, only ended runs are deleted")
    return Finding("ok", "eviction", policy)


def _memory(facts: Facts) -> Finding:
    used, limit = int(facts.info.get("used_memory", 0)), int(facts.info.get("maxmemory", 0))
    if not limit:
        system = int(facts.info.get("total_system_memory", 0))
        limit, name = system, "of the host's {} (maxmemory is not set)"
    else:
        name = "of maxmemory, {}"
    detail = f"{_bytes(used)} used"
    if not limit:
        return Finding("ok", "memory", detail)
    share = used / limit
    level: Level = "bad" if share >= _FULL[1] else "warn" if share >= _FULL[0] else "ok"
    detail += f", {share:.0%} " + name.format(_bytes(limit))
    remedy = "raise maxmemory, or shorten QFLOW_RETENTION and QFLOW_EVENT_RETENTION"
    return Finding(level, "memory", detail, "" if level == "ok" else remedy)


def _role(facts: Facts) -> Finding:
    role = facts.info.get("role", "unknown")
    if role in ("slave", "replica"):
        primary = f"{facts.info.get('master_host', '?')}:{facts.info.get('master_port', '?')}"
        return Finding(
            "bad", "role", f"a replica of {primary}", "point QFLOW_REDIS_URL at the primary"
        )
    return Finding("ok", "role", "primary" if role == "master" else role)


def _clock(facts: Facts) -> Finding:
    away = abs(facts.skew_ms)
    if away < _CLOCK_MS:
        return Finding("ok", "clock", f"this host and Redis agree within {max(away, 1)} ms")
    order = "ahead of" if facts.skew_ms > 0 else "behind"
    return Finding(
        "warn", "clock", f"this host is {from_ms(away)} {order} Redis; timers go by Redis's clock, "
        "but events sent here carry this host's time", "run an NTP client on both",
    )  # fmt: skip


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
        return Finding("warn", "router", detail, "is `qflow router` running? Start one, or one more")
    return Finding("ok", "router", detail)


def _leader(facts: Facts) -> Finding:
    held, remedy = facts.leader, "start `qflow scheduler`"
    if held.live:
        return Finding("ok", "scheduler", f"{held.holder} leads (term {held.token})")
    needed: Level = "bad" if facts.overview.unfinished else "warn"
    if not held.holder:
        return Finding(needed, "scheduler", "none ever ran: no timer, retry or cron will fire", remedy)
    ago = "resigned" if held.left_ms < -10**12 else f"went silent {from_ms(_rounded(-held.left_ms))} ago"
    return Finding(needed, "scheduler", f"nobody leads; {held.holder} {ago}", remedy)


def _workers(facts: Facts) -> Finding:
    live = sum(left > 0 for left in facts.leases.values())
    lapsed = {name: -left for name, left in facts.leases.items() if left <= 0}
    if lapsed:
        worst = max(lapsed, key=lambda name: lapsed[name])
        detail = f"{live} live, {len(lapsed)} lapsed; {worst} for {from_ms(_rounded(lapsed[worst]))}"
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
        return Finding(
            "bad", "timers", f"{seen.delayed} set, the first overdue by {late}", "start `qflow scheduler`"
        )
    due = from_ms(_rounded(max(0, seen.next_due_ms - seen.now_ms)))
    return Finding("ok", "timers", f"{seen.delayed} set, the next due in {due}")


def _rejected(facts: Facts) -> Finding:
    count = facts.overview.stream.rejected
    if count:
        return Finding("warn", "rejected", f"{count} malformed events", "see `qflow events rejected`")
    return Finding("ok", "rejected", "no malformed events")


def _counters(facts: Facts) -> Finding:
    counted = facts.overview.counters
    names = {
        "deaths": "worker deaths", "fenced": "late commits refused", "dropped": "stale jobs dropped",
        "duplicates": "duplicate events",
    }  # fmt: skip
    told = [f"{counted[name]} {words}" for name, words in names.items() if counted.get(name)]
    return Finding("ok", "history", ", ".join(told) or "no deaths, late commits or duplicates")


def _rounded(ms: int) -> int:
    """Return a length of time as exact as one wants to read it."""
    return ms if ms < 1_000 else ms // 1_000 * 1_000


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
