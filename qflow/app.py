"""App: the registry of functions, and how a service sends events."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final, Protocol, TypeVar, Unpack, overload

from qflow import config
from qflow.core import codec
from qflow.core.control import Control, control_spec
from qflow.core.durations import Duration, to_ms
from qflow.core.event import MAX_EVENT_BYTES, Event, check_sendable, encode_data
from qflow.core.flow import check_shared
from qflow.core.function import Function, check_handler, check_id, failure_handler
from qflow.core.ids import ulid
from qflow.core.memo import value_text
from qflow.core.middleware import Hooks, Middleware, Place, check_middleware
from qflow.core.retry import DEFAULT_RETRIES, Backoff, Policy, check_retries
from qflow.core.trigger import Trigger, parse_triggers
from qflow.core.waits import check_signal
from qflow.discovery import redis_url
from qflow.errors import DefinitionError, EventError
from qflow.store import script, stream, wait
from qflow.store.keys import Keys
from qflow.store.redis import Redis

H = TypeVar("H", bound=Callable[..., Any])

_SEND_PATIENCE_S: Final = 5.0


class Outlet(Protocol):
    """Where the events and signals of an App go instead of Redis."""

    def now_ms(self) -> int:
        """Return the time that events without one are given."""
        ...

    def take(self, events: Sequence[Event[Any]], encode: Callable[[Event[Any]], str]) -> list[str]:
        """Accept events as `store.stream.append` does: all or, where one is bad, none."""
        ...

    def signal(self, name: str, text: str) -> bool:
        """Give a signal to the step that waits for it; return whether one did."""
        ...

    def cancel(self, run: str, reason: str) -> bool:
        """Cancel an unfinished run; return whether this call did."""
        ...


class App:
    """The functions of one application, and the way to send it events.

    Creating an App opens no connection; the first `send` does. `redis_url` and `namespace` override
    the settings (QFLOW_REDIS_URL, QFLOW_NAMESPACE, pyproject.toml). `middleware` holds for all its
    events and functions, in that order. Safe for threads.
    """

    def __init__(
        self,
        name: str,
        *,
        redis_url: str | None = None,
        namespace: str | None = None,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self.name = check_id(name)
        self._middleware = check_middleware(middleware, f"app {name!r}")
        self._hooks = Hooks(self._middleware) if self._middleware else None
        self._flags = {"redis_url": redis_url, "namespace": namespace}
        self._functions: dict[str, Function[Any]] = {}
        self._lock = threading.Lock()
        self._connected: tuple[int, Redis, Keys] | None = None
        self.outlet: Outlet | None = None  # what `qflow.testing` puts in the place of Redis
        self._ttl_s = 0

    @property
    def functions(self) -> dict[str, Function[Any]]:
        """The functions defined so far, by id."""
        return dict(self._functions)

    def function(
        self,
        id: str,
        *,
        trigger: str | Trigger | Sequence[str | Trigger],
        name: str | None = None,
        retries: int = DEFAULT_RETRIES,
        backoff: Backoff | None = None,
        timeout: Duration | None = None,
        **control: Unpack[Control],
    ) -> Callable[[Callable[..., Any]], Function[Any]]:
        """Make a handler a durable function, started by `trigger`.

        `trigger` is an event name ("user/created", "user/*"), EventTrigger(…), Cron(…), or a list of
        at most ten. `retries` (0 to 20) and `backoff` hold for each step and, separately, for the
        handler's own code; `timeout` bounds each attempt of a step. What else it takes, and what that
        means, is listed in `Control` and `Flow`.

        Raises DefinitionError for anything that could not work.
        """
        where = f"function {check_id(id)!r} of app {self.name!r}"
        controlled = control_spec(control, id, self.name, where)
        triggers = parse_triggers(trigger, where)
        if backoff is not None and not isinstance(backoff, Backoff):
            raise DefinitionError(f"{where}: backoff must be Backoff(…), not {backoff!r}")
        policy = Policy(
            check_retries(retries, where),
            backoff,
            0 if timeout is None else to_ms(timeout, f"{where}: timeout"),
        )

        hooked = self._middleware + check_middleware(control.get("middleware", ()), where)

        def define(handler: Callable[..., Any]) -> Function[Any]:
            wants = check_handler(handler, where)
            function: Function[Any] = Function(
                id,
                name or id,
                self.name,
                triggers,
                policy,
                handler,
                wants,
                iscoroutinefunction(handler),
                Hooks(hooked) if hooked else None,
                control=controlled,
            )
            follower = control.get("on_failure")
            handlers = [] if follower is None else [failure_handler(function, follower)]
            for each in (function, *handlers):
                self._add(each, where)
            return function

        return define

    @overload
    def send(self, events: Event[Any]) -> str: ...
    @overload
    def send(self, events: Iterable[Event[Any]]) -> list[str]: ...
    def send(self, events: Event[Any] | Iterable[Event[Any]]) -> str | list[str]:
        """Send one event or many; return the id of each once Redis has accepted it.

        The same event id within 24 hours starts each function once. A list is checked as a whole
        before its first event is sent. A lost connection is retried for five seconds; retrying
        cannot send an event twice.

        Raises EventError, CodecError or LimitError for an event that cannot be sent, RedisError
        where Redis cannot take it, and whatever a middleware raises.
        """
        one = isinstance(events, Event)
        outlet = self.outlet
        now_ms = time.time_ns() // 1_000_000 if outlet is None else outlet.now_ms()
        filled = _filled([events] if isinstance(events, Event) else events, now_ms)
        hooks = self._hooks
        encode = encode_data
        if hooks is not None:
            filled = _filled([hooks.sent(event) for event in filled], now_ms)
            encode = partial(_encoded_data, hooks)
        if outlet is None:
            ids = stream.append(*self._connection(), filled, encode)
        else:
            ids = outlet.take(filled, encode)
        return ids[0] if one else ids

    @overload
    async def asend(self, events: Event[Any]) -> str: ...
    @overload
    async def asend(self, events: Iterable[Event[Any]]) -> list[str]: ...
    async def asend(self, events: Event[Any] | Iterable[Event[Any]]) -> str | list[str]:
        """Do as `send`, without blocking the event loop."""
        import asyncio  # producers that never await need not pay its import

        if isinstance(events, Event):
            return await asyncio.to_thread(self.send, events)
        return await asyncio.to_thread(self.send, events)

    def signal(self, name: str, data: Any = None) -> bool:
        """Give a signal, with plain `data`, to the step that waits for it; return whether one did.

        Raises CodecError for data that cannot be stored, RedisError where Redis cannot take it.
        """
        check_signal(name, "app.signal")
        what = f"the data of signal {name!r}"
        text = codec.encode(data, what)
        codec.check_size(text, MAX_EVENT_BYTES, what)
        if self.outlet is not None:
            return self.outlet.signal(name, value_text(text))
        redis, keys = self._connection()
        call = wait.signal(keys, name, os.urandom(12).hex(), value_text(text), self._ttl_s)
        return bool(script.run(redis, call))

    async def asignal(self, name: str, data: Any = None) -> bool:
        """Do as `signal`, without blocking the event loop."""
        import asyncio  # producers that never await need not pay its import

        return await asyncio.to_thread(self.signal, name, data)

    def cancel(self, run: str) -> bool:
        """Cancel an unfinished run, wherever it stands; return whether this call did.

        False means that it had ended before, or that there is no such run. An executing step is
        interrupted where it is async; `run.cancelled` becomes true in its worker.
        """
        reason = f"by app {self.name}"
        if self.outlet is not None:
            return self.outlet.cancel(run, reason)
        from qflow.store import ending, script  # producers run no scripts

        redis, keys = self._connection()
        settings = config.load(self._flags)
        what = ending.Cancel(run, os.urandom(8).hex(), reason)
        reply = script.run(redis, ending.cancel(keys, what, stream.Keep(*settings.kept_s)))
        return bool(reply[0] == ending.CANCELLED)

    def _add(self, function: Function[Any], where: str) -> None:
        with self._lock:
            known = self._functions.get(function.id)
            if known is not None:
                place = f"{known.handler.__module__}.{known.handler.__qualname__}"
                raise DefinitionError(
                    f"{where} is defined already, by {place}; give this one its own id"
                )
            others = {name: each.control for name, each in self._functions.items()}
            check_shared(function.control, others, where)
            self._functions[function.id] = function

    def _connection(self) -> tuple[Redis, Keys]:
        """Return this process's connection; a forked child makes its own."""
        found = self._connected
        if found is not None and found[0] == os.getpid():
            return found[1], found[2]
        with self._lock:
            settings = config.load(self._flags)
            self._ttl_s = settings.ms("rq_ttl") // 1000
            redis = Redis(redis_url(settings), _SEND_PATIENCE_S)
            keys = Keys(settings.namespace)
            self._connected = os.getpid(), redis, keys
        return redis, keys


def _encoded_data(hooks: Hooks, event: Event[Any]) -> str:
    text = hooks.encoded(encode_data(event), Place("event", event.id, event.name))
    codec.check_size(text, MAX_EVENT_BYTES, f"the encoded data of event {event.name!r}")
    return text


def _filled(events: Iterable[Any], now_ms: int) -> list[Event[Any]]:
    filled = []
    for event in events:
        if not isinstance(event, Event):
            raise EventError(f"send takes Event(…) or a list of them, not {type(event).__name__}")
        check_sendable(event)
        filled.append(
            event
            if event.id and event.ts
            else replace(event, id=event.id or ulid(now_ms, os.urandom(10)), ts=event.ts or now_ms)
        )
    return filled
