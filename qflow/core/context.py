"""What a handler is told about its own run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


class Hold(Protocol):
    """What a worker knows of a run that it executes."""

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled meanwhile."""
        ...

    def patched(self, patch: str) -> bool:
        """Whether the run takes the new path at a change of its code."""
        ...


class _New:
    """A run that was never held before, as in a test of a handler by itself."""

    cancelled = False

    def patched(self, patch: str) -> bool:
        """It takes the new path."""
        return bool(patch)


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a handler executes in: take it as the argument `run`.

    `attempt` counts failed tries of the handler's own code, from 0. `logger` carries run and
    function on every line and is silent while finished steps are replayed.
    """

    id: str
    function_id: str
    attempt: int
    logger: Any
    _hold: Hold = field(default_factory=_New, repr=False, compare=False)

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled while this handler executes: what takes long may look.

        Its worker hears of it within a second. An async step or handler is interrupted by a
        CancelledError besides; a sync one ends at its next step.
        """
        return self._hold.cancelled

    def patched(self, id: str) -> bool:
        """Whether this run takes the new path where the handler's code was changed.

        True for a run that reaches this place first under the new code, which is remembered; false for
        one that had passed it before, so that it goes on as it began. Call it in the handler, not in a
        step.
        """
        return self._hold.patched(id)
