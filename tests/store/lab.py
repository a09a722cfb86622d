"""Calls qflow's scripts one by one, on runs made for the purpose."""

from __future__ import annotations

import json
from typing import Any

from qflow.core.ids import job_id, ulid
from qflow.store import directory, lease, run, stream, timer
from qflow.store import open as open_steps
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.run import Claimed, Held, Lane, Standing, Written
from qflow.store.script import Call
from qflow.store.script import run as execute

FN = "greet"
TTL_S = 500
KEEP = stream.Keep(TTL_S, 700)
WIP_S = 90
LEASE_MS = 30_000


class Lab:
    """One namespace of one Redis, and the calls that move a run through its life."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys
        self._numbers = iter(range(1, 1_000_000))

    def __call__(self, call: Call) -> Any:
        """Run a call of a script that Redis may have just forgotten."""
        self.redis.call("SCRIPT", "FLUSH")
        return execute(self.redis, call)

    @property
    def now_ms(self) -> int:
        """Redis's time."""
        seconds, micros = self.redis.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    # -- to a run

    def publish(
        self, *functions: str, publisher: str = "app:workers", crons: tuple[str, ...] = ()
    ) -> int:
        """Publish functions; return what the script says."""
        specs = [{"id": fn, "app": "app", "version": "v1", "triggers": []} for fn in functions]
        return int(self(directory.publish(self.keys, publisher, specs, crons)))

    @property
    def version(self) -> str:
        """The publication counter."""
        return (self.redis.call("GET", self.keys.functions_version) or b"0").decode()

    def entry(self, **fields: str) -> str:
        """Put an entry on the stream and read it as a router does."""
        stream.ensure_group(self.redis, self.keys)
        flat = [part for pair in (fields or {"name": "go"}).items() for part in pair]
        self.redis.call("XADD", self.keys.events, "*", *flat)
        return stream.read(self.redis, self.keys, "r1", 1, 10)[0].id

    def starting(self, entry: str, event: str, *starts: stream.Start, version: str = "") -> Call:
        """The call that starts runs for an entry."""
        text = json.dumps({"name": "go", "id": event, "ts": 1, "data": {}})
        return stream.start(self.keys, entry, version or self.version, (event, text), KEEP, starts)

    def new(self, function: str = FN) -> stream.Start:
        """A run to create."""
        number = next(self._numbers)
        return stream.Start(function, ulid(self.now_ms, number.to_bytes(10, "big")), "v1", "app")

    def queued(self, function: str = FN) -> str:
        """Create a run; return its id."""
        start = self.new(function)
        assert self(self.starting(self.entry(), f"e{start.run}", start)) == 1
        return start.run

    def beat(self, worker: str = "w1", *running: str, first: bool = True, **pulse: Any) -> Any:
        """Register a worker or renew its lease."""
        facts = {"state": "idle", "finished": 0, "failed": 0, "worked_s": 0.0, **pulse}
        return self(self.beating(worker, *running, first=first, **facts))

    def beating(
        self, worker: str, *running: str, first: bool, lease_ms: int = LEASE_MS, **facts: Any
    ) -> Call:
        """The call of a beat."""
        who = lease.Identity(worker, "host", 42, "0.1.0", "3.11.7")
        pulse = lease.Pulse(**facts, running=running)
        return lease.beat(self.keys, who, lease_ms, WIP_S, pulse, first=first)

    def claim(self, worker: str = "w1", count: int = 1) -> list[Claimed]:
        """Claim jobs as a worker does."""
        reply = self(run.claim(self.keys, worker, count, WIP_S))
        return [] if reply == -2 else [run.claimed(raw) for raw in reply]

    def held(self, worker: str = "w1", function: str = FN) -> tuple[Held, Lane]:
        """Create a run and claim it; return what its transitions start from."""
        created = self.queued(function)
        self.beat(worker)
        (claimed,) = self.claim(worker)
        assert claimed.run == created
        since = claimed.fields["created"]
        return Held(self.keys, created, function, 0, TTL_S, WIP_S, since), claimed.lane

    def stepping(self, worker: str = "w1", step: str = "send", **lane: int) -> tuple[Held, Lane]:
        """Create a run whose worker is executing a step."""
        held, entered = self.held(worker)
        opened = entered.next("s", step, **lane)
        assert self(opening(held, entered, opened)) == 1
        return held, opened

    def forking(
        self,
        held: Held,
        lane: Lane,
        *openings: open_steps.Opening,
        suspend: bool = True,
        known: int = 0,
    ) -> Call:
        """The call that opens steps of a run held by `lane`, and lets go of it."""
        state = open_steps.Suspension(known, len(openings) > 1 or not suspend)
        after = lane.next("w", "") if suspend else lane
        return open_steps.fork(held, (lane, after), run.NOTHING, state, openings, KEEP.ended_s)

    def opened(self, run_id: str) -> dict[str, str]:
        """The records of a run's open steps."""
        return self.hash(self.keys.open(run_id))

    def lead(self, name: str = "s1") -> int:
        """Take the lead; return its token."""
        return lease.lead(self.redis, self.keys, name, LEASE_MS).token

    def due(self, token: int, limit: int = 100) -> timer.Moved:
        """Move due jobs."""
        self.redis.call("SCRIPT", "FLUSH")
        return timer.due(self.redis, self.keys, token, limit, KEEP)

    # -- to look

    def fields(self, run_id: str) -> dict[str, str]:
        """A run's hash."""
        return self.hash(self.keys.run(run_id))

    def steps(self, run_id: str) -> dict[str, str]:
        """A run's finished steps."""
        return self.hash(self.keys.steps(run_id))

    def trace(self, run_id: str) -> list[dict[str, Any]]:
        """A run's trace: the JSON of each entry, with its other fields beside it."""
        entries = self.redis.call("XRANGE", self.keys.trace(run_id), "-", "+")
        told = []
        for _, flat in entries:
            fields = {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}
            told.append({**json.loads(fields.pop("j")), **fields})
        return told

    def job(self, held: Held, lane: Lane) -> dict[str, str]:
        """The RQ hash of a lane's job."""
        return self.hash(self.keys.job(held.job(lane)), lossy=True)

    def hash(self, key: str, *, lossy: bool = False) -> dict[str, str]:
        """A hash as text."""
        flat = [
            raw.decode("utf-8", "replace" if lossy else "strict")
            for raw in self.redis.call("HGETALL", key)
        ]
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def queue(self) -> list[str]:
        """Ids of queued jobs, first to be taken first."""
        return [raw.decode() for raw in self.redis.call("LRANGE", self.keys.queue, 0, -1)]

    def members(self, key: str) -> list[str]:
        """Members of a sorted set, lowest score first."""
        return [raw.decode() for raw in self.redis.call("ZRANGE", key, 0, -1)]

    def ttl(self, key: str) -> int:
        """Seconds until a key expires; -1: never, -2: there is none."""
        return int(self.redis.call("TTL", key))

    def counter(self, name: str) -> int:
        """A total that scripts count."""
        return int(self.redis.call("HGET", self.keys.counters, name) or 0)

    def indexed(self, run_id: str, function: str = FN) -> set[str]:
        """The statuses whose indexes list a run, by status and by function alike."""
        statuses = ("queued", "running", "waiting", "completed", "failed")
        by_status = {s for s in statuses if run_id in self.members(self.keys.by_status(s))}
        by_function = {
            s for s in statuses if run_id in self.members(self.keys.by_function(function, s))
        }
        assert by_status == by_function
        return by_status

    def snapshot(self) -> dict[str, bytes | None]:
        """Every key with its content, for \"this changed nothing\"; without counters and scripts."""
        names = sorted(self.redis.call("KEYS", "*"))
        skipped = {self.keys.counters.encode()}
        return {
            name.decode(): self.redis.call("DUMP", name) for name in names if name not in skipped
        }


def opening(held: Held, lane: Lane, opened: Lane) -> Call:
    """The call that opens a step's job and closes the one before."""
    standing = Standing(lane.record)
    standing.entered, standing.timeout_s = held.job(lane), 30
    return run.open_step(held, opened, standing)


def advancing(
    held: Held,
    lane: Lane,
    following: Lane,
    written: Written,
    *,
    began_ms: int = 0,
    output: str = "",
) -> Call:
    """The call that keeps a step and goes on; its job is opened unless `began_ms` says when it began."""
    standing = Standing(lane.record)
    standing.opened, standing.began_ms = not began_ms, began_ms
    return run.advance(held, lane, standing, following.record, written, 700, output)


def wrote(step: str, result: str = '{"ok":1}', attempt: int = 0) -> Written:
    """What a transition keeps of a finished step."""
    trace = json.dumps({"t": "step", "id": step, "a": attempt, "s": 1, "e": 2, "ok": True})
    return Written(step, result, trace)


__all__ = [
    "FN", "KEEP", "LEASE_MS", "TTL_S", "WIP_S", "Lab", "advancing", "job_id", "opening", "wrote",
]  # fmt: skip
