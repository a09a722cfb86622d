"""Finds keys that stay in Redis for ever without being meant to.

`qflow.store.keys` is the measure: each of its methods gives the pattern of a key, and its docstring
says whether the key is permanent. Any other key must have an expiry, or belong to a run that has
not ended yet.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, NamedTuple

from qflow.core.status import ENDED
from qflow.store.keys import RQ, Keys
from qflow.store.redis import Redis

_PERMANENT: Final = re.compile(r"permanent|deleted by redis when empty|trimmed", re.IGNORECASE)
_ANY: Final = "\x00"


class Kind(NamedTuple):
    """One method of Keys: its name, what its keys look like, and whether they may stay."""

    name: str
    pattern: re.Pattern[str]
    permanent: bool
    fixed: int


def kinds(keys: Keys) -> list[Kind]:
    """Return every kind of key of a namespace, the most specific pattern first."""
    found = []
    members = {n: m for kind in reversed(type(keys).__mro__) for n, m in vars(kind).items()}
    for name, member in members.items():
        if isinstance(member, cached_property):
            doc, example = member.func.__doc__, getattr(keys, name)
        elif inspect.isfunction(member) and not name.startswith("_"):
            count = len(inspect.signature(member).parameters) - 1
            doc, example = member.__doc__, member(keys, *[_ANY] * count)
        else:
            continue
        pattern = ".+".join(re.escape(part) for part in example.split(_ANY))
        permanent = bool(_PERMANENT.search(doc or ""))
        found.append(Kind(name, re.compile(pattern, re.DOTALL), permanent, len(pattern)))
    return sorted(found, key=lambda kind: -kind.fixed)


def leaks(redis: Redis, keys: Keys) -> list[str]:
    """Return a line for each key of the namespace, or of RQ, that is left for ever."""
    known = kinds(keys)
    unfinished = _unfinished(redis, keys)
    names = sorted({*_scan(redis, f"{_glob(keys.ns)}:*"), *_scan(redis, f"{RQ}:*")})
    expiries = redis.pipeline([("PTTL", name) for name in names]) if names else []
    found = []
    for name, expiry in zip(names, expiries, strict=True):
        kind = next((kind for kind in known if kind.pattern.fullmatch(name)), None)
        if expiry != -1 or (kind is not None and kind.permanent):
            continue
        if any(run in name for run in unfinished):
            continue
        if kind is None:
            found.append(f"{name}: no method of Keys makes such a key")
        elif not (unfinished and _is_shared(kind)):
            found.append(
                f"{name}: Keys.{kind.name} is not declared permanent, and it has no expiry"
            )
    return found


def _is_shared(kind: Kind) -> bool:
    """Tell whether a key of this kind serves many runs, and may stay while one of them goes on."""
    return kind.name not in ("run", "steps", "trace", "job", "execution", "executions", "seen")


def _unfinished(redis: Redis, keys: Keys) -> set[str]:
    runs = [run.decode() for run in redis.call("ZRANGE", keys.runs, 0, -1)]
    if not runs:
        return set()
    states = redis.pipeline([("HGET", keys.run(run), "status") for run in runs])
    ended = {str(status) for status in ENDED}
    return {
        run
        for run, status in zip(runs, states, strict=True)
        if status is not None and status.decode() not in ended
    }


def _scan(redis: Redis, pattern: str) -> Iterator[str]:
    cursor: Any = b"0"
    while True:
        cursor, names = redis.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
        for name in names:
            yield name.decode("utf-8", "replace")
        if cursor == b"0":
            return


def _glob(text: str) -> str:
    return re.sub(r"([\[\]*?\\^])", r"\\\1", text)
