"""Tools that look: functions, runs, events, health. Answers are small, masked, and paged by cursors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from qflow.authoring.masking import masked, masked_text
from qflow.core.status import ENDED
from qflow.errors import UsageError
from qflow.read import doctor, events, facts, functions, runs
from qflow.read.around import around
from qflow.read.opened import Opener
from qflow.read.standing import standing
from qflow.read.timeline import Timeline, timeline
from qflow.store.keys import Keys
from qflow.store.redis import Redis

MOST: Final = 50
LONGEST_WAIT_S: Final = 60.0
_LOOK_S: Final = 0.1
_TRACEBACK: Final = 3000


@dataclass(frozen=True)
class Looking:
    """What the tools that change nothing work on. What is encrypted stays so: agents see a mark."""

    redis: Redis
    keys: Keys
    opener: Opener

    def list_functions(self, cursor: str = "", limit: int = 20) -> dict[str, Any]:
        """List published functions: id, triggers, runs by status. `cursor` goes on after a page."""
        views = [v for v in functions.functions(self.redis, self.keys) if v.id > cursor]
        shown = views[: _few(limit)]
        listed = [
            {
                "id": v.id,
                "triggers": v.triggers,
                "paused": v.paused or None,
                "runs": _counts(v.runs),
            }
            for v in shown
        ]
        return {"functions": listed, "cursor": shown[-1].id if len(views) > len(shown) else None}

    def get_function(self, function: str) -> dict[str, Any]:
        """Read one function: its configuration, its source, where that stands, its runs by status."""
        view = functions.function(self.redis, self.keys, function)
        told = view.as_dict()
        source = told.pop("source", "")
        return {**masked(told), "source": masked_text(source)}

    def list_runs(
        self, function: str = "", status: str = "", cursor: str = "", limit: int = 20
    ) -> dict[str, Any]:
        """List runs, newest first, of a function and in a status (queued, running, waiting, completed,
        failed, cancelled, skipped) where given. `cursor` goes on after a page."""
        page = runs.page(
            self.redis, self.keys, function=function, statuses=[status] if status else (),
            cursor=cursor, limit=_few(limit),
        )  # fmt: skip
        rows = [masked(self.opener.row(row).as_dict()) for row in page.rows]
        return {"runs": rows, "cursor": page.cursor or None}

    def get_run(self, run: str) -> dict[str, Any]:
        """Read one run: its event, steps with attempts and errors, what it returned or why it failed."""
        told = self._story(run)
        row = told.row
        steps = [
            {
                "id": step.id, "kind": step.kind, "status": step.status, "wants": step.wants or None,
                "attempts": len(step.attempts), "output": masked(step.output),
                "error": _error(step.error or _last_error(step.attempts)),
            }
            for step in told.steps[:100]
        ]  # fmt: skip
        return {
            "id": row.id, "function": row.function, "status": row.status, "created": row.created,
            "ended": row.ended, "event": masked(told.event), "steps": steps,
            "output": masked(told.output), "error": _error(told.error), "version": told.version,
        }  # fmt: skip

    def explain_run(self, run: str) -> dict[str, Any]:
        """Say in one sentence why a run does not move, and what to do where something is wrong."""
        told = self._story(run)
        found = standing(told, around(self.redis, self.keys, told))
        if found is not None:
            answer = {"level": found.level, "why": found.text, "remedy": found.remedy}
            return {"id": told.row.id, "status": told.row.status, **answer}
        error = _error(told.error)
        why = f"It is {told.row.status}" + (f": {error['message']}" if error else "") + "."
        return {"id": told.row.id, "status": told.row.status, "level": "ok", "why": why}

    def wait_for_run(self, run: str, timeout_s: float = 20) -> dict[str, Any]:
        """Wait until a run ends, a minute at most; return it as `get_run` does, whatever its status."""
        found = runs.find(self.redis, self.keys, run)
        ends = time.monotonic() + min(max(0.0, timeout_s), LONGEST_WAIT_S)
        while time.monotonic() < ends:
            rows = runs.rows(self.redis, self.keys, [found])
            if not rows or rows[0].status in ENDED:
                break
            time.sleep(_LOOK_S)
        return self.get_run(found)

    def list_events(self, name: str = "", cursor: str = "", limit: int = 20) -> dict[str, Any]:
        """List events, newest first; `name` may have wildcards (user/*). `cursor` goes on after a page."""
        page = events.page(
            self.redis, self.keys.events, cursor=cursor, limit=_few(limit), name=name
        )
        rows = [masked(self.opener.event(row).as_dict()) for row in page.rows]
        return {"events": rows, "cursor": page.cursor or None}

    def doctor(self) -> dict[str, Any]:
        """Say what is right and wrong with Redis and qflow, with remedies."""
        found = doctor.findings(facts.examine(self.redis, self.keys))
        return {"findings": [finding.as_dict() for finding in found]}

    def _story(self, run: str) -> Timeline:
        found = runs.find(self.redis, self.keys, run)
        return self.opener.story(timeline(self.redis, self.keys, found))


def _few(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise UsageError(f"limit={limit}: between 1 and {MOST}; use the cursor for more")
    return limit


def _counts(found: dict[str, int]) -> dict[str, int]:
    return {status: count for status, count in found.items() if count}


def _last_error(attempts: Any) -> dict[str, Any] | None:
    return next((a.error for a in reversed(attempts) if a.error), None)


def _error(error: dict[str, Any] | None) -> dict[str, Any] | None:
    if error is None:
        return None
    shown: dict[str, Any] = masked({k: v for k, v in error.items() if k != "traceback"})
    traceback = masked_text(str(error.get("traceback", "")))[-_TRACEBACK:]
    return {**shown, "traceback": traceback} if traceback else shown
