"""Carries actions on many runs on: takes them in hand, a few runs at a time, at the pace they ask for.

Any number of processes may try; one holds an action at a time, and when it dies another goes on. What
the first had done and not noted yet is found done: a cancelled run is cancelled, a run that is made
again has an id that follows from the action's and the old run's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from qflow.core.ids import ulid, ulid_ms
from qflow.engine.cancelling import cancel_all
from qflow.engine.rerunning import Rerunner
from qflow.errors import QflowError
from qflow.store import again, bulk, script
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.stream import Keep

LEASE_MS: Final = 5_000
_ROUND_S: Final = 0.25
_MOST: Final = 100

Outcome = str | None
"""What became of a run: "" done, None left out, else why it could not be."""


class Bulks:
    """Works on the actions that are open, as the process `holder`."""

    def __init__(self, redis: Redis, keys: Keys, keep: Keep, holder: str) -> None:
        self._redis = redis
        self._keys = keys
        self._keep = keep
        self._holder = holder
        self._due: dict[str, float] = {}

    def work(self) -> float:
        """Do what is due now; return in how many seconds to look again."""
        names = [raw.decode() for raw in self._redis.call("SMEMBERS", self._keys.bulks_open)]
        self._due = {name: self._due.get(name, 0.0) for name in names}
        for name in names:
            if self._due[name] <= time.monotonic():
                self._due[name] = time.monotonic() + self._round(name)
        soonest = min(self._due.values(), default=time.monotonic() + 1.0)
        return max(0.02, min(1.0, soonest - time.monotonic()))

    def _round(self, name: str) -> float:
        """Act on the next runs of one action; return in how many seconds it is due again."""
        taken = bulk.take(self._keys, name, self._holder, LEASE_MS)
        token, wait_ms = script.run(self._redis, taken)
        if token <= 0:
            return max(0.1, float(wait_ms) / 1000)
        kind, who, rate_text = self._redis.call(
            "HMGET", self._keys.bulk(name), "kind", "who", "rate"
        )
        rate = float(rate_text)
        count = max(1, min(_MOST, int(rate * _ROUND_S)))
        raw = self._redis.call("LRANGE", self._keys.bulk_left(name), 0, count - 1)
        runs = [each.decode() for each in raw]
        if not runs:
            return 1.0
        outcomes = self._acts()[kind.decode()](name, runs, who.decode())
        faults = [f"{run} {why}" for run, why in zip(runs, outcomes, strict=True) if why]
        told = bulk.Step(runs[0], len(runs), outcomes.count(""), outcomes.count(None), faults)
        script.run(self._redis, bulk.step(self._keys, name, token, LEASE_MS, told))
        return len(runs) / rate

    def _acts(self) -> dict[str, Callable[[str, Sequence[str], str], list[Outcome]]]:
        return {"cancel": self._cancel, "rerun": self._rerun, "retry": self._retry}

    def _cancel(self, name: str, runs: Sequence[str], who: str) -> list[Outcome]:
        reason = f"by {who}, {name}"
        ended = {
            each.run: each.status
            for each in cancel_all(self._redis, self._keys, runs, reason, self._keep)
        }
        late = [run for run in runs if ended[run]]
        mine = self._redis.pipeline([("HGET", self._keys.run(run), "reason") for run in late])
        before = {run for run, why in zip(late, mine, strict=True) if why == reason.encode()}
        return ["" if not ended[run] or run in before else None for run in runs]

    def _rerun(self, name: str, runs: Sequence[str], _who: str) -> list[Outcome]:
        rerunner = Rerunner(self._redis, self._keys, self._keep)
        earlier = self._redis.pipeline([("HGET", self._keys.run(run), "again") for run in runs])
        outcomes: list[Outcome] = []
        for run, made in zip(runs, earlier, strict=True):
            new = made_from(name, run)
            if made is not None:
                outcomes.append("" if made.decode() == new else None)
                continue
            try:
                rerunner.rerun(run, as_run=new)
                outcomes.append("")
            except QflowError as error:
                outcomes.append(str(error))
        return outcomes

    def _retry(self, _name: str, runs: Sequence[str], _who: str) -> list[Outcome]:
        ttl_s = self._keep.ttl_s
        calls = [again.hasten(self._keys, run, "retry", "", ttl_s) for run in runs]
        return ["" if script.run(self._redis, call)[0] == 1 else None for call in calls]


def made_from(name: str, run: str) -> str:
    """Return the id of the run that an action makes from another: always the same."""
    return ulid(ulid_ms(name), sha256(f"{name}|{run}".encode()).digest()[:10])
