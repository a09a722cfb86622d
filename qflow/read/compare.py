"""Two runs of one function side by side: step by step, and where they first part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from qflow.read.timeline import StepView, Timeline
from qflow.read.waterfall import Lane, Waterfall, waterfall

Verdict = Literal["same", "output", "error", "status", "only left", "only right"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A step of both runs, or of one; `verdict` says in what they differ, its time apart."""

    id: str
    left: Lane | None
    right: Lane | None
    verdict: Verdict

    @property
    def longer_ms(self) -> int:
        """How much longer it took on the right, from its first try to its end."""
        return _length(self.right) - _length(self.left)

    def as_dict(self) -> dict[str, Any]:
        """Return what the API tells."""
        return {
            "id": self.id,
            "verdict": self.verdict,
            "longer_ms": self.longer_ms if self.left and self.right else None,
            "left": _side(self.left),
            "right": _side(self.right),
        }


class Comparison(NamedTuple):
    """Two runs: `first` is the first step in which they differ, "" where no step does; `data` and
    `outcome` tell whether their event's data and their ends are the same."""

    left: Timeline
    right: Timeline
    falls: tuple[Waterfall, Waterfall]
    pairs: tuple[Pair, ...]
    first: str
    data: bool
    outcome: bool

    def as_dict(self) -> dict[str, Any]:
        """Return what the API tells."""
        return {
            "left": self.left.row.as_dict(),
            "right": self.right.row.as_dict(),
            "first_divergence": self.first or None,
            "same_data": self.data,
            "same_outcome": self.outcome,
            "steps": [pair.as_dict() for pair in self.pairs],
        }


def compare(left: Timeline, right: Timeline) -> Comparison:
    """Return two runs side by side; the steps in the order of the left one, with the right one's among
    them where it took others."""
    falls = waterfall(left), waterfall(right)
    ours, theirs = ({lane.name: lane for lane in fall.lanes if lane.step} for fall in falls)
    pairs = [_pair(name, ours.get(name), theirs.get(name)) for name in _merged(ours, theirs)]
    return Comparison(
        left,
        right,
        falls,
        tuple(pairs),
        next((pair.id for pair in pairs if pair.verdict != "same"), ""),
        left.event.get("data") == right.event.get("data"),
        (left.row.status, left.output, _what(left.error))
        == (right.row.status, right.output, _what(right.error)),
    )


def _merged(ours: dict[str, Lane], theirs: dict[str, Lane]) -> list[str]:
    merged, rest = list[str](), list(theirs)
    for name in ours:
        if name in theirs:
            at = rest.index(name) if name in rest else -1
            merged += [each for each in rest[: at + 1] if each not in ours]
            rest = rest[at + 1 :] if at >= 0 else rest
        merged.append(name)
    return merged + [each for each in rest if each not in ours]


def _pair(name: str, left: Lane | None, right: Lane | None) -> Pair:
    if left is None or right is None:
        return Pair(name, left, right, "only right" if left is None else "only left")
    one, other = left.step, right.step
    assert one is not None
    assert other is not None
    return Pair(name, left, right, _verdict(one, other))


def _verdict(one: StepView, other: StepView) -> Verdict:
    if one.status != other.status:
        return "status"
    if _what(one.error) != _what(other.error):
        return "error"
    if one.sent or other.sent:  # their ids are made of the run's
        return "same" if len(one.sent) == len(other.sent) else "output"
    return "same" if one.output == other.output else "output"


def _what(error: dict[str, Any] | None) -> tuple[Any, Any]:
    return (error.get("name"), error.get("message")) if error else (None, None)


def _length(lane: Lane | None) -> int:
    if lane is None or not lane.bars:
        return 0
    return max(bar.end for bar in lane.bars) - min(bar.start for bar in lane.bars)


def _side(lane: Lane | None) -> dict[str, Any] | None:
    if lane is None or lane.step is None:
        return None
    step = lane.step
    return {
        "status": step.status,
        "took_ms": _length(lane),
        "attempts": len(step.attempts),
        "output": step.output,
        "error": step.error,
    }
