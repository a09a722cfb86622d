"""What an operator does to runs and functions, in a harness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qflow.core.edit import Edit
from qflow.core.function import Function
from qflow.core.status import ENDED
from qflow.errors import UsageError
from qflow.testing.again import hasten, rerun
from qflow.testing.memory import Memory
from qflow.testing.record import HarnessRun
from qflow.testing.state import State

_REPLAYED = tuple(status for status in ENDED if status != "completed")
_SAME: Any = ...


class Controls:
    """What `qflow runs` and `qflow functions` do, for the runs and functions of a Harness."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def cancel(self, run: HarnessRun) -> bool:
        """Cancel a run, wherever it stands; return whether that ended it.

        What is executed of it is interrupted as in production: `run.cancelled` is true, an async step or
        handler gets a CancelledError, a sync one ends at its next step. So does `app.cancel(run.id)`, which
        a step or a stub may call.
        """
        self._memory.settle()
        done = self._memory.intake.cancel(run.id, "by hand")
        self._memory.settle()
        return done

    def rerun(
        self,
        run: HarnessRun,
        *,
        data: Any = _SAME,
        from_step: str = "",
    ) -> HarnessRun:
        """Run a run again: a new run for the same event, or for other `data`; return it.

        `from_step` keeps the results of the steps that had finished before that one; `data` is then what its
        function is called with: a list its positional arguments, a mapping some by name, anything else its
        first argument. Raises UsageError where the run has no such step.
        """
        if not from_step and data is not _SAME and not isinstance(data, Mapping):
            raise UsageError(f"an event's data must be a mapping such as {{'id': 7}}, not {data!r}")
        self._memory.settle()
        edit = Edit(from_step, data) if from_step and data is not _SAME else None
        changed = None if from_step or data is _SAME else data
        return self._settled(rerun(self._memory, self._state(run), changed, from_step, edit))

    def replay(
        self, function: Function[Any] | str, statuses: Sequence[str] = _REPLAYED
    ) -> tuple[HarnessRun, ...]:
        """Run again all runs of a function that failed, were cancelled or skipped; return the new ones.

        Those that were run again before are left out.
        """
        self._memory.settle()
        wanted = self._function(function).id
        found = [
            state
            for state in self._memory.states
            if state.function.id == wanted and state.status in statuses and state.again is None
        ]
        return tuple(self._settled(rerun(self._memory, state, None, "", None)) for state in found)

    def skip_sleep(self, run: HarnessRun, step: str = "") -> None:
        """Let a run go on that sleeps, in `step` where that is given, as if the time had passed.

        Raises UsageError where it does not.
        """
        self._memory.settle()
        hasten(self._memory, self._state(run), "sleep", step)
        self._memory.settle()

    def retry_now(self, run: HarnessRun) -> None:
        """Let a run make its next attempt now, instead of when the backoff is over.

        Raises UsageError where it does not wait for one.
        """
        self._memory.settle()
        hasten(self._memory, self._state(run), "retry", "")
        self._memory.settle()

    def pause(self, function: Function[Any] | str, *, hold: bool = False) -> None:
        """Pause a function: none of its steps begins. Its new events are recorded as skipped runs or, with
        `hold`, wait until it is resumed."""
        self._memory.settle()
        self._memory.starts.paused[self._function(function).id] = "hold" if hold else "skip"

    def resume(self, function: Function[Any] | str) -> None:
        """End a function's pause; what it held back goes on. Raises UsageError where it is not paused."""
        self._memory.settle()
        wanted = self._function(function).id
        if wanted not in self._memory.starts.paused:
            raise UsageError(f"function {wanted!r} is not paused")
        self._memory.starts.resume(wanted)
        self._memory.settle()

    def _settled(self, state: State) -> HarnessRun:
        self._memory.settle()
        return HarnessRun(state, self._memory.now_ms)

    def _state(self, run: HarnessRun) -> State:
        found = next((state for state in self._memory.states if state.id == run.id), None)
        if found is None:
            raise UsageError(f"run {run.id} is none of this harness")
        return found

    def _function(self, function: Function[Any] | str) -> Function[Any]:
        wanted = function.id if isinstance(function, Function) else function
        found = self._memory.functions.get(wanted)
        if found is None:
            known = ", ".join(map(repr, self._memory.functions)) or "none"
            raise UsageError(
                f"this harness has no function {wanted!r}; its apps define {known}: is its module imported?"
            )
        return found
