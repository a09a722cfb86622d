"""Which Redis to use where none is configured: the one that `qflow dev` left a record of."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from qflow.config import Settings

RECORD: Final = Path(".qflow") / "redis.json"
DEFAULT_URL: Final = "redis://127.0.0.1:6379/0"


def redis_url(settings: Settings) -> str:
    """Return the setting, else the URL of this folder's (or a parent's) embedded Redis, else the default."""
    return settings.redis_url or _recorded() or DEFAULT_URL


def _recorded() -> str:
    here = Path.cwd()
    for folder in (here, *here.parents):
        try:
            record = json.loads((folder / RECORD).read_text())
            os.kill(record["pid"], 0)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return str(record["url"])
    return ""
