"""What the function of a step printed and logged, as its attempt's entry in the trace keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final, NamedTuple, Protocol

from qflow.core.middleware import Hooks, Place

NOTICE: Final = "notice"
"""The level of lines that qflow itself adds: how much was left out."""
INPUT: Final = "input"
"""The level of the line, the first, that tells what a step was called with: JSON text, a list of its
arguments."""


class Line(NamedTuple):
    """A line: ms since the attempt began; print, debug, info, warning, error, critical; the text."""

    at: int
    level: str
    text: str


class Listener(Protocol):
    """Whoever keeps what the step at hand says."""

    def hear(self, level: str, text: str) -> None:
        """Take one line, or a record of several."""
        ...


hearing: ContextVar[Listener | None] = ContextVar("qflow_hearing", default=None)
"""Who listens to the step that executes in this context."""


def kept(said: Sequence[Line], hooks: Hooks | None, place: Place) -> str:
    """Return the JSON text of these lines, encoded by middleware; "" for none.

    Never raises: what cannot be encoded is not kept, and says so.
    """
    if not said:
        return ""
    text = json.dumps(said)
    if hooks is None:
        return text
    try:
        return hooks.encoded(text, place)
    except Exception as problem:  # noqa: BLE001  # whatever a hook raises
        lost = f"not kept: encoding it raised {type(problem).__name__}"
        return json.dumps([Line(0, NOTICE, lost)])
