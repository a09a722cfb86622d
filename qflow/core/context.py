"""What a handler is told about its own run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
