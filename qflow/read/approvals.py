"""What waits for a person to approve or reject it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from qflow.core.waits import approval_signal
from qflow.errors import UsageError
from qflow.read.nearest import NotFound
from qflow.read.snapshot import scored, text
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.run import Lane


@dataclass(frozen=True, slots=True)
class Pending:
    """An approval that somebody waits for; `id` names it on the command line."""

    id: str
    run: str
    function: str
    step: str
    title: str
    assignee: str
    since: int

    @property
    def signal(self) -> str:
        """The signal that decides it."""
        return approval_signal(self.run, self.id.partition(":")[2])

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {name: getattr(self, name) for name in self.__slots__}


def pending(redis: Redis, keys: Keys, limit: int = 1000) -> list[Pending]:
    """Return the approvals that are waited for, oldest first."""
    members = scored(redis.call("ZRANGE", keys.approvals, 0, limit - 1, "WITHSCORES"))
    commands = [
        command
        for run, _, step in (member.partition(":") for member, _ in members)
        for command in (
            ("HGET", keys.run(run), "fn"),
            ("HGET", keys.open(run), step),
            ("HGET", keys.waits(run), step),
        )
    ]
    found = redis.pipeline(commands) if commands else []
    listed = []
    for at, (member, since) in enumerate(members):
        function, record, wait = found[3 * at : 3 * at + 3]
        if record is None or wait is None:
            continue  # decided meanwhile
        told = json.loads(wait)["approval"]
        listed.append(
            Pending(
                member,
                member.partition(":")[0],
                text(function),
                Lane.parse(text(record)).step,
                told["title"],
                told["assignee"],
                int(since),
            )
        )
    return listed


def find(redis: Redis, keys: Keys, wanted: str) -> Pending:
    """Return the approval of that id, or the only one whose id begins with it or whose run ends in it.

    Raises NotFound where there is none, UsageError where there are several.
    """
    part = wanted.strip()
    every = pending(redis, keys)
    matches = [
        each
        for each in every
        if each.id == part or each.id.startswith(part.upper()) or each.run.endswith(part.upper())
    ]
    exact = [each for each in matches if each.id == part]
    if len(exact or matches) > 1:
        raise UsageError(f"{len(matches)} approvals have ids like {wanted!r}: give more of the id")
    if not matches:
        raise NotFound(f"no approval {wanted!r} is waited for; see `qflow approvals list`")
    return (exact or matches)[0]
