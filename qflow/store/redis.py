"""The only place that opens connections to Redis.

A thin client on hiredis and plain sockets: one packed write and one parsed read an exchange.
redis-py, which RQ and rq-scheduler use, spends more time on a command than Redis does
(PERFORMANCE: 2.4 times the throughput without it) and 130 ms at import, which every producer and
command line would pay. `client()` gives a redis-py client to those who need one.

Every exchange of qflow may be repeated: scripts notice that they were applied already, events
carry ids, blocking pops take hints only. So a lost connection is mended here, once for all.
"""

from __future__ import annotations

import math
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import hiredis

from qflow.errors import RedisBusy, RedisError, RedisRefused, RedisUnavailable
from qflow.store.url import Target, parse
from qflow.telemetry import emit

if TYPE_CHECKING:
    import redis

_MISSING: Final = object()
_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.25
_WAITING_MENDS: Final = (
    "LOADING",
    "OOM",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
)
_REMEDIES: Final = {
    "OOM": "Redis is out of memory: raise maxmemory or free keys",
    "READONLY": "this Redis is a read-only replica: point QFLOW_REDIS_URL at the primary",
    "LOADING": "Redis is loading its data: wait for it",
    "MISCONF": "Redis cannot write to its disk: see its log",
    "NOAUTH": "give the password in the URL: redis://:PASSWORD@host:port/0",
    "WRONGPASS": "the user or password in the URL is wrong",
    "NOPERM": "this Redis user lacks a permission that qflow needs",
}

Command = Sequence[Any]
pack = hiredis.pack_command


class Link:
    """One connection; not for two threads at once. Reconnects when it is used after a loss."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._reader: Any = None
        self._wait_s = 0.0

    def exchange(self, packed: bytes, count: int, wait_s: float = _TIMEOUT_S) -> list[Any]:
        """Send `packed` and return its `count` replies; errors among them come as ReplyError.

        Raises RedisUnavailable where the connection cannot be made or breaks on the way: whether
        the commands were executed is then unknown.
        """
        try:
            sock = self._socket or self._connect()
            if wait_s != self._wait_s:
                self._limit(sock, wait_s)
            sock.sendall(packed)
            reader = self._reader
            replies: list[Any] = []
            while len(replies) < count:
                data = sock.recv(65536)
                if not data:
                    raise ConnectionResetError("closed by Redis")
                reader.feed(data)
                while (reply := reader.gets()) is not _MISSING:
                    replies.append(reply)
        except BlockingIOError as error:
            self.close()
            raise RedisUnavailable(
                f"no answer from Redis at {self._target.shown} within {wait_s:g} s"
            ) from error
        except (OSError, hiredis.ProtocolError) as error:
            self.close()
            raise RedisUnavailable(
                f"no Redis at {self._target.shown}: {str(error) or type(error).__name__}; "
                "start one, or set QFLOW_REDIS_URL"
            ) from error
        except BaseException:
            self.close()  # a reply may still be on its way: this connection is out of step
            raise
        return replies

    @property
    def connected(self) -> bool:
        """Whether this link holds an open connection, as far as it knows."""
        return self._socket is not None

    def close(self) -> None:
        """Close the connection; the next exchange opens a new one."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _limit(self, sock: socket.socket, wait_s: float) -> None:
        """Bound each wait on the socket by the kernel; Python's own time-outs cost a poll an exchange."""
        self._wait_s = wait_s
        if self._target.scheme == "rediss":
            sock.settimeout(wait_s)  # OpenSSL does not take the kernel's word for it
            return
        span = struct.pack("ll", int(wait_s), int(wait_s % 1 * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)

    def _connect(self) -> socket.socket:
        sock = self._target.open(_TIMEOUT_S)
        if self._target.scheme != "rediss":
            sock.settimeout(None)
        self._wait_s = 0.0
        self._socket = sock
        self._reader = hiredis.Reader(notEnoughData=_MISSING)
        greeting = [pack(command) for command in self._target.greeting()]
        for reply in self.exchange(b"".join(greeting), len(greeting)) if greeting else ():
            if isinstance(reply, hiredis.ReplyError):
                self.close()
                raise refusal(reply, self._target.shown)
        return sock


def refusal(reply: Exception, shown: str) -> RedisError:
    """Return the error to raise for an error reply of Redis."""
    text = str(reply)
    code = text.partition(" ")[0]
    remedy = _REMEDIES.get(code)
    message = f"Redis at {shown} refused: {text}" + (f"; {remedy}" if remedy else "")
    return RedisBusy(message) if code in _WAITING_MENDS else RedisRefused(message)


class Redis:
    """A pool of links to one Redis, safe for threads.

    `patience_s` is how long a lost connection or a busy Redis is waited for: 0 in commands, without
    end in services, where `stop` (an event) ends the wait.
    """

    def __init__(
        self, url: str, patience_s: float = 0.0, stop: threading.Event | None = None
    ) -> None:
        self.target = parse(url)
        self._patience_s = patience_s
        self._stop = stop or threading.Event()
        self._free: list[Link] = []

    def call(self, *command: Any) -> Any:
        """Execute one command and return its reply; raise RedisError for an error reply."""
        return self.pipeline([command])[0]

    def block(self, wait_s: float, *command: Any) -> Any:
        """Execute a command that blocks for up to `wait_s` in Redis.

        Returns None, as at its time-out, where connections were lost until then: the caller has
        other things to look after, however often that happens.
        """
        ends = time.monotonic() + wait_s
        return self._checked(self.send(pack(tuple(command)), 1, wait_s + _TIMEOUT_S, ends))[0]

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Execute commands in one round trip; raise RedisError for the first error reply."""
        packed = b"".join([pack(tuple(command)) for command in commands])
        return self._checked(self.send(packed, len(commands)))

    def send(
        self, packed: bytes, count: int, wait_s: float = _TIMEOUT_S, ends: float = math.inf
    ) -> list[Any]:
        """Exchange packed commands, waiting for Redis with patience; error replies are returned.

        At `ends` (monotonic) a lost connection is not mended any more: the replies are None.
        """
        deadline = 0.0
        while True:
            link = self._take()
            reused = link.connected
            try:
                replies = link.exchange(packed, count, wait_s)
                self._free.append(link)
                busy = self._busy(replies)
                if busy is None:
                    if deadline:
                        emit("redis.back")
                    return replies
                raise busy
            except RedisError as error:
                if isinstance(error, RedisUnavailable) and time.monotonic() >= ends:
                    return [None] * count
                if isinstance(error, RedisUnavailable) and reused:
                    self._free.clear()  # idle connections may simply have grown stale
                    continue
                if isinstance(error, RedisRefused):
                    raise
                if not deadline:
                    deadline = time.monotonic() + self._patience_s
                    if self._patience_s:
                        emit("redis.waiting", error=str(error))
                if time.monotonic() >= deadline or self._stop.wait(_PAUSE_S):
                    raise

    def _take(self) -> Link:
        try:
            return self._free.pop()
        except IndexError:
            return Link(self.target)

    def client(self) -> redis.Redis:
        """Return a redis-py client to the same Redis, for RQ and rq-scheduler."""
        return self.target.client()

    def close(self) -> None:
        """Close the idle links."""
        while self._free:
            self._free.pop().close()

    def _busy(self, replies: list[Any]) -> RedisError | None:
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                error = refusal(reply, self.target.shown)
                if isinstance(error, RedisBusy):
                    return error
        return None

    def _checked(self, replies: list[Any]) -> list[Any]:
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise refusal(reply, self.target.shown)
        return replies
