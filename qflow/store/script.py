"""Loads `lua/*.lua`, packs calls of them, and runs calls in one round trip.

Every script is one state transition. Its header names its KEYS, ARGV and returns; `header()` reads
them, and a test holds them to the Python callers. Shared fragments stand in `lua/include/` and are
spliced in where a script says `-- include: name`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import hiredis

from qflow.store.redis import Redis, pack, refusal

_MOST_TOGETHER: Final = 100  # Redis does nothing else meanwhile: some milliseconds
_INCLUDE: Final = re.compile(r"^-- include: (\w+)$", re.MULTILINE)


class Call(NamedTuple):
    """One call of a script: its name, keys and arguments.

    `items` are what the script repeats (in its header `[...]...`) after `args`. Calls that have items,
    and all else in common, may be made together: each gets its items' part of the list returned.
    """

    script: str
    keys: Sequence[str]
    args: Sequence[Any]
    items: Sequence[Sequence[Any]] = ()


class Script(NamedTuple):
    """A script as Redis runs it: includes spliced in."""

    name: str
    source: str
    sha: str


def folder() -> str:
    """Return the folder of the scripts (importlib.resources would cost 5 ms at import)."""
    return os.path.join(os.path.dirname(__file__), "lua")


_AHEAD: Final = frozenset(("open", "mark"))
"""Scripts whose calls stand before others in what a run writes together."""

_used: set[str] = set(_AHEAD)


@cache
def script(name: str) -> Script:
    """Return the script of that name."""
    from hashlib import sha1  # loads OpenSSL: producers run no script

    _used.add(name)

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
    return _packed(call, call.items)


def _packed(call: Call, items: Sequence[Sequence[Any]]) -> bytes:
    keys = call.keys
    if not items:
        command: bytes = pack(("EVALSHA", script(call.script).sha, len(keys), *keys, *call.args))
        return command
    count, head = _head(call.script, tuple(keys), tuple(call.args))
    parts = items[0] if len(items) == 1 else [part for item in items for part in item]
    rest: bytes = pack(tuple(parts))
    return b"*%d\r\n%b%b" % (count + len(parts), head, rest[rest.index(b"\n") + 1 :])


@lru_cache(maxsize=256)
def _head(name: str, keys: tuple[str, ...], args: tuple[Any, ...]) -> tuple[int, bytes]:
    """Return what is the same in many calls, packed, and how many parts it has: packing a part takes
    longer than looking all of them up."""
    parts = ("EVALSHA", script(name).sha, len(keys), *keys, *args)
    packed_parts: bytes = pack(parts)
    return len(parts), packed_parts[packed_parts.index(b"\n") + 1 :]


def run_all(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """Run calls in order, in one round trip; error replies are returned in their places.

    Calls that can be made together are: all of them where the last of them stands, which no two
    writers of one moment can tell from any other order.
    """
    if len(calls) == 1:
        return _exchange(redis, [packed(calls[0])])
    groups = _together(calls)
    replies = _exchange(redis, [_packed(calls[group[0]], _items(calls, group)) for group in groups])
    found: list[Any] = [None] * len(calls)
    for group, reply in zip(groups, replies, strict=True):
        if len(group) > 1 and isinstance(reply, hiredis.ReplyError):  # whose fault, is not known
            apart = _exchange(redis, [packed(calls[at]) for at in group])
            for at, own in zip(group, apart, strict=True):
                found[at] = own
            continue
        begin = 0
        for at in group:
            end = begin + len(calls[at].items)
            found[at] = reply[begin:end] if len(group) > 1 and isinstance(reply, list) else reply
            begin = end
    return found


def _together(calls: Sequence[Call]) -> list[list[int]]:
    """Return the positions of calls that are made together, in the order in which they are made."""
    groups: list[list[int]] = []
    latest: dict[str, list[int]] = {}
    for at, call in enumerate(calls):
        group = latest.get(call.script) if call.items else None
        if group and len(group) < _MOST_TOGETHER and _alike(call, calls[group[0]]):
            groups.remove(group)
            group.append(at)
        else:
            group = [at]
            if call.items:
                latest[call.script] = group
        groups.append(group)
    return groups


def _alike(one: Call, other: Call) -> bool:
    return one.args == other.args and one.keys == other.keys


def _items(calls: Sequence[Call], group: Sequence[int]) -> Sequence[Sequence[Any]]:
    return [item for at in group for item in calls[at].items]


def _exchange(redis: Redis, commands: Sequence[bytes]) -> list[Any]:
    """Return the replies of packed calls.

    Scripts that Redis has lost (a restart, SCRIPT FLUSH) are loaded again, all that this process
    uses, and what was refused for it runs again in the same order.
    """
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
    """Load the scripts that this process has used into Redis: all at one moment, since the calls of a
    run depend on each other, and one that finds its script must not overtake one that does not yet."""
    loads = [("SCRIPT", "LOAD", script(name).source) for name in sorted(_used)]
    redis.pipeline([("MULTI",), *loads, ("EXEC",)])


def _is_missing(reply: Any) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
