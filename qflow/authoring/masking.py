"""What models and agents are shown of data: small, and without what looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

MASK: Final = "•••"

_NAMES: Final = re.compile(
    r"(?i)(password|passwd|secret|token|api.?key|access.?key|authorization|cookie|credential|iban|"
    r"card.?number|cvc|ssn)"
)
_VALUES: Final = re.compile(
    r"(?i)\b(?:(?:sk|pk|rk)[-_][A-Za-z0-9_\-]{12,}|xox[abeprs]-[A-Za-z0-9-]{8,}|gh[opusr]_[A-Za-z0-9]{16,}|"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|bearer\s+[\w.\-]{8,}|"
    r"hooks\.slack\.com/services/\S+|(?<=://)[^\s:/@]*:[^\s/@]+(?=@))"
)
_TEXT: Final = 500
_ITEMS: Final = 20
_DEEP: Final = 8


def masked(value: Any, depth: int = 0) -> Any:
    """Return JSON data with secrets masked, long texts and lists cut."""
    if depth > _DEEP:
        return "…"
    if isinstance(value, str):
        text = masked_text(value)
        return text if len(text) <= _TEXT else f"{text[:_TEXT]}… ({len(text)} characters)"
    if isinstance(value, Mapping):
        shown = {
            str(key): MASK if _NAMES.search(str(key)) and part else masked(part, depth + 1)
            for key, part in list(value.items())[:_ITEMS]
        }
        return shown | ({"…": f"{len(value) - _ITEMS} more"} if len(value) > _ITEMS else {})
    if isinstance(value, (list, tuple)):
        items = [masked(item, depth + 1) for item in value[:_ITEMS]]
        return items + ([f"… {len(value) - _ITEMS} more"] if len(value) > _ITEMS else [])
    return value


def masked_text(text: str) -> str:
    """Return text without what looks like a token, a key or a password."""
    return _VALUES.sub(MASK, text)
