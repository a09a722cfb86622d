"""What can be done to a run by hand besides ending it: again, sooner, away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from qflow.store.keys import JOB_DATA, RQ, Keys
from qflow.store.script import Call
from qflow.store.stream import Keep, Start

CREATED: Final = 1
UNKNOWN: Final = 0
UNPUBLISHED: Final = -1


class Kept(NamedTuple):
    """A finished step that a new run begins with, the entry of its trace, and its result where that is
    to be another text than the old run's."""

    step: str
    note: str
    result: str = ""


class Anew(NamedTuple):
    """A run to create from `old`: its event's text where that is another, "" for the same, and what
    one of its steps is to be called with instead (JSON), "" for nothing."""

    old: str
    start: Start
    event: str
    edit: str


def again(keys: Keys, what: Anew, keep: Keep, kept: Sequence[Kept]) -> Call:
    """Create a run from an earlier one."""
    old = what.old
    return Call(
        "again",
        (
            keys.run(old), keys.steps(old), keys.order(old), keys.functions, keys.rq_queues, keys.wake,
            keys.scheduled,
        ),
        (
            keys.ns, RQ, old, *what.start, what.event, what.edit, JOB_DATA, *keep,
            *(part for each in kept for part in each),
        ),
    )  # fmt: skip


def hasten(keys: Keys, run: str, what: str, step: str, ttl_s: int) -> Call:
    """Let a run go on now that waits for a time; `what` is sleep or retry, `step` "" for all."""
    return Call(
        "hasten",
        (
            keys.run(run), keys.trace(run), keys.open(run), keys.waits(run), keys.scheduled, keys.wake,
        ),
        (keys.ns, RQ, run, what, step, JOB_DATA, ttl_s),
    )  # fmt: skip


def discard(keys: Keys, run: str) -> Call:
    """Forget a run that has ended."""
    return Call(
        "discard",
        (
            keys.run(run), keys.steps(run), keys.trace(run), keys.waits(run), keys.order(run), keys.runs,
        ),
        (keys.ns, run),
    )  # fmt: skip
