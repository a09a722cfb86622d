"""A run's story as bars over time: what each step was doing when, and what all of it added up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from qflow.read.timeline import Attempt, StepView, Timeline

KINDS: Final = {
    "queued": "in the queue",
    "running": "running",
    "failed": "running, failed",
    "retry": "waiting to try again",
    "sleeping": "sleeping",
    "waiting": "waiting for something else",
}
"""What a bar says, in the order of the legend."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time, in ms; `open` where it goes on now."""

    kind: str
    start: int
    end: int
    note: str = ""
    open: bool = False

    @property
    def length(self) -> int:
        """How long it is."""
        return max(0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Lane:
    """One line of the waterfall: the run itself, the handler's own tries, or a step."""

    name: str
    kind: str
    status: str
    bars: tuple[Bar, ...]
    step: StepView | None = None

    @property
    def busy_ms(self) -> int:
        """How long it ran."""
        return sum(bar.length for bar in self.bars if bar.kind in ("running", "failed"))


@dataclass(frozen=True, slots=True)
class Waterfall:
    """All lanes between `start` and `end`; `spent` is the time of the run by kind, longest first."""

    start: int
    end: int
    lanes: tuple[Lane, ...]
    spent: tuple[tuple[str, int], ...]

    @property
    def span(self) -> int:
        """The length of the whole, at least one."""
        return max(1, self.end - self.start)

    @property
    def critical(self) -> tuple[tuple[str, float], ...]:
        """The steps that the run's length hangs on, each with its share of it, in the order of time.

        Going back from the end: the step that ended last before that, then the one that ended last
        before it began, and so on.
        """
        spans = [
            (min(bar.start for bar in lane.bars), max(bar.end for bar in lane.bars), lane.name)
            for lane in self.lanes
            if lane.step and lane.bars
        ]
        path, reached = [], self.end
        while spans := [each for each in spans if each[0] < reached]:
            start, end, name = max(spans, key=lambda each: (min(each[1], reached), -each[0]))
            path.append((name, (min(end, reached) - start) / self.span))
            reached = start
        return tuple(reversed(path))


def waterfall(told: Timeline) -> Waterfall:
    """Return the bars of a run."""
    start, end = told.row.created, told.row.ended or told.now
    run = Lane("run", "run", told.row.status, tuple(_queued(told)))
    lanes = [run]
    if told.handler:
        lanes.append(Lane("handler", "handler", "", tuple(_tries(told.handler, told))))
    lanes += [_lane(step, told) for step in told.steps]
    moments = [moment for lane in lanes for bar in lane.bars for moment in (bar.start, bar.end)]
    end = max([end, *moments])
    return Waterfall(start, end, tuple(lanes), _spent(lanes))


def _lane(step: StepView, told: Timeline) -> Lane:
    if step.kind == "step":
        return Lane(step.id, step.kind, step.status, tuple(_tries(step.attempts, told)), step)
    kind = "sleeping" if step.kind == "sleep" else "waiting"
    note = step.wants or step.child
    bars = [
        Bar(kind, a.started, told.now if a.ended is None else a.ended, note)
        for a in step.attempts
        if a.started is not None
    ]
    if not bars and step.since is not None:
        ended = told.row.ended
        bars = [Bar(kind, step.since, told.now if ended is None else ended, note, ended is None)]
    return Lane(step.id, step.kind, step.status, tuple(bars), step)


def _queued(told: Timeline) -> Iterator[Bar]:
    for claim in told.claims:
        if claim.wait_ms:
            yield Bar("queued", claim.queued, claim.at, f"then taken by {claim.worker}")
    if told.row.status == "queued":
        since = max([told.row.created, *_ends(told)])
        yield Bar("queued", min(since, told.now), told.now, open=True)


def _tries(attempts: Iterable[Attempt], told: Timeline) -> Iterator[Bar]:
    tries = list(attempts)
    for at, attempt in enumerate(tries):
        note = f"attempt {attempt.number + 1}"
        ended = told.now if attempt.ended is None else attempt.ended
        started = attempt.started
        if started is None:  # its worker died: it ran at most since that worker took the run
            started = max((c.at for c in told.claims if c.at <= ended), default=ended)
        kind = "running" if attempt.outcome in ("ok", "running") else "failed"
        yield Bar(kind, started, ended, note, attempt.outcome == "running")
        if attempt.outcome == "retry":
            yield from _until_next(attempt, ended, tries[at + 1 :], told)


def _until_next(attempt: Attempt, ended: int, rest: list[Attempt], told: Timeline) -> Iterator[Bar]:
    following = rest[0].started if rest and rest[0].started is not None else None
    over = told.row.ended if following is None else following
    until = told.now if over is None else over
    due = until if attempt.due is None else min(attempt.due, until)
    yield Bar("retry", ended, due, f"after attempt {attempt.number + 1}", over is None)
    if due < until:
        yield Bar("queued", due, until, "then tried again", over is None)


def _ends(told: Timeline) -> list[int]:
    return [a.ended for step in told.steps for a in step.attempts if a.ended is not None]


def _spent(lanes: Iterable[Lane]) -> tuple[tuple[str, int], ...]:
    """Return the time that each kind covers, where bars of one kind overlap only once."""
    covered: dict[str, int] = {}
    for kind in KINDS:
        bars = sorted((b.start, b.end) for lane in lanes for b in lane.bars if b.kind == kind)
        reached, total = 0, 0
        for start, end in bars:
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
        if total:
            covered[kind] = total
    return tuple(sorted(covered.items(), key=lambda item: -item[1]))
