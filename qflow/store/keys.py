"""Every key of Redis that qflow touches: its type, members, writer and expiry.

`<ns>` is the namespace. Scripts are given the keys of the run at hand; keys that follow from ids
found in Redis (the job that a queue held, the index of a status) are built in the script from the
same prefixes, and the script's header says which.

All keys are permanent or expire as their docstring says; `PERMANENT` lists the first kind, and a
test fails on any other key without an expiry.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from qflow.store.dashboard_keys import DashboardKeys

RQ: Final = "rq"
"""Prefix of RQ's keys."""

JOB_DATA: Final = (
    b"x\x9ck`\x9d\xaa\xc6\x00\x01\x1a=\xd2\x85i9\xf9\xe5z\xc5\xa9Ee\x99\xc9\xa9\xc5"
    b"zY\xf9IzE\xa5y\xf1\xc5%\xa9\x05S\xfc4k\xa7\x94L\xd1\x03\x00U~\x10$"
)
"""The payload of every job: RQ's form of a call of `qflow.services.job.run_step()`. A constant, so
that nothing of qflow's is ever serialised for RQ, and a contract test compares it with RQ's own."""


class _Namespace:
    """What all keys begin with."""

    def __init__(self, namespace: str) -> None:
        self.ns = namespace
        self.queue_name = namespace


class _Waits(_Namespace):
    """Keys of what open steps wait for."""

    @cached_property
    def paths(self) -> str:
        """Hash. Event name → the paths by which steps wait for it, a line each, with the time since
        which routers index by it (ms). Written by watch; permanent, as many as the code has."""
        return f"{self.ns}:paths"

    def waiters(self, digest: str) -> str:
        """Sorted set. `run:hash` of steps that wait for an event of one name with one value, by time.
        Gone with the last of them."""
        return f"{self.ns}:waiters:{digest}"

    def conditional(self, digest: str) -> str:
        """Sorted set. As waiters, those with a condition to evaluate. Gone with the last of them."""
        return f"{self.ns}:waiters:{digest}:when"

    def recent(self, digest: str) -> str:
        """Sorted set. Entries of the stream of one name with one value, the newest 1,000 of a day, for
        waits that begin after their event. Expires after 24 h without writes."""
        return f"{self.ns}:recent:{digest}"

    def signal(self, name: str) -> str:
        """String. `run:hash` of the step that waits for this signal; deleted when that is settled."""
        return f"{self.ns}:signal:{name}"

    def signalled(self, id: str) -> str:
        """String. The run that this signal went to, for calls that are repeated. Expires in a minute."""
        return f"{self.ns}:signalled:{id}"

    @cached_property
    def approvals(self) -> str:
        """Sorted set. `run:hash` of steps that wait for an approval, by time (ms). Gone with the
        last of them."""
        return f"{self.ns}:approvals"


class _Control(_Namespace):
    """Keys of what keeps a run from starting, and of what may end it from outside."""

    def once(self, function: str, value: str) -> str:
        """String. The run that a function has for a value of its idempotency expression, as a digest.
        Expires after 24 h."""
        return f"{self.ns}:once:{function}:{value}"

    @cached_property
    def paused(self) -> str:
        """Hash. Paused function → `skip` or `hold`; `resuming` while what was held is queued. Written by
        pause and unpause; deleted by Redis when empty."""
        return f"{self.ns}:paused"

    @cached_property
    def trial(self) -> str:
        """Hash. The worker that executes a job alone whose worker died twice (`member`), or is about to,
        `since` when (ms); no worker while others have their time. Written by claim; expires after a
        minute without a claim of that worker's."""
        return f"{self.ns}:trial"

    def held(self, function: str) -> str:
        """List. Ids of jobs that wait until this function is resumed. Written by create and claim;
        deleted by Redis when empty."""
        return f"{self.ns}:held:{function}"

    def cancel(self, rule: str) -> str:
        """Sorted set. Runs that an event of this rule (`function:rule:value`) cancels, by the place of
        their own event in time (ms). Written by create; deleted by Redis when empty."""
        return f"{self.ns}:cancel:{rule}"

    def cancelled(self, rule: str) -> str:
        """String. The last event of this rule: its place in time and why it cancels, for runs whose own
        event is routed after it. Expires after an hour."""
        return f"{self.ns}:cancelled:{rule}"

    @cached_property
    def deadlines(self) -> str:
        """Sorted set. `start|span|run` and `finish|span|run` by the time (ms) at which to look. Written
        by create and overdue; deleted by Redis when empty."""
        return f"{self.ns}:deadlines"


class _Flow(_Namespace):
    """Keys of flow control."""

    @cached_property
    def limits(self) -> str:
        """Hash. Limit → how many steps it allows at once, as published. Written by publish; permanent."""
        return f"{self.ns}:limits"

    def slots(self, limit: str) -> str:
        """Sorted set. Who holds a slot of a limit, `<limit>=<value of its key>`, by the time since (ms): a
        run, or `run:hash` for an open step. Written by whatever queues a job and whatever ends one; gone with
        the last of them."""
        return f"{self.ns}:slots:{limit}"

    def backlog(self, group: str) -> str:
        """Sorted set. Who waits for the slots of a group of limits, a run or `run:hash`, by age less
        priority (ms). Gone with the last of them."""
        return f"{self.ns}:backlog:{group}"

    def ring(self, limit: str) -> str:
        """List. Groups that wait for a limit that is full, the next to be served first. Gone with the last
        of them."""
        return f"{self.ns}:ring:{limit}"

    @cached_property
    def rings(self) -> str:
        """Sorted set. Limits that somebody waits for, by the time since (ms). Gone with the last of them."""
        return f"{self.ns}:rings"

    def rate(self, function: str, key: str) -> str:
        """Sorted set. Runs that a rate limit let start, by time (ms). Expires with its period."""
        return f"{self.ns}:rate:{function}:{key}"

    def throttle(self, function: str, key: str) -> str:
        """String. When the next run would start at an even pace (µs); `key` begins with the numbers of the
        throttle. Expires soon after that."""
        return f"{self.ns}:throttle:{function}:{key}"

    def single(self, function: str, key: str) -> str:
        """Sorted set. The unfinished run of a singleton. Gone with its end."""
        return f"{self.ns}:single:{function}:{key}"

    def pending(self, function: str, key: str) -> str:
        """String. The run that gathers events at present (debounce, batch). Deleted when it starts or is
        cancelled."""
        return f"{self.ns}:pending:{function}:{key}"

    @cached_property
    def behind(self) -> str:
        """Sorted set. Delayed jobs of runs with a negative priority, by due time (ms); workers without
        other work take them before. Gone with the last of them."""
        return f"{self.ns}:behind"


class _OfRQ(_Namespace):
    """RQ's own keys."""

    @cached_property
    def queue(self) -> str:
        """List. Ids of queued jobs, RQ's own queue. Deleted by Redis when empty."""
        return f"{RQ}:queue:{self.queue_name}"

    @cached_property
    def wip(self) -> str:
        """Sorted set. RQ's StartedJobRegistry: `job:execution` by expiry (s). Deleted by Redis when
        empty."""
        return f"{RQ}:wip:{self.queue_name}"

    @cached_property
    def finished(self) -> str:
        """Sorted set. RQ's FinishedJobRegistry: job by expiry (s). Pruned; permanent."""
        return f"{RQ}:finished:{self.queue_name}"

    @cached_property
    def failed(self) -> str:
        """Sorted set. RQ's FailedJobRegistry: job by expiry (s). Pruned; permanent."""
        return f"{RQ}:failed:{self.queue_name}"

    @cached_property
    def scheduled(self) -> str:
        """Sorted set. rq-scheduler's delayed jobs by due time (s). The default namespace has
        rq-scheduler's own key, so that its stock tools list them; others have one of their own."""
        stock = f"{RQ}:scheduler:scheduled_jobs"
        return stock if self.ns == "qflow" else f"{stock}:{self.ns}"

    def job(self, job: str) -> str:
        """Hash. RQ's job. Expires by `rq_ttl` once it has ended."""
        return f"{RQ}:job:{job}"

    def results(self, job: str) -> str:
        """Stream. RQ's results of a job; failures only. Expires with the job."""
        return f"{RQ}:results:{job}"

    def execution(self, job: str, worker: str) -> str:
        """Hash. RQ's execution of a job by a worker. Expires with the worker's beat."""
        return f"{RQ}:execution:{job}:{worker}"

    def executions(self, job: str) -> str:
        """Sorted set. RQ's executions of a job. Expires with the worker's beat."""
        return f"{RQ}:executions:{job}"

    def rq_worker(self, worker: str) -> str:
        """Hash. RQ's worker. Expires with its beat."""
        return f"{RQ}:worker:{worker}"

    def rq_worker_executions(self, worker: str) -> str:
        """Set. `job:execution` that an RQ worker is running. Expires with its beat."""
        return f"{RQ}:worker:{worker}:executions"

    @cached_property
    def rq_workers(self) -> str:
        """Set. Keys of all RQ workers. Permanent; RQ's own clean-up drops the dead."""
        return f"{RQ}:workers"

    @cached_property
    def rq_queue_workers(self) -> str:
        """Set. Keys of the RQ workers of this queue. Permanent."""
        return f"{RQ}:workers:{self.queue_name}"

    @cached_property
    def rq_queues(self) -> str:
        """Set. Keys of all RQ queues. Permanent."""
        return f"{RQ}:queues"


class Keys(_Waits, _Control, _Flow, _OfRQ, DashboardKeys):
    """The keys of one namespace."""

    # -- events

    @cached_property
    def events(self) -> str:
        """Stream. Entries: name, data, id?, ts?, v?, enc?. Written by producers; trimmed by age."""
        return f"{self.ns}:events"

    @cached_property
    def rejected(self) -> str:
        """Stream. Malformed entries as they came, with `reason` and `entry`. Trimmed to 10,000."""
        return f"{self.ns}:events:rejected"

    @cached_property
    def audit(self) -> str:
        """Stream. Who did what in the dashboard: who, role, what, details. Trimmed to 10,000."""
        return f"{self.ns}:audit"

    # -- runs

    def run(self, run: str) -> str:
        """Hash. fn, app, status, event, event_id, entry, version, created, started, ended, output,
        error, attempt, lane; flow (its limits), ahead (its priority, ms) and age (its place among
        those who wait); gates, gate and gather until it starts, where that is later, and held, why;
        merged, ts, first and taken where it was debounced; batched, bytes and `event:<n>` where it is of a
        batch; watched, reason and request where something may end it, or did; origin, again and
        edit where it was run again; `patch:<id>` where it took the new path at a change of its
        code; forked (1 where several steps were ever open at once), settled (how many open ones
        were) and `child:<hash>` (the run that a step invoked); parent, parent_step (and parents) where a step
        of another run started it. Written by start, claim and the transitions; expires by retention
        once ended."""
        return f"{self.ns}:run:{run}"

    def steps(self, run: str) -> str:
        """Hash. Step id → `{"ok":…}` or `{"error":…}`. Written once a step; expires with the run."""
        return f"{self.ns}:run:{run}:steps"

    def trace(self, run: str) -> str:
        """Stream. One entry a transition, JSON in field `j`. Expires with the run."""
        return f"{self.ns}:run:{run}:trace"

    def open(self, run: str) -> str:
        """Hash. Hash of an open step → its record, in the form of the lane's. Written by fork and the
        scripts that move open steps; gone with the last of them, at the run's end at the latest."""
        return f"{self.ns}:run:{run}:open"

    def waits(self, run: str) -> str:
        """Hash. Hash of an open step → what it waits for (JSON); `e:<event>` → the step that this event
        was given to. Written by fork and whatever settles; expires with the run."""
        return f"{self.ns}:run:{run}:waits"

    def order(self, run: str) -> str:
        """List. The open steps in the order in which they were settled. Expires with the run."""
        return f"{self.ns}:run:{run}:order"

    @cached_property
    def forks(self) -> str:
        """Sorted set. Unfinished runs that have had jobs of open steps, by the time of the first (ms).
        Written by fork and finish; permanent."""
        return f"{self.ns}:forks"

    @cached_property
    def runs(self) -> str:
        """Sorted set. Run id by creation time (ms). Pruned by retention; permanent."""
        return f"{self.ns}:runs"

    def by_status(self, status: str) -> str:
        """Sorted set. Run id by creation time (ms), runs in `status`. Pruned; permanent."""
        return f"{self.ns}:runs:{status}"

    def by_function(self, function: str, status: str) -> str:
        """Sorted set. Run id by creation time, runs of a function in `status`. Pruned; permanent."""
        return f"{self.ns}:fn:{function}:{status}"

    def seen(self, function: str, event: str) -> str:
        """String. The run that this event started for this function. Expires after 24 h."""
        return f"{self.ns}:seen:{function}:{event}"

    # -- functions and schedules

    @cached_property
    def functions(self) -> str:
        """Hash. Function id → specification (JSON). Written by `publish`; permanent."""
        return f"{self.ns}:functions"

    @cached_property
    def functions_version(self) -> str:
        """String. Counts publications and new paths of waits, so that routers notice. Permanent."""
        return f"{self.ns}:functions:version"

    @cached_property
    def functions_listened(self) -> str:
        """Hash. Which ends of runs some function listens for: finished, failed, cancelled. Written by
        publish; permanent."""
        return f"{self.ns}:functions:listened"

    def published(self, publisher: str) -> str:
        """Set. Ids of the functions that an app's folder published. Written by publish; permanent."""
        return f"{self.ns}:published:{publisher}"

    @cached_property
    def cron(self) -> str:
        """Sorted set. `function|schedule` by the last handled tick (ms). Written by publish and tick;
        permanent."""
        return f"{self.ns}:cron"

    # -- processes

    @cached_property
    def leases(self) -> str:
        """Sorted set. Worker by the time its lease lapses (ms). Written by beat; permanent."""
        return f"{self.ns}:leases"

    def lanes(self, worker: str) -> str:
        """Set. Runs whose lane this worker holds, and `run:hash` of the open steps it executes. Written
        by claim and transitions; expires a day after the worker's last beat, deleted by rescue."""
        return f"{self.ns}:lanes:{worker}"

    @cached_property
    def leader(self) -> str:
        """Hash. holder, token, until (ms) of the leading scheduler. Written by lead; permanent."""
        return f"{self.ns}:leader"

    def process(self, kind: str, name: str) -> str:
        """Hash. A live router or scheduler: host, pid, started, loop ages. Expires with its beat."""
        return f"{self.ns}:process:{kind}:{name}"

    @cached_property
    def counters(self) -> str:
        """Hash. Totals that only scripts can count: fenced commits, deaths, drops, duplicates.
        Permanent."""
        return f"{self.ns}:counters"

    # -- hints that wake waiters; losing one costs a poll interval, never work

    @cached_property
    def wake(self) -> str:
        """List. One element for each worker to wake, at most 32. Written by whatever queues;
        expires after a minute without writes."""
        return f"{self.ns}:wake"

    @cached_property
    def wake_timer(self) -> str:
        """List. An element when a timer earlier than all others was set. Expires after a minute."""
        return f"{self.ns}:wake:timer"
