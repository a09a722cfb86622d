"""What a worker's places hold, and what everything in them is executed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qflow.core.function import Function
from qflow.engine.advance import LoggerFor
from qflow.engine.branch import Branch
from qflow.engine.drive import Line
from qflow.engine.group import AsyncLine
from qflow.engine.session import Session, Terms
from qflow.store.run import Claimed, Held


@dataclass(frozen=True)
class Active:
    """A run, or an open step of one, that this process holds."""

    claimed: Claimed
    session: Session | Branch
    line: Line | AsyncLine | None
    since: float

    def interrupt(self) -> None:
        """Stop it, from another thread: its run was cancelled."""
        if isinstance(self.session, Branch):
            self.session.interrupt()
        elif self.line is not None:
            self.line.interrupt()


@dataclass(frozen=True)
class Plan:
    """What every run of this worker is executed with."""

    functions: dict[str, Function[Any]]
    hold: Callable[[Claimed], Held]
    terms: Terms
    logger_for: LoggerFor
