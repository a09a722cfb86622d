"""The same, by qflow's scripts on a real Redis whose clock stands still until it is moved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from typing import Any

import pytest
from model.models import Event, Member, Started

from qflow.core.control import Control, control_spec
from qflow.core.event import to_text
from qflow.engine.starting import starting
from qflow.store import directory, ending, lease, run, script, stream, timer
from qflow.store import open as opened
from qflow.store.keys import Keys
from qflow.store.open import Opening, Suspension
from qflow.store.redis import Redis
from qflow.store.run import Claimed, Held, Standing, Written
from qflow.store.script import Script
from qflow.store.stream import Keep

KEEP = Keep(500, 700)
CLOCK = "redis.call('TIME')"
MOVED = "{redis.call('GET', 'clock:s'), redis.call('GET', 'clock:us')}"


@contextmanager
def moved_clock(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let scripts read a clock that the test moves."""
    genuine = script.script

    def changed(name: str) -> Script:
        source = genuine(name).source.replace(CLOCK, MOVED)
        return Script(name, source, sha1(source.encode()).hexdigest())

    with patch.context() as patched:
        patched.setattr(script, "script", changed)
        yield


class Real:
    """One function with flow control in one namespace."""

    def __init__(self, redis: Redis, keys: Keys, flow: Control) -> None:
        self.redis, self.keys = redis, keys
        self.now = 1_700_000_000_000
        self.move(0)
        spec = control_spec(flow, "work", "app", "a test")
        self.spec = {"id": "work", "app": "app", "version": "v1", "triggers": [], **spec}
        self._run(directory.publish(keys, "app:workers", [self.spec], ()))
        stream.ensure_group(redis, keys)
        self.token = lease.lead(redis, keys, "s1", 30_000).token
        self.runs: dict[int, str] = {}
        self.began: dict[str, Claimed] = {}
        self._beat()

    def move(self, ms: int) -> None:
        """Move the clock."""
        self.now += ms
        seconds, rest = divmod(self.now, 1000)
        self.redis.pipeline([("SET", "clock:s", seconds), ("SET", "clock:us", rest * 1000)])

    def _run(self, call: script.Call) -> Any:
        return script.run(self.redis, call)

    def _beat(self) -> None:
        who = lease.Identity("w1", "host", 1, "0", "3")
        pulse = lease.Pulse("idle", 0, 0, 0.0, ())
        self._run(lease.beat(self.keys, who, 10**12, 90, pulse, first=True))

    def send(self, event: Event, now: int = 0) -> list[Started]:
        """An event comes."""
        text = to_text(
            f"e{event.n}", "go", event.ts, "", json.dumps({"n": event.n, "key": event.key})
        )
        self.redis.call("XADD", self.keys.events, "*", "name", "go")
        (entry,) = stream.read(self.redis, self.keys, "r1", 1, 10)
        made = starting(self.spec, text, self.now)
        version = self.redis.call("GET", self.keys.functions_version).decode()
        call = stream.start(self.keys, entry.id, version, (f"e{event.n}", text), KEEP, [made])
        assert self._run(call) in (0, 1)
        self.runs[event.n] = self.redis.call("GET", self.keys.seen("work", f"e{event.n}")).decode()
        return self.started()

    def due(self, now: int = 0) -> list[Started]:
        """What a scheduler moves by now."""
        timer.due(self.redis, self.keys, self.token, 1000, KEEP)
        return self.started()

    def next_due(self) -> int:
        """When the next timer is due, 0 where there is none."""
        found = self.redis.call("ZRANGE", self.keys.scheduled, 0, 0, "WITHSCORES")
        return round(float(found[1]) * 1000) if found else 0

    def claim(self) -> Claimed | None:
        """A worker takes the next job."""
        reply = self._run(run.claim(self.keys, "w1", 1, 90))
        return run.claimed(reply[0]) if reply else None

    def started(self) -> list[Started]:
        """Take every job there is; return the runs they are of."""
        found = []
        while (claimed := self.claim()) is not None:
            fields = claimed.fields
            self.began[claimed.run] = claimed
            texts = [fields["event"]] + [
                fields[f"event:{n}"] for n in range(2, int(fields.get("batched", "1")) + 1)
            ]
            found.append(Started(self.now, tuple(json.loads(text)["data"]["n"] for text in texts)))
        return sorted(found)

    def queued(self) -> list[Member]:
        """Who is queued, by the number of the event, first to be taken first."""
        raw = self.redis.call("LRANGE", self.keys.queue, 0, -1)
        return [self.member(job.decode()) for job in raw]

    def member(self, job: str) -> Member:
        """Who a job is of."""
        run_id, step, _ = job.split("-")
        number = next(n for n, each in self.runs.items() if each == run_id)
        is_open = self.redis.call("HEXISTS", self.keys.open(run_id), step)
        return Member(number, step if is_open else "")

    def status(self, n: int) -> str:
        """The status of an event's run."""
        return str(self.redis.call("HGET", self.keys.run(self.runs[n]), "status").decode())

    def held(self, claimed: Claimed) -> Held:
        """What a transition of a claimed run starts from."""
        fields = claimed.fields
        return Held(
            self.keys,
            claimed.run,
            "work",
            0,
            500,
            90,
            fields["created"],
            True,
            fields.get("flow", ""),
        )

    def complete(self, claimed: Claimed) -> None:
        """The handler returns."""
        lane = claimed.lane
        ended = lane.next("e", lane.step)
        call = run.advance(
            self.held(claimed), lane, Standing(lane.record), ended.record, Written(), 700, "null"
        )
        assert self._run(call) == [1]

    def fork(self, claimed: Claimed, steps: Sequence[str]) -> None:
        """The handler asks for steps at once, and is suspended."""
        lane = claimed.lane
        openings = [Opening(step, {"kind": "run", "attempt": 0, "deaths": 0}) for step in steps]
        known = int(self.redis.call("HGET", self.keys.run(claimed.run), "settled") or 0)
        state = Suspension(known, grouped=True)
        lanes = lane, lane.next("w", "")
        call = opened.fork(self.held(claimed), lanes, Written(), state, openings, 700)
        assert self._run(call) == 1
        assert self._run(call) == 2

    def settle(self, claimed: Claimed) -> None:
        """An open step ends."""
        lane = claimed.lane
        written = Written(lane.step, '{"ok":1}', '{"t":"step"}')
        assert self._run(opened.settle(self.held(claimed), lane, written, "")) == 1

    def reopen(self, claimed: Claimed) -> None:
        """An open step fails, and is to be tried again at once."""
        lane = claimed.lane
        lanes = lane, lane.next("d", lane.step, lane.attempt + 1)
        assert self._run(opened.reopen(self.held(claimed), lanes, "Traceback", 0, "{}")) == 1
        timer.due(self.redis, self.keys, self.token, 1000, KEEP)

    def cancel(self, n: int) -> None:
        """A run is cancelled by hand."""
        what = ending.Cancel(self.runs[n], "r", "by a test")
        self._run(ending.cancel(self.keys, what, KEEP))

    def step(self, claimed: Claimed, name: str) -> Claimed | None:
        """A step ends and the next begins; return the run as it goes on, None where it waits."""
        lane = claimed.lane
        following = lane.next("s", name)
        written = Written(f"before {name}", '{"ok":1}', '{"t":"step"}')
        call = run.advance(
            self.held(claimed), lane, Standing(lane.record), following.record, written, 700
        )
        (reply,) = self._run(call)
        assert self._run(call) in ([4], [2]) if reply == 4 else reply == 1
        return None if reply == run.YIELDED else claimed._replace(lane=following)
