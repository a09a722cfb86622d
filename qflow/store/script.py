"""Loads `lua/*.lua`, packs calls of them, and runs calls in one round trip.

Every script is one state transition. Its header names its KEYS, ARGV and returns; `header()` reads
them, and a test holds them to the Python callers. Shared fragments stand in `lua/include/` and are
spliced in where a script says `-- include: name`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import hiredis

from qflow.store.redis import Redis, pack, refusal

_INCLUDE: Final = re.compile(r"^-- include: (\w+)$", re.MULTILINE)


class Call(NamedTuple):
    """One call of a script: its name, keys and arguments."""

    script: str
    keys: Sequence[str]
    args: Sequence[Any]


class Script(NamedTuple):
    """A script as Redis runs it: includes spliced in."""

    name: str
    source: str
    sha: str


def folder() -> str:
    """Return the folder of the scripts (importlib.resources would cost 5 ms at import)."""
    return os.path.join(os.path.dirname(__file__), "lua")


@cache
def script(name: str) -> Script:
    """Return the script of that name."""
    from hashlib import sha1  # loads OpenSSL: producers run no script

    source = _INCLUDE.sub(lambda match: _read("include", f"{match[1]}.lua"), _read(f"{name}.lua"))
    return Script(name, source, sha1(source.encode()).hexdigest())


@cache
def names() -> tuple[str, ...]:
    """Return the names of all scripts."""
    return tuple(sorted(file[:-4] for file in os.listdir(folder()) if file.endswith(".lua")))


def _read(*parts: str) -> str:
    with open(os.path.join(folder(), *parts), encoding="utf-8") as file:
        return file.read()


def packed(call: Call) -> bytes:
    """Return the EVALSHA command of a call, in Redis's protocol."""
    keys = call.keys
    command: bytes = pack(("EVALSHA", script(call.script).sha, len(keys), *keys, *call.args))
    return command


def run_all(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """Run calls in order, in one round trip; error replies are returned in their places.

    Scripts that Redis has lost (a restart, SCRIPT FLUSH) are loaded again, all of them, and what
    was refused for it runs again in the same order.
    """
    commands = [packed(call) for call in calls]
    replies = redis.send(b"".join(commands), len(commands))
    missing = [i for i, reply in enumerate(replies) if _is_missing(reply)]
    while missing:  # more than once where they are lost again in between
        load(redis)
        again = redis.send(b"".join([commands[i] for i in missing]), len(missing))
        for i, reply in zip(missing, again, strict=True):
            replies[i] = reply
        missing = [i for i in missing if _is_missing(replies[i])]
    return replies


def run(redis: Redis, call: Call) -> Any:
    """Run one call and return its reply; raise RedisError for an error reply."""
    reply = run_all(redis, [call])[0]
    if isinstance(reply, hiredis.ReplyError):
        raise refusal(reply, redis.target.shown)
    return reply


def load(redis: Redis) -> None:
    """Load every script into Redis: all at one moment, since the calls of a run depend on each
    other, and one that finds its script must not overtake one that does not yet."""
    loads = [("SCRIPT", "LOAD", script(name).source) for name in names()]
    redis.pipeline([("MULTI",), *loads, ("EXEC",)])


def _is_missing(reply: Any) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
