"""What to say of something that is not there: the nearest thing that is."""

from __future__ import annotations

from collections.abc import Iterable

from qflow.errors import QflowError


class NotFound(QflowError):
    """A run or function that is not in this namespace; the message names the nearest that is."""


def nearest(wanted: str, known: Iterable[str]) -> str:
    """Return the member of `known` most like `wanted`, or "" where none is alike."""
    from difflib import get_close_matches  # only on the way to an error

    found = get_close_matches(wanted, list(known), 1, 0.5)
    return found[0] if found else ""


def unknown_function(function: str, known: Iterable[str], namespace: str) -> NotFound:
    """Return the error for a function id that no worker published."""
    ids = sorted(known)
    near = nearest(function, ids)
    if near:
        remedy = f"did you mean {near!r}?"
    elif ids:
        remedy = f"published are {', '.join(ids[:5])}{', …' if len(ids) > 5 else ''}"
    else:
        remedy = "none is published yet: start `qflow worker` or `qflow dev`"
    return NotFound(f"no function {function!r} in namespace {namespace!r}; {remedy}")
