"""What an examination of Redis and qflow goes by, and the form of what it finds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from qflow.read import snapshot
from qflow.read.snapshot import clock_ms, text
from qflow.read.stats import Overview, overview
from qflow.read.topology import Leader, leader, leases
from qflow.store.keys import Keys
from qflow.store.redis import Redis

Level = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `detail` says how it is, `remedy` what to do where it is not well."""

    level: Level
    what: str
    detail: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return what `--json` prints."""
        return {
            "level": self.level,
            "what": self.what,
            "detail": self.detail,
            "remedy": self.remedy,
        }


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


def _info(raw: str) -> dict[str, str]:
    lines = (line.partition(":") for line in raw.splitlines() if ":" in line)
    return {name: value for name, _, value in lines}
