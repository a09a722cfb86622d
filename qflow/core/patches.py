"""Changes of a handler's code, and which path a run takes at each: the one it took before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from qflow.errors import UsageError

FIELD: Final = "patch:"
"""What a run's fields that note a patch begin with."""
MAX_ID: Final = 100


class Patches:
    """The patches that a run has met, in one entry of its handler.

    A run that reaches a patch among steps that had finished before has passed that place under older
    code; one that reaches it later has not, and that is noted, so that every later entry agrees.
    """

    __slots__ = ("_known", "_note")

    def __init__(self, noted: Iterable[str], note: Callable[[str], None]) -> None:
        self._known = dict.fromkeys(noted, True)
        self._note = note

    def take(self, patch: str, *, replaying: bool) -> bool:
        """Return whether the run takes the new path at `patch`, the same at each call."""
        if not isinstance(patch, str) or not 0 < len(patch) <= MAX_ID or not patch.isprintable():
            raise UsageError(
                f"run.patched needs an id of at most {MAX_ID} printable characters, such as "
                f'"new-prices"; got {patch!r}'
            )
        if patch not in self._known:
            self._known[patch] = not replaying
            if not replaying:
                self._note(patch)
        return self._known[patch]
