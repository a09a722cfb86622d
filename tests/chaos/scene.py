"""A Redis of its own and qflow's real processes on it, to be killed; and the accounts at the end."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import qflow
from qflow.core import codec
from qflow.core.status import UNFINISHED
from qflow.read.audit import audit
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.leaks import leaks
from qflow.testing.processes import Process, Qflow
from qflow.testing.server import RedisServer

T = TypeVar("T")

FLOWS: Final = str(Path(__file__).resolve().with_name("flows"))
SCHEDULES: Final = str(Path(__file__).resolve().with_name("schedules"))
DEADLINE_S: Final = 60.0
NAMESPACE: Final = "chaos"


class Report(NamedTuple):
    """A run as its user sees it: how it ended, its results, and every execution of its steps."""

    id: str
    fields: dict[str, str]
    steps: dict[str, str]
    trace: list[dict[str, Any]]
    effects: list[tuple[str, str, list[str], int]]

    @property
    def output(self) -> Any:
        """What the handler returned."""
        assert self.fields.get("status") == "completed", self.fields
        return codec.decode(self.fields["output"])

    @property
    def executions(self) -> Counter[str]:
        """How often each step was executed."""
        return Counter(step for step, _, _, _ in self.effects)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return the entries of one kind in its trace."""
        return [entry for entry in self.trace if entry["t"] == kind]

    def check(self) -> int:
        """Hold a run of the load to its contract; return how many executions were repeats.

        Every step was committed once, and every execution of a later step saw the committed values.
        """
        output, marks = self.output, {step: set[str]() for step in self.executions}
        expected = [f"s{n}" for n in range(len(output))]
        for step, mark, seen, _ in self.effects:
            marks[step].add(mark)
            assert seen == output[: expected.index(step)], (self.id, step, seen, output)
        assert sorted(marks) == sorted(expected), (self.id, marks)
        for step, value in zip(expected, output, strict=True):
            assert value in marks[step], (self.id, step, value, marks[step])
            assert codec.decode(json.dumps(json.loads(self.steps[step])["ok"])) == value
        assert set(self.steps) - {"pause"} == set(expected), self.steps
        committed = Counter(entry["id"] for entry in self.told("step"))
        assert committed == dict.fromkeys(self.steps, 1), (self.id, committed)
        assert len(self.told("end")) == 1, self.trace
        return len(self.effects) - len(expected)


class Scene:
    """The processes of one test. `url` is how they reach Redis where it is not directly."""

    def __init__(self, folder: Path, server: RedisServer, url: str = "", **env: str) -> None:
        self.server = server
        self.keys = Keys(NAMESPACE)
        self.redis = Redis(server.url, DEADLINE_S)
        effects = server.url.removesuffix("/0") + "/1"
        self.effects = Redis(effects, DEADLINE_S)
        settings = {
            "QFLOW_NAMESPACE": NAMESPACE,
            "QFLOW_LEASE": "1s",
            "QFLOW_SLOTS": "4",
            "QFLOW_LOG_LEVEL": "error",
            "CHAOS_EFFECTS": effects,
            **env,
        }
        self.qflow = Qflow(folder, url or server.url, settings)
        self.app = qflow.App("sender", redis_url=server.url, namespace=NAMESPACE)
        self._direct = server.url

    def close(self) -> None:
        """End the processes, whatever state they are in."""
        for process in self.qflow.processes:
            process.kill()
        self.redis.close()
        self.effects.close()

    # -- processes

    def spawn(self, kind: str, folder: str = FLOWS, **env: str) -> Process:
        """Start a worker, router or scheduler, and return at once."""
        args = (kind, folder) if kind == "worker" else (kind,)
        return self.qflow.spawn(*args, env=env)

    def start(self, kind: str, folder: str = FLOWS, **env: str) -> Process:
        """Start a worker, router or scheduler, and wait until it does its work."""
        process = self.spawn(kind, folder, **env)
        self.until(lambda: self.is_up(process), f"the {kind} to start")
        return process

    def start_all(self, *kinds: str) -> list[Process]:
        """Start several at once and wait for all."""
        processes = [self.spawn(kind) for kind in kinds]
        for process in processes:
            self.until(lambda process=process: self.is_up(process), "a process to start")
        return processes

    def is_up(self, process: Process) -> bool:
        """Tell whether a process has registered; AssertionError where it has ended."""
        assert process.exit_code is None, process.tail()
        kind, pid = process.args[0], str(process.pid)
        if kind == "worker":
            names = self.redis.call("ZRANGE", self.keys.leases, 0, -1)
        elif kind == "router":
            names = self.redis.call("KEYS", self.keys.process("router", "*"))
        else:
            names = [self.redis.call("HGET", self.keys.leader, "holder") or b""]
        return any(name.decode().split(".")[-2:-1] == [pid] for name in names)

    def name_of(self, worker: Process) -> str:
        """Return the name under which a worker holds its lease."""
        names = [raw.decode() for raw in self.redis.call("ZRANGE", self.keys.leases, 0, -1)]
        return next(name for name in names if name.split(".")[-2] == str(worker.pid))

    def until(self, predicate: Callable[[], T], what: str, timeout: float = DEADLINE_S) -> T:
        """Return `predicate()` once it is true."""
        return self.qflow.wait_for(predicate, timeout, what)

    # -- events and runs

    def send(self, name: str, count: int = 1, prefix: str = "e", **data: Any) -> list[str]:
        """Send events with ids of `prefix` and a number; return the ids."""
        events = [qflow.Event(name, data=data, id=f"{prefix}-{name[5:]}-{n}") for n in range(count)]
        return self.app.send(events)

    def run_of(self, function: str, event: str) -> str:
        """Return the run of an event once there is one."""
        key = self.keys.seen(function, event)
        return self.until(lambda: self.redis.call("GET", key), f"a run of {event}").decode()

    def until_inside(self, run: str, worker: Process) -> None:
        """Wait until a step of `hold` executes in this worker."""
        pid = str(worker.pid).encode()
        self.until(
            lambda: self.effects.call("SISMEMBER", f"inside:{run}", pid), "a step to execute"
        )

    def until_ended(self, count: int, timeout: float = DEADLINE_S) -> None:
        """Wait until `count` runs have ended and none is unfinished."""
        keys = [self.keys.runs, *map(self.keys.by_status, UNFINISHED)]

        def ended() -> bool:
            total, *unfinished = self.redis.pipeline([("ZCARD", key) for key in keys])
            return int(total) - sum(unfinished) >= count and not any(unfinished)

        try:
            self.until(ended, f"{count} runs to end", timeout)
        except AssertionError:
            for report in self.reports(self._unfinished()):
                print(report.fields, report.trace)
            for process in self.qflow.processes:
                if process.args[0] == "worker" and process.exit_code is None:
                    process.send(signal.SIGUSR1)
            print("\nopen:", self.leftovers(), self.redis.call("LLEN", self.keys.queue), flush=True)
            time.sleep(0.5)
            raise

    def _unfinished(self) -> list[str]:
        keys = map(self.keys.by_status, UNFINISHED)
        found = self.redis.pipeline([("ZRANGE", key, 0, 9) for key in keys])
        return [raw.decode() for runs in found for raw in runs]

    def runs(self, function: str, status: str = "completed") -> list[str]:
        """Return the runs of a function in a status."""
        return [
            raw.decode()
            for raw in self.redis.call("ZRANGE", self.keys.by_function(function, status), 0, -1)
        ]

    def report(self, run: str) -> Report:
        """Return a run as it is now."""
        return next(self.reports([run]))

    def reports(self, runs: Iterable[str]) -> Iterator[Report]:
        """Yield runs as they are now."""
        runs = list(runs)
        for at in range(0, len(runs), 200):
            page = runs[at : at + 200]
            found = self.redis.pipeline(
                [
                    command
                    for run in page
                    for command in (
                        ("HGETALL", self.keys.run(run)),
                        ("HGETALL", self.keys.steps(run)),
                        ("XRANGE", self.keys.trace(run), "-", "+"),
                    )
                ]
            )
            effects = self.effects.pipeline([("SMEMBERS", f"effects:{run}") for run in page])
            for n, run in enumerate(page):
                fields, steps, trace = found[3 * n : 3 * n + 3]
                told = [_told(entry) for entry in trace]
                yield Report(
                    run,
                    _texts(fields),
                    _texts(steps),
                    told,
                    [tuple(json.loads(raw)) for raw in effects[n]],
                )

    def counter(self, name: str) -> int:
        """Return a total that scripts count."""
        return int(self.redis.call("HGET", self.keys.counters, name) or 0)

    # -- the end

    def check_load(self, functions: Mapping[str, int]) -> int:
        """Check that these functions have completed as many runs, all sound; return the repeats."""
        repeats = 0
        for function, count in functions.items():
            runs = self.runs(function)
            failed = list(self.reports(self.runs(function, "failed")))[:3]
            assert len(runs) == count, (function, len(runs), count, failed)
            repeats += sum(report.check() for report in self.reports(runs))
        return repeats

    def check_quiet(self) -> None:
        """Check that nothing is left over: first beside the living processes, then without them."""
        self.check_no_leftovers()
        self.let_doctor_look()
        self.qflow.stop()
        assert self.leftovers() == []
        left = self.redis.pipeline([("SCARD", self.keys.rq_workers), ("ZCARD", self.keys.leases)])
        assert left == [0, 0], left

    def check_no_leftovers(self) -> None:
        """Check, beside living processes, that nothing is left over and no run is stuck."""
        try:
            self.until(lambda: not self.leftovers(), "nothing to be left over", 20)
        except AssertionError:
            print(self.leftovers())
            raise
        assert audit(self.redis, self.keys).findings == ()

    def leftovers(self) -> list[str]:
        """Return what a quiet system must not have: work, and marks of the dead."""
        keys = self.keys
        empty = {
            keys.queue: "LLEN",
            keys.wip: "ZCARD",
            keys.scheduled: "ZCARD",
            **{keys.by_status(status): "ZCARD" for status in UNFINISHED},
        }
        counts = self.redis.pipeline([(command, key) for key, command in empty.items()])
        found = [f"{key}: {n}" for key, n in zip(empty, counts, strict=True) if n]
        found += [raw.decode() for raw in self.redis.call("KEYS", keys.lanes("*"))]
        pids = {str(p.pid) for p in self.qflow.processes if p.exit_code is None}
        leases = [raw.decode() for raw in self.redis.call("ZRANGE", keys.leases, 0, -1)]
        found += [f"lease of {name}" for name in leases if name.split(".")[-2] not in pids]
        workers = [raw.decode() for raw in self.redis.call("SMEMBERS", keys.rq_workers)]
        found += [name for name in workers if name.split(".")[-2] not in pids]
        pending = self.redis.call("XPENDING", keys.events, "router")[0]
        if pending:
            found.append(f"{pending} events pending")
        return found + leaks(self.redis, keys)

    def let_doctor_look(self) -> None:
        """Let `qflow doctor --audit` look for stuck runs."""
        done = self.qflow.run("doctor", "--audit", "--json", "--redis-url", self._direct)
        report = json.loads(done.stdout)
        assert report["audit"]["findings"] == [], report["audit"]
        bad = [found for found in report["findings"] if found["level"] == "bad"]
        assert not bad and done.returncode == 0, (bad, done.stderr)


@contextmanager
def timed(what: str) -> Iterator[dict[str, Any]]:
    """Print figures at the end of a test, with its duration (`pytest -s` shows them)."""
    began = time.monotonic()
    figures: dict[str, Any] = {}
    yield figures
    told = " ".join(f"{name}={value}" for name, value in figures.items())
    print(f"\n[{what}] {told} seconds={time.monotonic() - began:.1f}")


def _told(entry: Any) -> dict[str, Any]:
    """Return a trace entry with what stands beside its JSON, and Redis's time of it as `ms`."""
    fields = _texts(entry[1])
    beside = {name: value for name, value in fields.items() if name != "j"}
    return {**json.loads(fields["j"]), **beside, "ms": int(entry[0].partition(b"-")[0])}


def _texts(flat: list[bytes]) -> dict[str, str]:
    texts = [item.decode("utf-8", "surrogatepass") for item in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
