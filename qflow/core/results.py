"""What steps and waits gave, as the handler sees it: read from JSON, and of the type that is promised."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_type_hints

from qflow.core import codec
from qflow.core.event import Event, from_text
from qflow.core.middleware import Hooks, Place, opened


def read_event(text: str, hooks: Hooks | None) -> Event[Any] | None:
    """Return the event that a wait was given, None where it timed out."""
    if text == "null":
        return None
    return from_text(text, lambda data, id_, name: opened(hooks, data, Place("event", id_, name)))


def read_foreign(text: str, _hooks: Hooks | None) -> Any:
    """Return the data that came with a signal."""
    return codec.decode_foreign(text)


def read_output(text: str, handler: Callable[..., Any] | None) -> Any:
    """Return the output of an invoked run, as the type that its handler says it returns."""
    value = codec.decode(text)
    return value if handler is None else revived(value, handler)


@lru_cache(maxsize=4096)
def _return_annotation(fn: Callable[..., Any]) -> Any:
    try:
        return get_type_hints(fn).get("return")
    except Exception:  # noqa: BLE001  # an annotation that cannot be resolved revives nothing
        return None


def revived(value: Any, fn: Callable[..., Any]) -> Any:
    """Return a step's value as the type that its function says it returns."""
    try:
        annotation = _return_annotation(fn)
    except TypeError:  # an unhashable callable
        return value
    if annotation is None or type(value) is annotation:
        return value
    return codec.revive(value, annotation)
