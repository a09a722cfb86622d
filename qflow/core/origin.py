"""What a run came from and whom it invoked: what its steps may ask for beside the memo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from qflow.core.ids import step_hash
from qflow.core.memo import opened_step
from qflow.core.middleware import Hooks

CHILD: Final = "child:"
"""Begins a field of the run's hash: the run that the step of that hash invoked."""


class Origin(NamedTuple):
    """A run, the middleware of its function, and its hash as far as it is known."""

    run: str
    hooks: Hooks | None
    fields: Mapping[str, str]

    @property
    def event_text(self) -> str:
        """The run's event, as `core.event.to_text` wrote it."""
        return self.fields.get("event", "")

    def opened(self, step: str, text: str) -> str:
        """Return what the steps hash keeps of `step` as it was before middleware encoded it."""
        child = self.fields.get(CHILD + step_hash(step))
        return opened_step(self.hooks, text, self.run, step, child)
