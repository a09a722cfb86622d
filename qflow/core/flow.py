"""Flow control as a function declares it: how many of its runs start and execute, when and in what order.

Each value checks itself; `flow_spec` checks what they mean together and returns what a worker
publishes. What a key is for an event, `core.flow_keys` decides; who is let through is decided in Redis, in
the order that `engine.admit` lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict, get_args

from qflow.core.durations import Duration, from_ms, to_ms
from qflow.errors import DefinitionError

MAX_LIMITS: Final = 2
MAX_STARTS: Final = 100_000
MAX_BATCH: Final = 1_000
MAX_BATCH_BYTES: Final = 10 * 1024 * 1024
MAX_PRIORITY_S: Final = 600

Scope = Literal["function", "app"]
Per = Literal["step", "run"]
Mode = Literal["skip", "cancel"]

_DAY_MS: Final = 86_400_000
_WEEK_MS: Final = 7 * _DAY_MS
_APART_FROM_BATCH: Final = {
    "debounce": "the batch's time-out already gathers events",
    "singleton": "a batch is made of many events, one of which would decide for all",
    "priority": "a batch is made of many events, one of which would decide for all",
    "rate_limit": "a batch is one run for many events; use throttle to limit how often it starts",
    "cancel_on": "the run of a batch belongs to many events, one of which would cancel all",
}


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most `limit` steps at once; what sleeps or waits does not count.

    `key`, an expression over the event such as "event.data.tenant", limits each of its values by itself,
    and the values take turns. `scope="app"` shares the limit among the functions of the app with the
    same key. `per="run"` counts a run from its first step to its end instead.
    """

    limit: int
    key: str | None = None
    scope: Scope = "function"
    per: Per = "step"

    def __post_init__(self) -> None:
        what = f"Concurrency({self.limit!r})"
        _check_count(self.limit, f"{what}: limit", 1, 1_000_000)
        _check_key(self.key, f"{what}: key")
        _check_choice(self.scope, Scope, f"{what}: scope")
        _check_choice(self.per, Per, f"{what}: per")
        if self.scope == "app" and self.key is None:
            raise DefinitionError(
                f'{what}: scope="app" needs a key, which says what the functions share; '
                "give key=\"'all'\" to share one limit among those that say the same"
            )


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most `limit` runs start per `per`, evenly spaced; the others start later, none is lost.

    `burst` of them may start at once after a quiet time. `key` throttles each of its values by itself.
    """

    limit: int
    per: Duration
    burst: int = 1
    key: str | None = None

    def __post_init__(self) -> None:
        what = f"Throttle({self.limit!r})"
        _check_count(self.limit, f"{what}: limit", 1, MAX_STARTS)
        _check_span(self.per, f"{what}: per", _WEEK_MS)
        _check_count(self.burst, f"{what}: burst", 1, MAX_STARTS)
        _check_key(self.key, f"{what}: key")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` runs start in any span of `per`; the others are skipped, and recorded so.

    `key` limits each of its values by itself; null, false and "" are no value and not limited.
    """

    limit: int
    per: Duration
    key: str | None = None

    def __post_init__(self) -> None:
        what = f"RateLimit({self.limit!r})"
        _check_count(self.limit, f"{what}: limit", 1, MAX_STARTS)
        _check_span(self.per, f"{what}: per", _WEEK_MS)
        _check_key(self.key, f"{what}: key")


@dataclass(frozen=True, slots=True)
class Debounce:
    """One run for all events that follow each other within `period`, with the newest of them by its `ts`.

    It starts `period` after the last event, and `timeout` after the first at the latest. `key` gathers
    each of its values by itself.
    """

    period: Duration
    key: str | None = None
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        what = f"Debounce({self.period!r})"
        period_ms = _check_span(self.period, f"{what}: period", _WEEK_MS)
        _check_key(self.key, f"{what}: key")
        if self.timeout is not None:
            timeout_ms = _check_span(self.timeout, f"{what}: timeout", 4 * _WEEK_MS)
            if timeout_ms < period_ms:
                raise DefinitionError(
                    f"{what}: timeout {from_ms(timeout_ms)} is shorter than the period "
                    f"{from_ms(period_ms)}, so that the period would never count; make it longer"
                )


@dataclass(frozen=True, slots=True)
class Batch:
    """One run for up to `size` events, in its argument `events`; it starts `timeout` after the first of
    them at the latest, and before its events exceed 10 MiB.

    `key` gathers each of its values by itself. An event for which `when` does not hold starts a run of
    its own at once.
    """

    size: int
    timeout: Duration
    key: str | None = None
    when: str | None = None

    def __post_init__(self) -> None:
        what = f"Batch({self.size!r})"
        _check_count(self.size, f"{what}: size", 2, MAX_BATCH)
        _check_span(self.timeout, f"{what}: timeout", _DAY_MS)
        _check_key(self.key, f"{what}: key")
        _check_key(self.when, f"{what}: when")


@dataclass(frozen=True, slots=True)
class Priority:
    """How many seconds ahead of its time a run is queued: an expression, from -600 to 600."""

    run: str | int

    def __post_init__(self) -> None:
        if isinstance(self.run, int) and not isinstance(self.run, bool):
            if abs(self.run) > MAX_PRIORITY_S:
                raise DefinitionError(
                    f"priority {self.run} must lie between -{MAX_PRIORITY_S} and {MAX_PRIORITY_S} seconds"
                )
            return
        _check_key(self.run, "priority")


@dataclass(frozen=True, slots=True)
class Singleton:
    """One unfinished run at a time. A new event's run is skipped (`mode="skip"`), or takes the place of
    the unfinished one, which is cancelled (`mode="cancel"`).

    `key` holds for each of its values by itself; null, false and "" are no value and not held.
    """

    key: str | None = None
    mode: Mode = "skip"

    def __post_init__(self) -> None:
        _check_key(self.key, "Singleton: key")
        _check_choice(self.mode, Mode, "Singleton: mode")


class Flow(TypedDict, total=False):
    """The arguments of `@app.function` that limit, delay and order its runs.

    `concurrency`: a number or `Concurrency(…)`, or two of them. `throttle`: `Throttle(…)`.
    `rate_limit`: `RateLimit(…)`. `debounce`: `Debounce(…)`. `batch`: `Batch(…)`.
    `priority`: seconds ahead, a number or an expression such as "event.data.vip ? 120 : 0".
    `singleton`: `Singleton(…)`.
    """

    concurrency: int | Concurrency | Sequence[int | Concurrency] | None
    throttle: Throttle | None
    rate_limit: RateLimit | None
    debounce: Debounce | None
    batch: Batch | None
    priority: str | int | Priority | None
    singleton: Singleton | None


_KINDS: Final[dict[str, Any]] = {
    "throttle": Throttle,
    "rate_limit": RateLimit,
    "debounce": Debounce,
    "batch": Batch,
    "singleton": Singleton,
}


def flow_spec(given: Mapping[str, Any], function: str, app: str, where: str) -> dict[str, Any]:
    """Return what a worker publishes of a function's flow control, JSON values only.

    Looks at what `given` has of `Flow`, and at `cancel_on`. Raises DefinitionError, naming `where`, for
    what makes no sense.
    """
    spec: dict[str, Any] = {}
    limits = given.get("concurrency")
    if limits is not None:
        spec["concurrency"] = _limits(limits, function, app, where)
    for name, kind in _KINDS.items():
        value = given.get(name)
        if value is None:
            continue
        if not isinstance(value, kind):
            raise DefinitionError(f"{where}: {name} must be {kind.__name__}(…), not {value!r}")
        spec[name] = _published(value)
    priority = given.get("priority")
    if priority is not None:
        try:
            chosen = priority if isinstance(priority, Priority) else Priority(priority)
        except DefinitionError as error:
            raise DefinitionError(f"{where}: {error}") from None
        spec["priority"] = chosen.run
    if "batch" in spec:
        for name, reason in _APART_FROM_BATCH.items():
            if given.get(name):
                raise DefinitionError(f"{where} has both batch and {name}: {reason}")
    return spec


def check_shared(
    mine: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], where: str
) -> None:
    """Raise DefinitionError where a function gives a shared limit another number than another one does."""
    for limit in mine.get("concurrency", ()):
        for name, other in others.items():
            for known in other.get("concurrency", ()):
                if known["id"] == limit["id"] and known["limit"] != limit["limit"]:
                    raise DefinitionError(
                        f"{where} limits key {limit['key']!r} of the app to {limit['limit']}, but "
                        f"function {name!r} to {known['limit']}; give both the same number"
                    )


def _limits(value: Any, function: str, app: str, where: str) -> list[dict[str, Any]]:
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    limits: list[Concurrency] = []
    for item in given:
        limit = item if isinstance(item, Concurrency) else None
        if limit is None:
            if isinstance(item, bool) or not isinstance(item, int):
                raise DefinitionError(
                    f"{where}: concurrency takes a number, Concurrency(…), or two of them, not {item!r}"
                )
            try:
                limit = Concurrency(item)
            except DefinitionError as error:
                raise DefinitionError(f"{where}: {error}") from None
        if any((limit.key, limit.scope, limit.per) == (k.key, k.scope, k.per) for k in limits):
            raise DefinitionError(
                f"{where} limits the same thing twice: {limit}; keep the smaller limit"
            )
        limits.append(limit)
    if not limits or len(limits) > MAX_LIMITS:
        raise DefinitionError(f"{where}: concurrency has {len(limits)} limits; 1 or 2 make sense")
    limits.sort(key=lambda each: each.key is not None)
    return [
        {
            "id": _limit_id(limit, place, function, app),
            "limit": limit.limit,
            "key": limit.key,
            "scope": limit.scope,
            "per": limit.per,
        }
        for place, limit in enumerate(limits)
    ]


def _limit_id(limit: Concurrency, place: int, function: str, app: str) -> str:
    """Return the name under which runs hold a limit. A function's own keep theirs when key or number
    change with a deploy, so that runs which hold or wait for it still count."""
    if limit.scope == "function":
        return f"fn:{function}:{place}"
    from hashlib import sha1  # loads OpenSSL: only workers define such limits

    return f"app:{app}:{sha1(f'{limit.key}|{limit.per}'.encode()).hexdigest()[:12]}"


def _published(value: Any) -> dict[str, Any]:
    """Return a value's fields, its durations as text."""
    spans = {"per", "period", "timeout"}
    return {
        name: from_ms(to_ms(field, name)) if name in spans and field is not None else field
        for name in value.__slots__
        for field in (getattr(value, name),)
    }


def _check_count(value: object, what: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DefinitionError(
            f"{what} must be a whole number from {low} to {high:,}, not {value!r}"
        )


def _check_span(value: Duration, what: str, longest_ms: int) -> int:
    span_ms = to_ms(value, what)
    if not 0 < span_ms <= longest_ms:
        raise DefinitionError(
            f"{what} must be longer than nothing and at most {from_ms(longest_ms)}, not {value!r}"
        )
    return span_ms


def _check_key(source: object, what: str) -> None:
    if source is None:
        return
    from qflow.core import expression  # only functions with a key pay for it

    expression.compile(source, where=what)  # type: ignore[arg-type]  # it says so where it is no text


def _check_choice(value: object, choices: Any, what: str) -> None:
    names = get_args(choices)
    if value not in names:
        shown = " or ".join(f'"{name}"' for name in names)
        raise DefinitionError(f"{what} must be {shown}, not {value!r}")
