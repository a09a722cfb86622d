"""How a part that a middleware encoded stands in stored JSON: `{"$qflow":"sealed","by":…,"v":…}`.

The form is plain JSON, so routers, scripts and listings handle it without knowing how to read it.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from qflow.core.tags import TAG
from qflow.errors import UsageError

KEYS_VARIABLE: Final = "QFLOW_ENCRYPTION_KEYS"
"""The environment variable that encryption's keys come from: one or more, separated by commas."""

_KIND: Final = "sealed"
_MARK: Final = re.compile(r'"\$qflow":\s*"sealed"')
_BY: Final = re.compile(r'"by":\s*"([^"\\]*)"')
_LABEL: Final = re.compile(r"[A-Za-z0-9._:+/-]{1,100}")


class Sealed(NamedTuple):
    """A part that a middleware encoded: `text` is whatever it made, `by` says who can read it.

    `by` stands readable in Redis and in error messages, such as "zlib" or "aes-gcm:3fa9c1d2".
    """

    by: str
    text: str

    def to_json(self) -> str:
        """Return what `Middleware.encode` gives back; raise UsageError where `by` is no plain label."""
        if not _LABEL.fullmatch(self.by):
            raise UsageError(f"Sealed(by={self.by!r}): a label of letters, digits and ._:+/- only")
        return f'{{"{TAG}":"{_KIND}","by":"{self.by}","v":{json.dumps(self.text)}}}'

    @classmethod
    def from_json(cls, text: str) -> Sealed | None:
        """Return the sealed part that `text` is as a whole, or None."""
        return cls.of(json.loads(text)) if _MARK.search(text) else None

    @classmethod
    def of(cls, value: object) -> Sealed | None:
        """Return the sealed part that a value read from JSON stands for, or None."""
        if not isinstance(value, dict) or value.get(TAG) != _KIND:
            return None
        by, text = value.get("by"), value.get("v")
        return cls(by, text) if isinstance(by, str) and isinstance(text, str) else None


def sealed_by(text: str) -> str:
    """Return who sealed a part of this JSON text ("?" where it does not say), "" where none is sealed."""
    if TAG not in text or not _MARK.search(text):
        return ""
    found = _BY.search(text)
    return found[1] if found else "?"
