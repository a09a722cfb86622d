"""What is already known about a run's steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from qflow.core import codec
from qflow.core.middleware import Hooks, Place, opened, opened_error
from qflow.core.sealed import Sealed
from qflow.core.tags import TAG
from qflow.errors import LimitError, StepError

MAX_STEPS: Final = 1000
MAX_STATE_BYTES: Final = 32 * 1024 * 1024
MAX_RESULT_BYTES: Final = 4 * 1024 * 1024

_OK: Final = '{"ok":'


def value_text(encoded: str) -> str:
    """Return what the steps hash keeps for a value that `codec` encoded."""
    return f"{_OK}{encoded}}}"


def error_text(error: Mapping[str, object]) -> str:
    """Return what the steps hash keeps for an error (name, message, traceback, attempt)."""
    return f'{{"error":{json.dumps(error)}}}'


def opened_step(hooks: Hooks | None, text: str, run: str, step: str, child: str | None) -> str:
    """Return what the steps hash keeps as it was before middleware encoded it.

    What came from an invoked run, `child`, was encoded there. An event's data stay as they are:
    whoever reads the event decodes them. Raises SealedError where it cannot be done here.
    """
    if TAG not in text:
        return text
    if text.startswith(_OK):
        inner = text[len(_OK) : -1]
        if Sealed.from_json(inner) is None:
            return text
        place = Place("output", child) if child else Place("step", run, step)
        return value_text(opened(hooks, inner, place))
    error = json.loads(text)["error"]
    place = Place("error", child) if child else Place("error", run, step)
    return error_text(opened_error(hooks, error, place))


def moved_step(hooks: Hooks | None, text: str, step: str, old: str, new: str) -> str:
    """Return what the steps hash of run `new` keeps of a step of run `old`: what middleware encoded for
    that is encoded for this. Raises SealedError where it cannot be done here."""
    plain = opened_step(hooks, text, old, step, None)
    if plain == text or hooks is None:
        return text
    if plain.startswith(_OK):
        return value_text(hooks.encoded(plain[len(_OK) : -1], Place("step", new, step)))
    error = json.loads(plain)["error"]
    return error_text(hooks.encoded_error(error, Place("error", new, step)))


class Memo:
    """The finished steps of a run, by step id; values are decoded when they are asked for."""

    __slots__ = ("_texts", "size")

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts
        self.size = sum(map(len, texts.values()))

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, step: object) -> bool:
        return step in self._texts

    def open(self, opened: Callable[[str, str], str]) -> None:
        """Decode what middleware encoded, before the handler could meet it; SealedError where it cannot."""
        for step, text in self._texts.items():
            if TAG in text:
                self._texts[step] = opened(step, text)

    def raw(self, step: str) -> str:
        """Return the JSON text of a finished step's value, or raise the StepError that it ended with."""
        text = self._texts[step]
        if not text.startswith(_OK):
            self.recall(step)
        return text[len(_OK) : -1]

    def recall(self, step: str) -> Any:
        """Return the value of a finished step, or raise the StepError that it ended with."""
        text = self._texts[step]
        if text.startswith(_OK):
            return codec.decode(text[len(_OK) : -1])
        error = json.loads(text)["error"]
        raise StepError(
            error["name"], error["message"], error["traceback"], step, error.get("attempt", 0)
        )

    def check_room(self, step: str, open_steps: int = 0) -> None:
        """Raise LimitError where `step` would be one step too many, beside those that are open."""
        count = len(self._texts) + open_steps
        if count >= MAX_STEPS:
            raise LimitError(
                f"step {step!r} would be step {count + 1} of this run, over the limit of "
                f"{MAX_STEPS} steps; split the work over several runs"
            )

    def add(self, step: str, text: str) -> None:
        """Remember a finished step; raise LimitError where its result or the state grows too large."""
        size = len(text)
        if size > MAX_RESULT_BYTES:
            raise LimitError(
                f"the result of step {step!r} is {size / 1048576:.1f} MiB, over the limit of "
                f"{MAX_RESULT_BYTES // 1048576} MiB; store it elsewhere and return a reference"
            )
        if self.size + size > MAX_STATE_BYTES:
            raise LimitError(
                f"with the result of step {step!r} the run's state is "
                f"{(self.size + size) / 1048576:.1f} MiB, over the limit of "
                f"{MAX_STATE_BYTES // 1048576} MiB; store large results elsewhere"
            )
        self._texts[step] = text
        self.size += size
