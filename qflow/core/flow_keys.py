"""What the keys, conditions and priorities of flow control are for an event."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isnan
from typing import Any, Final

from qflow.core.flow import MAX_PRIORITY_S
from qflow.errors import QflowError

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.@:+-]{1,64}")
EVERYTHING: Final = "*"
"""The text of a key where there is none, or no value of it: all such events are one."""


def key_of(source: str | None, bindings: Mapping[str, Any], now_ms: int) -> str | None:
    """Return the text by which a key's value is known, None where there is no value.

    Null, false and "" are no value, and neither is a key that cannot be evaluated for this event. Values
    that are not short and plain are known by a digest.
    """
    if source is None:
        return EVERYTHING
    from qflow.core import expression  # a process without keys never loads it

    try:
        value = expression.compile(source).value(bindings, now_ms)
    except QflowError:
        return None
    return text_of(value)


def holds(when: str, bindings: Mapping[str, Any], now_ms: int) -> bool:
    """Return whether a condition holds; one that cannot be evaluated for this event does not."""
    from qflow.core import expression  # a process without conditions never loads it

    try:
        return expression.compile(when).truthy(bindings, now_ms)
    except QflowError:
        return False


def text_of(value: Any) -> str | None:
    """Return the text by which a value of a key is known, the same for equal ones; None for no value."""
    if value is None or value is False or value == "":
        return None
    if value is True:
        return "true"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if _PLAIN.fullmatch(text):
        return text
    from hashlib import sha1  # loads OpenSSL: few keys are so odd

    return "#" + sha1(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def priority_ms(source: str | int | None, bindings: Mapping[str, Any], now_ms: int) -> int:
    """Return how far ahead of its time a run is queued, at most 600 s either way.

    An expression that gives no number gives 0.
    """
    value: Any = source
    if isinstance(source, str):
        from qflow.core import expression  # a process without priorities never loads it

        try:
            value = expression.compile(source).value(bindings, now_ms)
        except QflowError:
            return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    if isnan(value):
        return 0
    return round(max(-MAX_PRIORITY_S, min(MAX_PRIORITY_S, value)) * 1000)
