"""What is already known about a run's steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from qflow.core import codec
from qflow.core.middleware import Hooks, Place, opened, opened_error
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

    def open(self, run: str, hooks: Hooks | None) -> None:
        """Decode what middleware encoded, before the handler could meet it; SealedError where it cannot."""
        for step, text in self._texts.items():
            if TAG not in text:
                continue
            if text.startswith(_OK):
                inner = text[len(_OK) : -1]
                plain = opened(hooks, inner, Place("step", run, step))
                self._texts[step] = text if plain is inner else value_text(plain)
            else:
                error = json.loads(text)["error"]
                self._texts[step] = error_text(
                    opened_error(hooks, error, Place("error", run, step))
                )

    def recall(self, step: str) -> Any:
        """Return the value of a finished step, or raise the StepError that it ended with."""
        text = self._texts[step]
        if text.startswith(_OK):
            return codec.decode(text[len(_OK) : -1])
        error = json.loads(text)["error"]
        raise StepError(
            error["name"], error["message"], error["traceback"], step, error.get("attempt", 0)
        )

    def check_room(self, step: str) -> None:
        """Raise LimitError where `step` would be one step too many."""
        if len(self._texts) >= MAX_STEPS:
            raise LimitError(
                f"step {step!r} would be step {len(self._texts) + 1} of this run, over the limit of "
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
