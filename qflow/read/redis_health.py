"""What is right and wrong with Redis itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from qflow.core.durations import from_ms
from qflow.read.facts import Facts, Finding, Level

OLDEST: Final = (6, 2)
"""The oldest Redis that has every command qflow uses."""

_CLOCK_MS: Final = 1_000
_FULL: Final = (0.8, 0.95)


def findings(facts: Facts) -> list[Finding]:
    """Return what is found about Redis."""
    return [
        _version(facts),
        _durability(facts),
        *_write_errors(facts),
        _eviction(facts),
        _memory(facts),
        _role(facts),
        _clock(facts),
    ]


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
            return Finding(
                "ok", what, "append-only file, fsync always: an accepted event survives any crash"
            )
        if facts.fsync == "no":
            lost = "survives a crash of Redis; a crash of its host may lose the last half minute"
            return Finding(
                "warn",
                what,
                f"append-only file, fsync no: an accepted event {lost}",
                "CONFIG SET appendfsync everysec",
            )
        named = "fsync every second" if facts.fsync else "fsync unknown, every second by default"
        lost = "survives a crash of Redis; a crash of its host may lose the last second or two"
        return Finding("ok", what, f"append-only file, {named}: an accepted event {lost}")
    if facts.save or (not facts.fsync and "rdb_last_save_time" in facts.info):
        lost = "a crash of Redis loses everything since the last one"
        return Finding("warn", what, f"snapshots only: {lost}, accepted events included", aof)
    return Finding("warn", what, "none: any restart of Redis loses every event and every run", aof)


def _write_errors(facts: Facts) -> Iterator[Finding]:
    for field, what in (
        ("aof_last_write_status", "append-only file"),
        ("rdb_last_bgsave_status", "snapshot"),
    ):
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
        return Finding(
            "ok", "eviction", f"{policy}: when memory is full, only ended runs are deleted"
        )
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


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
