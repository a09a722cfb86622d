"""The search box over runs: `function:send-mail status:failed,running since:2h`, or a part of an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qflow.core.durations import to_ms
from qflow.core.status import RUN_STATUSES
from qflow.errors import UsageError

QUALIFIERS: Final = {
    "function": "runs of this function",
    "status": f"runs in these states: {', '.join(RUN_STATUSES)}",
    "since": "created within this time, such as 2h or 7d",
}
"""What may stand before a colon, and what it asks for."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which runs are asked for; `run` is a part of an id, `since` a length of time as written."""

    function: str = ""
    statuses: tuple[str, ...] = ()
    since: str = ""
    run: str = ""

    def __str__(self) -> str:
        parts = [
            f"function:{self.function}" if self.function else "",
            f"status:{','.join(self.statuses)}" if self.statuses else "",
            f"since:{self.since}" if self.since else "",
            self.run,
        ]
        return " ".join(part for part in parts if part)

    def since_ms(self, now_ms: int) -> int:
        """Return the moment from which on runs are asked for, 0 for all."""
        return now_ms - to_ms(self.since, "since") if self.since else 0


def parse(text: str) -> Query:
    """Read what stands in the search box; raise UsageError, naming the word, where it means nothing."""
    function, statuses, since, run = "", list[str](), "", ""
    for word in text.split():
        name, colon, value = word.partition(":")
        if not colon:
            if run:
                raise UsageError(f"{word!r}: one id at a time, and {run!r} stands already")
            run = word
        elif name in ("function", "fn"):
            function = value
        elif name == "status":
            statuses += _statuses(value)
        elif name == "since":
            to_ms(value, f"since:{value}")
            since = value
        else:
            known = ", ".join(f"{each}:" for each in QUALIFIERS)
            raise UsageError(f"{word!r}: {name!r} is no qualifier; write one of {known} or an id")
    return Query(function, tuple(dict.fromkeys(statuses)), since, run)


def _statuses(value: str) -> list[str]:
    words = [word for word in value.split(",") if word]
    for word in words:
        if word not in RUN_STATUSES:
            raise UsageError(
                f"status:{word}: there is no such state; write one of {', '.join(RUN_STATUSES)}"
            )
    return words
