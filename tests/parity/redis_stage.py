"""Cases of parity on router, scheduler and a worker, on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cases.world import World
from parity.stages import RUN, Failure, Outcome

from qflow import Event
from qflow.core.status import ENDED
from qflow.engine.rerunning import Change, Rerunner
from qflow.read.finished import before
from qflow.store import again, pause, script
from qflow.store.stream import Keep


class RedisStage:
    """Router, scheduler and a worker on a real Redis."""

    def __init__(self, world: World) -> None:
        self.app = world.app
        self._world = world
        self._served = False

    def send(
        self, name: str, data: Mapping[str, Any] | None = None, id: str = "", **fields: Any
    ) -> str:
        self._serve()
        return self._world.send(name, data, **({"id": id} if id else {}), **fields)

    def _serve(self) -> None:
        if not self._served:
            self._served = True
            self._world.worker()

    def signal(self, name: str, data: Any = None) -> None:
        self._world.until(lambda: self.app.signal(name, data), f"a step to wait for {name}")

    def ended(self, event: str, function: str) -> Outcome:
        return self._outcome(self._world.run_of(event, function))

    def outcomes(self, function: str, count: int) -> list[Outcome]:
        self.handled()
        world = self._world

        def runs() -> list[str]:
            raw = [each.decode() for each in world.redis.call("ZRANGE", world.keys.runs, 0, -1)]
            looked = [(world.look(run).fields, run) for run in raw]
            found = [
                (int(at["created"]), _place(at["entry"]), run)
                for at, run in looked
                if at["fn"] == function
            ]
            return [run for *_, run in sorted(found)]

        world.until(lambda: len(runs()) == count, f"{count} runs of {function}")
        return [self._outcome(run) for run in runs()]

    def _outcome(self, run_id: str) -> Outcome:
        run = self._world.until_status(run_id, *ENDED)
        told, delays = [], []
        if why := run.fields.get("held", ""):
            told.append(("", 0, why))
        for entry in self._entries(run.id):
            if entry["t"] == "step":
                told.append((entry["id"], entry["a"], "ok" if entry["ok"] else "failed"))
            elif entry["t"] == "retry":
                told.append((entry["id"], entry["a"], "retry"))
            elif entry["t"] in ("sleep", "wait"):
                told.append((entry["id"], 0, entry["t"]))
            delays += [entry["due"] - entry["ms"]] if "due" in entry else []
        if run.status != "failed":
            output = run.output if run.status == "completed" else None
            reason = RUN.sub("RUN", run.fields.get("reason", ""))
            return Outcome(run.status, output, None, told, delays, reason)
        failure = Failure(run.error["name"], run.error["message"], run.error.get("step", ""))
        return Outcome(run.status, None, failure, told, delays)

    def until(self, event: str, function: str, status: str) -> None:
        self._world.until_status(self._world.run_of(event, function), status)

    def is_(self, event: str, function: str, status: str) -> bool:
        return self._world.look(self._world.run_of(event, function)).status == status

    def send_all(self, events: Sequence[Event]) -> None:
        self._served = True
        self._world.publish()
        self.app.send(events)
        self.handled()
        self._world.worker(slots=1)

    def handled(self) -> None:
        world = self._world
        pending = ("XINFO", "GROUPS", world.keys.events)
        world.until(lambda: _handled(world.redis.call(*pending)), "all events to be handled")

    def cancel(self, event: str, function: str) -> bool:
        return self.app.cancel(self._world.run_of(event, function))

    def cancel_only(self, function: str) -> None:
        world = self._world
        waiting = world.keys.by_function(function, "waiting")
        [run] = world.until(lambda: world.redis.call("ZRANGE", waiting, 0, -1), "a waiting run")
        assert self.app.cancel(run.decode())

    def passed(self, event: str, function: str, span: str, status: str) -> None:
        self.until(event, function, status)

    def slept(self, event: str, function: str, span: str) -> None:
        run = self._world.run_of(event, function)
        self._world.until(lambda: self._world.look(run).told("step"), f"the end of {span}")

    def until_retry(self, event: str, function: str) -> None:
        run = self._world.run_of(event, function)
        self._world.until(lambda: self._world.look(run).told("retry"), "a failed try")

    def settled(self, predicate: Callable[[], bool], what: str) -> None:
        self._world.until(predicate, what)

    def pause(self, function: str, how: str) -> None:
        self._serve()
        script.run(self._world.redis, pause.pause(self._world.keys, function, how))

    def resume(self, function: str) -> None:
        while pause.unpause(self._world.redis, self._world.keys, function).left:
            pass

    def rerun(self, event: str, function: str, step: str = "", data: Any = ...) -> Outcome:
        redis, keys = self._world.redis, self._world.keys
        run = self._world.run_of(event, function)
        kept = before(redis, keys, run, step).kept if step else ()
        change = Change()
        if data is not ...:
            change = Change(step=step, input=data) if step else Change(data=data)
        return self._outcome(Rerunner(redis, keys, Keep(500, 700)).rerun(run, change, kept))

    def hasten(self, event: str, function: str, what: str) -> None:
        run = self._world.run_of(event, function)
        call = again.hasten(self._world.keys, run, what, "", 500)
        assert script.run(self._world.redis, call)[0] == 1

    def started(self) -> dict[str, int]:
        self.handled()
        world = self._world
        counts: dict[str, int] = {}
        for raw in world.redis.call("ZRANGE", world.keys.runs, 0, -1):
            function = world.look(raw.decode()).fields["fn"]
            counts[function] = counts.get(function, 0) + 1
        return counts

    def _entries(self, run: str) -> list[dict[str, Any]]:
        found = []
        raw = self._world.redis.call("XRANGE", self._world.keys.trace(run), "-", "+")
        told = self._world.look(run).trace
        for (entry, flat), fields in zip(raw, told, strict=True):
            pairs = dict(zip(flat[::2], flat[1::2], strict=True))
            due = {"due": int(pairs[b"due"])} if b"due" in pairs else {}
            found.append({**fields, **due, "ms": int(entry.split(b"-")[0])})
        return found


def _place(entry: str) -> tuple[int, int]:
    ms, _, number = entry.partition("-")
    return int(ms), int(number)


def _handled(groups: list[list[Any]]) -> bool:
    facts = [dict(zip(group[::2], group[1::2], strict=True)) for group in groups]
    return all(not fact[b"pending"] and not fact[b"lag"] for fact in facts)
