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

RQ: Final = "rq"
"""Prefix of RQ's keys."""

JOB_DATA: Final = (
    b"x\x9ck`\x9d\xaa\xc6\x00\x01\x1a=\xd2\x85i9\xf9\xe5z\xc5\xa9Ee\x99\xc9\xa9\xc5"
    b"zY\xf9IzE\xa5y\xf1\xc5%\xa9\x05S\xfc4k\xa7\x94L\xd1\x03\x00U~\x10$"
)
"""The payload of every job: RQ's form of a call of `qflow.services.job.run_step()`. A constant, so
that nothing of qflow's is ever serialised for RQ, and a contract test compares it with RQ's own."""


class Keys:
    """The keys of one namespace."""

    def __init__(self, namespace: str) -> None:
        self.ns = namespace
        self.queue_name = namespace

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
        """Hash. fn, app, status, event, version, created, started, ended, output, error, attempt,
        lane. Written by start, claim and the transitions; expires by retention once ended."""
        return f"{self.ns}:run:{run}"

    def steps(self, run: str) -> str:
        """Hash. Step id → `{"ok":…}` or `{"error":…}`. Written once a step; expires with the run."""
        return f"{self.ns}:run:{run}:steps"

    def trace(self, run: str) -> str:
        """Stream. One entry a transition, JSON in field `j`. Expires with the run."""
        return f"{self.ns}:run:{run}:trace"

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
        """String. Counts publications, so that routers notice new ones. Permanent."""
        return f"{self.ns}:functions:version"

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
        """Set. Runs whose lane this worker holds. Written by claim and transitions; expires a day
        after the worker's last beat, and is deleted by rescue."""
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

    # -- RQ's own

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
