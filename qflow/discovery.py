"""Finds the Redis to use: the one set, else the one `qflow dev` runs here, else the local default.

`qflow dev` leaves a record of its Redis in `.qflow/redis.json` of the folder it runs in, so that
every command run in that folder, or below it, finds the same one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from qflow.config import Settings

RECORD: Final = os.path.join(".qflow", "redis.json")
DEFAULT_URL: Final = "redis://127.0.0.1:6379/0"


def redis_url(settings: Settings, folder: str | None = None) -> str:
    """Return the URL of the Redis to use; `folder` (default: the current one) is looked up from."""
    return settings.redis_url or recorded_url(folder) or DEFAULT_URL


def recorded_url(folder: str | None = None) -> str:
    """Return the URL that a living `qflow dev` recorded in `folder` or above, or ""."""
    for path in _places(os.path.abspath(folder or os.curdir)):
        url = _read(os.path.join(path, RECORD))
        if url:
            return url
    return ""


def _places(folder: str) -> Iterator[str]:
    while True:
        yield folder
        above = os.path.dirname(folder)
        if above == folder:
            return
        folder = above


def _read(path: str) -> str:
    """Return the URL in a record, or "" where there is none or its process is gone."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return ""
    import json  # only where there is a record: producers start faster without

    try:
        record = json.loads(text)
        url, pid = record["url"], record["pid"]
    except (ValueError, TypeError, KeyError):
        return ""  # half-written or not ours: as good as none
    return url if isinstance(url, str) and isinstance(pid, int) and _alive(pid) else ""


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # someone else's, but there
    except (ProcessLookupError, OverflowError):
        return False
    return True
