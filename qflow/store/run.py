"""A run's moves: claim its job, and the four ways a worker lets go of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from qflow.core.ids import job_id, step_hash
from qflow.store import failure
from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.script import Call

NO_TIMEOUT: Final = -1
CANCELLED: Final = 3
"""A transition's reply where the run was cancelled meanwhile."""
YIELDED: Final = 4
"""A transition's reply where the run has to wait for its slots, behind others."""


class Lane(NamedTuple):
    """Who may write what comes next in a run: the fencing record, as the run hash keeps it.

    `state` is q (queued), s (started), d (delayed), h (held by a pause), w (waits for open steps) or e
    (ended). `token` grows with every job of the run. `attempt` counts all tries of `step`, `deaths` those
    that ended with their worker. An open step has a record of the same form, where w says that it waits
    for something outside.
    """

    state: str
    token: int
    attempt: int
    deaths: int
    worker: str
    step: str

    @property
    def record(self) -> str:
        """The text in the run hash."""
        state, token, attempt, deaths, worker, step = self
        return f"{state}|{token}|{attempt}|{deaths}|{worker}|{step}"

    @classmethod
    def parse(cls, record: str) -> Lane:
        """Read a record; raises ValueError for anything else."""
        state, token, attempt, deaths, worker, step = record.split("|", 5)
        return cls(state, int(token), int(attempt), int(deaths), worker, step)

    def next(self, state: str, step: str, attempt: int = 0, deaths: int = 0) -> Lane:
        """Return the record that follows this one under the next token."""
        worker = self.worker if state == "s" else ""
        return Lane(state, self.token + 1, attempt, deaths, worker, step)


class Written(NamedTuple):
    """What a transition keeps of a finished step, all empty where there is none."""

    step: str = ""
    result: str = ""
    trace: str = ""


NOTHING: Final = Written()


@dataclass(slots=True)
class Standing:
    """How a claimed run stands in Redis, while its worker is a step ahead of that.

    `record` is the lane there. `entered` is the job of that record where it only led to the current
    one and has yet to be closed, else empty. `opened` tells whether the current job has been written,
    `began_ms` when it began where not, `timeout_s` what its step is allowed.
    """

    record: str
    entered: str = ""
    opened: bool = True
    began_ms: int = 0
    timeout_s: int = NO_TIMEOUT


@dataclass(frozen=True)
class Held:
    """A run whose lane a worker holds: what every transition of it starts from."""

    keys: Keys
    run: str
    function: str
    attempt: int
    ttl_s: int
    wip_ttl_s: int
    created: str = "0"
    plain: bool = True
    """Whether the run's end concerns nobody but itself: advance.lua sees to it then."""
    flow: str = ""
    """The limits that it holds slots of."""

    @cached_property
    def run_keys(self) -> tuple[str, str, str]:
        """Keys of the run, its steps and its trace."""
        return self.keys.run(self.run), self.keys.steps(self.run), self.keys.trace(self.run)

    def job(self, lane: Lane) -> str:
        """Return the id of the job that `lane` stands for."""
        return job_id(self.run, lane.step, lane.token)

    def about(self, step: str) -> str:
        """Return a job's description: function and step."""
        return f"{self.function}/{step}" if step else self.function


def claim(keys: Keys, worker: str, count: int, wip_ttl_s: int) -> Call:
    """Take up to `count` jobs; see claim.lua for the reply."""
    return Call(
        "claim",
        (keys.queue, keys.wake, keys.leases, keys.lanes(worker), keys.wip, keys.scheduled),
        (keys.ns, RQ, worker, wip_ttl_s),
        ((1,),) * count,
    )


def adopt(keys: Keys, worker: str, lease_ms: int, job: str) -> Call:
    """Take a job that a stock RQ worker popped; see adopt.lua for the reply."""
    return Call(
        "adopt", (keys.leases, keys.lanes(worker), keys.scheduled), (keys.ns, worker, lease_ms, job)
    )


def advance(
    held: Held,
    lane: Lane,
    standing: Standing,
    next_record: str,
    written: Written,
    retention_s: int,
    output: str = "",
) -> Call:
    """Keep a finished step, if any, and go on under this worker: with `next_record`, or with the
    run's end where there is `output`, which is kept for `retention_s` then. Before its next step a run
    with limits may have to wait for its slots (YIELDED)."""
    moves_on = output or not next_record.endswith("|")
    keys, head = _heads(held.keys, lane.worker, held.ttl_s, retention_s)
    return Call(
        "advance",
        keys,
        head,
        (
            (
                held.run, standing.record, next_record, standing.entered, held.job(lane),
                "" if standing.opened else standing.began_ms, *written, held.function,
                standing.timeout_s, held.created, output,
                held.flow if moves_on else "",
            ),
        ),
    )  # fmt: skip


@lru_cache(maxsize=64)
def _heads(
    keys: Keys, worker: str, ttl_s: int, retention_s: int
) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Keys and arguments that all runs of a worker advance with."""
    return (
        (keys.wip, keys.finished, keys.lanes(worker)),
        (keys.ns, RQ, worker, JOB_DATA, ttl_s, retention_s),
    )


def open_step(held: Held, lane: Lane, standing: Standing) -> Call:
    """Write the job of the step that this worker is executing."""
    keys = held.keys
    opened = held.job(lane)
    return Call(
        "open",
        (keys.run(held.run), keys.job(standing.entered), keys.job(opened), keys.wip, keys.finished),
        (
            keys.ns, lane.worker, standing.record, lane.record, standing.entered, opened, JOB_DATA,
            held.about(lane.step), standing.timeout_s, held.ttl_s, held.wip_ttl_s,
        ),
    )  # fmt: skip


def giveback(held: Held, lane: Lane, next_lane: Lane, written: Written, *, front: bool) -> Call:
    """Keep a finished step, if any, and queue the next job for any worker."""
    keys = held.keys
    closed, opened = held.job(lane), held.job(next_lane)
    return Call(
        "giveback",
        (*held.run_keys, keys.job(closed), keys.job(opened), keys.wip, keys.finished, keys.queue),
        (
            keys.ns, RQ, held.run, lane.worker, lane.record, next_lane.record, closed, opened,
            *written, JOB_DATA, held.about(next_lane.step), NO_TIMEOUT, held.ttl_s, int(front),
        ),
    )  # fmt: skip


def mark(held: Held, worker: str, patch: str) -> Call:
    """Note that a run takes the new path at a change of its code."""
    return Call("mark", (held.keys.run(held.run),), (worker, patch))


class Wait(NamedTuple):
    """Why and until when a run's next job is delayed; `due_ms` 0 means `delay_ms` from now."""

    delay_ms: int
    due_ms: int
    attempt: int
    error: str
    note: str


def delay(held: Held, lane: Lane, next_lane: Lane, written: Written, wait: Wait) -> Call:
    """Keep a finished step, if any, and set the run's next job on a timer."""
    keys = held.keys
    closed, opened = held.job(lane), held.job(next_lane)
    failed = bool(wait.error)
    registry = keys.failed if failed else keys.finished
    return Call(
        "delay",
        (*held.run_keys, keys.job(closed), keys.job(opened), keys.wip, registry, keys.scheduled),
        (
            keys.ns, RQ, held.run, lane.worker, lane.record, next_lane.record, closed, opened,
            *written, JOB_DATA, held.about(next_lane.step), NO_TIMEOUT, held.ttl_s,
            "failed" if failed else "finished", failure.packed(wait.error), wait.attempt,
            wait.delay_ms, wait.due_ms, wait.note,
        ),
    )  # fmt: skip


def is_plain(fields: Mapping[str, str]) -> bool:
    """Tell from a run's hash whether its end concerns nobody but itself: no open step, no parent."""
    return "forked" not in fields and "parent" not in fields


class End(NamedTuple):
    """How a run ended: `text` is its output or its error, as JSON; `how` tells others of a failure."""

    status: str
    text: str
    retention_s: int
    exc_info: str
    note: str
    how: str = ""


def finish(held: Held, lane: Lane, written: Written, end: End) -> Call:
    """Keep a finished step, if any, and end the run."""
    keys = held.keys
    ended = lane.next("e", lane.step)
    job_status, registry = (
        ("failed", keys.failed) if end.status == "failed" else ("finished", keys.finished)
    )
    return Call(
        "finish",
        (*held.run_keys, registry, keys.scheduled),
        (
            keys.ns, RQ, held.run, lane.record, ended.record, *written, end.status, end.text,
            job_status, failure.packed(end.exc_info), held.ttl_s, end.retention_s, end.note, end.how,
            JOB_DATA,
        ),
    )  # fmt: skip


class Claimed(NamedTuple):
    """A claimed job: its lane, its run's hash and the texts of its finished steps.

    `is_open` where it is the job of an open step; `lane` is that step's record then.
    """

    job: str
    lane: Lane
    run: str
    fields: dict[str, str]
    steps: dict[str, str]
    is_open: bool = False

    @property
    def member(self) -> str:
        """How the worker's set of lanes lists it."""
        return f"{self.run}:{step_hash(self.lane.step)}" if self.is_open else self.run


def claimed(reply: list[Any]) -> Claimed:
    """Read one element of the reply of `claim`."""
    job, record, fields, steps = reply[:4]
    job_text = job.decode()
    return Claimed(
        job_text,
        Lane.parse(_text(record)),
        job_text[:26],
        pairs(fields),
        pairs(steps),
        reply[-1] == 1,
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def pairs(flat: list[bytes]) -> dict[str, str]:
    """Return a hash's reply as texts."""
    texts = [_text(item) for item in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
