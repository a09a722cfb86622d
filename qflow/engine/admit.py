"""What an event passes before it starts a run: the gates, in the order in which they are asked.

The keys of an event are evaluated here; the gates are asked in Redis (`gates.lua`), by the one script that
creates the run and acknowledges the event, or later where a run waited for its time (`admit.lua`). A pause
and the idempotency value come before them, slots of `concurrency` after them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from qflow.core.durations import to_ms
from qflow.core.flow import MAX_BATCH_BYTES
from qflow.core.flow_keys import EVERYTHING, holds, key_of, priority_ms
from qflow.store.gate import Numbers

Spec = Mapping[str, Any]
Gate = list[Any]


def batch(spec: Spec, event: Mapping[str, Any], now_ms: int) -> Gate | None:
    """Gathers events; one for which the condition does not hold starts a run by itself."""
    given = spec["batch"]
    bound = {"event": event}
    if given["when"] is not None and not holds(given["when"], bound, now_ms):
        return None
    key = key_of(given["key"], bound, now_ms) or EVERYTHING
    return [key, given["size"], _ms(given["timeout"]), MAX_BATCH_BYTES]


def rate_limit(spec: Spec, event: Mapping[str, Any], now_ms: int) -> Gate | None:
    """Skips what is too much; an event without a value of the key is not counted."""
    given = spec["rate_limit"]
    key = key_of(given["key"], {"event": event}, now_ms)
    return None if key is None else [key, given["limit"], _ms(given["per"]), given["per"]]


def debounce(spec: Spec, event: Mapping[str, Any], now_ms: int) -> Gate | None:
    """Waits until no more events come, and takes the newest."""
    given = spec["debounce"]
    key = key_of(given["key"], {"event": event}, now_ms) or EVERYTHING
    return [key, _ms(given["period"]), _ms(given["timeout"] or "0s"), event["ts"]]


def throttle(spec: Spec, event: Mapping[str, Any], now_ms: int) -> Gate | None:
    """Spaces starts evenly."""
    given = spec["throttle"]
    key = key_of(given["key"], {"event": event}, now_ms) or EVERYTHING
    return [key, given["limit"], _ms(given["per"]), given["burst"]]


def singleton(spec: Spec, event: Mapping[str, Any], now_ms: int) -> Gate | None:
    """Lets one unfinished run be; an event without a value of the key passes."""
    given = spec["singleton"]
    key = key_of(given["key"], {"event": event}, now_ms)
    return None if key is None else [key, given["mode"]]


ORDER: Final[tuple[Callable[[Spec, Mapping[str, Any], int], Gate | None], ...]] = (
    batch,
    rate_limit,
    debounce,
    throttle,
    singleton,
)
NAMES: Final = tuple(gate.__name__ for gate in ORDER)
_LIMITS: Final = frozenset(("concurrency", "priority", *NAMES))


def numbers_of(spec: Spec) -> Numbers:
    """Return the numbers of those gates of a published function that hold runs back."""
    found = {}
    if given := spec.get("batch"):
        found["batch"] = [given["size"], _ms(given["timeout"])]
    if given := spec.get("debounce"):
        found["debounce"] = [_ms(given["period"]), _ms(given["timeout"] or "0s")]
    if given := spec.get("throttle"):
        found["throttle"] = [given["limit"], _ms(given["per"]), given["burst"]]
    return found


def is_limited(spec: Spec) -> bool:
    """Tell whether a published function has any flow control."""
    return not _LIMITS.isdisjoint(spec)


def gates(spec: Spec, event: Mapping[str, Any], now_ms: int) -> list[Gate]:
    """Return the gates that an event has to pass, each with its key and numbers."""
    asked = []
    for name, gate in zip(NAMES, ORDER, strict=True):
        if name in spec and (found := gate(spec, event, now_ms)) is not None:
            asked.append([name, *found])
    return asked


def standing(spec: Spec, event: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Return what decides where a run of an event queues: `flow`, the limits it is counted in, and how
    far it is `ahead` (ms)."""
    bound = {"event": event}
    found: dict[str, Any] = {}
    limits: dict[str, list[str]] = {"step": [], "run": []}
    for limit in spec.get("concurrency", ()):
        key = key_of(limit["key"], bound, now_ms) or EVERYTHING
        limits[limit["per"]].append(f"{limit['id']}={key}")
    if spec.get("concurrency"):
        found["flow"] = f"{','.join(limits['step'])};{','.join(limits['run'])}"
    ahead = priority_ms(spec.get("priority"), bound, now_ms)
    if ahead:
        found["ahead"] = ahead
    return found


@lru_cache(maxsize=1024)
def _ms(span: str) -> int:
    return to_ms(span, "a published duration")
