"""Writes runs into Redis as the engine does, one transition at a time, without services."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from qflow.core.ids import ulid
from qflow.core.outcome import Again, Complete, Done, Effect, Fail, Open, Sleep
from qflow.engine.apply import Retention, apply
from qflow.store import directory, invoke, lease, script, stream, timer
from qflow.store.keys import Keys
from qflow.store.open import Opening, Suspension, fork
from qflow.store.redis import Redis
from qflow.store.run import NOTHING, Held, Lane, Standing, claim, claimed, open_step

ERROR = {"name": "ValueError", "message": "no such thing", "traceback": "Traceback…\nValueError"}
OLD_MS = 1_000_000_000_000


class Hand:
    """A run in the hands of a worker: each method is one transition of it."""

    def __init__(self, scene: Scene, job: Any) -> None:
        self.scene = scene
        self.run: str = job.run
        self.held = Held(scene.keys, job.run, job.fields["fn"], 0, 500, 500, job.fields["created"])
        self.lane: Lane = job.lane
        self.done: Done | None = None

    def open(self, step: str) -> Hand:
        self._apply(Open(step, 0, 0, 0))
        call = open_step(self.held, self.lane, Standing(self.lane.record))
        assert script.run(self.scene.redis, call) == 1
        return self

    def store(
        self, value: object = None, *, step: str = "", took_ms: int = 5, log: str = ""
    ) -> Hand:
        """The step at hand gave `value`; written with what comes next."""
        now = self.scene.now_ms()
        text = json.dumps({"ok": value})
        self.done = Done(
            step or self.lane.step, text, self.lane.attempt, now - took_ms, now, ok=True, log=log
        )
        return self

    def store_error(self) -> Hand:
        now = self.scene.now_ms()
        text = json.dumps({"error": ERROR})
        self.done = Done(self.lane.step, text, self.lane.attempt, now - 3, now, ok=False)
        return self

    def sleep(self, step: str, delay_ms: int) -> Hand:
        return self._apply(Sleep(step, delay_ms, 0))

    def again(self, delay_ms: int) -> Hand:
        now, lane = self.scene.now_ms(), self.lane
        effect = Again(lane.step, lane.attempt + 1, 0, delay_ms, json.dumps(ERROR), now - 3, now)
        return self._apply(effect)

    def complete(self, output: object = None) -> Hand:
        return self._apply(Complete(json.dumps(output)))

    def fail(self) -> Hand:
        return self._apply(Fail(json.dumps(ERROR)))

    def fork(self, **specs: dict[str, Any]) -> Hand:
        """Open steps by name, and let go of the run."""
        after = self.lane.next("w", "")
        openings = [Opening(step, spec) for step, spec in specs.items()]
        call = fork(self.held, (self.lane, after), NOTHING, Suspension(0, True), openings, 700)
        assert script.run(self.scene.redis, call) == 1
        self.lane = after
        return self

    def _apply(self, effect: Effect) -> Hand:
        standing = Standing(self.lane.record)
        applied = apply(effect, self.held, self.lane, standing, self.done, Retention(600, 600))
        (call,) = applied.calls
        assert script.run(self.scene.redis, call) in (1, [1])
        self.lane, self.done = applied.lane, None
        return self


JOB: dict[str, Any] = {"kind": "run", "attempt": 0, "deaths": 0}


def waiting(kind: str, step: str, wants: str, **spec: Any) -> dict[str, Any]:
    """What a step that waits is opened with."""
    note = {"t": "wait", "kind": kind, "id": step, "for": wants}
    told = "signal" if kind == "approval" else kind
    base = {"kind": told, "late": '{"ok":null}', "delay_ms": 0, "due_ms": 0, "at": 1}
    return {**base, "note": json.dumps(note), **spec}


class Scene:
    """A namespace with published functions, workers and runs."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys

    def now_ms(self) -> int:
        seconds, micros = self.redis.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def publish(self, *functions: str, **more: Any) -> None:
        specs = [
            {
                "id": function, "name": function, "app": "shop", "triggers": [{"event": "order/paid"}],
                "retries": 4, "timeout_ms": 0, "version": "1", "file": "", "line": 0, **more,
            }
            for function in functions
        ]  # fmt: skip
        script.run(self.redis, directory.publish(self.keys, "shop:workers", specs, []))

    def start(self, function: str, data: object = None, **terms: Any) -> str:
        now = time.time_ns() // 1_000_000
        run = ulid(now, os.urandom(10))
        event = json.dumps({"name": "order/paid", "id": run, "ts": now, "data": data or {"n": 1}})
        made = stream.Start(function, run, "1", "shop", json.dumps(terms) if terms else "")
        call = invoke.invoke(self.keys, made, (run, event), stream.Keep(500, 700))
        assert script.run(self.redis, call) == invoke.STARTED
        return run

    def enlist(self, worker: str = "w1", lease_ms: int = 30_000) -> None:
        """Register a worker and its lease."""
        who = lease.Identity(worker, "host", 7, "1", "3.11")
        pulse = lease.Pulse("busy", 0, 0, 0.0, ())
        script.run(self.redis, lease.beat(self.keys, who, lease_ms, 500, pulse, first=True))

    def claim(self, worker: str = "w1") -> Hand:
        (reply,) = script.run(self.redis, claim(self.keys, worker, 1, 500))
        return Hand(self, claimed(reply))

    def die(self, worker: str = "w1") -> None:
        """The worker's lease lapses, and the rescuer returns its runs."""
        self.redis.call("ZADD", self.keys.leases, 1, worker)
        assert script.run(self.redis, lease.rescue(self.keys, worker, 500, leaving=False)) >= 0

    def due(self) -> None:
        """The leading scheduler moves what is due, all timers having come due by now."""
        led = lease.lead(self.redis, self.keys, "scheduler", 30_000)
        for job in self.redis.call("ZRANGE", self.keys.scheduled, 0, -1):
            self.redis.call("ZADD", self.keys.scheduled, "XX", 1, job)
        timer.due(self.redis, self.keys, led.token, 100, stream.Keep(60, 60))

    def fetch(self, run: str, field: str) -> str:
        return (self.redis.call("HGET", self.keys.run(run), field) or b"").decode()
