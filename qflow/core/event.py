"""The event value, its limits, and its form on the stream and in a run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic

from qflow.core import codec
from qflow.errors import EventError

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # typing's own has defaults from 3.13 on

    T = TypeVar("T", default=dict[str, Any])  # so that plain `event: Event` has a type
else:
    from typing import TypeVar

    T = TypeVar("T")

MAX_EVENT_BYTES: Final = 512 * 1024
MAX_NAME: Final = 255
RESERVED: Final = "qflow/"
FAILED: Final = "qflow/function.failed"
FINISHED: Final = "qflow/function.finished"
CANCELLED: Final = "qflow/function.cancelled"
SYSTEM: Final = (FAILED, FINISHED, CANCELLED)
"""Events that qflow sends of runs that ended: functions may be triggered by them."""
_INSTANCE: Final = re.compile(
    rf'"{re.escape(codec.TAG)}":"({"|".join(sorted(codec.CLASS_KINDS))})"'
)


@dataclass(frozen=True, slots=True)
class Event(Generic[T]):
    """Something that happened: `name`, `data`, `id`, `ts` (ms since the epoch), optional `v`.

    `data` is a mapping of JSON values (datetimes, Decimals, dataclasses and the like survive too).
    In a handler, `event: Event[Model]` gives `data` as that pydantic model or dataclass.
    An empty `id` and a zero `ts` are filled in when the event is sent.
    """

    name: str
    data: T = None  # type: ignore[assignment]  # None stands for {} and is replaced below
    id: str = ""
    ts: int = 0
    v: str = ""

    def __post_init__(self) -> None:
        if self.data is None:
            object.__setattr__(self, "data", {})
        check_name(self.name)
        if not isinstance(self.id, str) or len(self.id) > MAX_NAME or not _is_unicode(self.id):
            raise EventError(
                f"event {self.name!r}: id must be Unicode text of at most {MAX_NAME} characters"
            )
        if not isinstance(self.v, str) or not _is_unicode(self.v):
            raise EventError(f"event {self.name!r}: v must be Unicode text, not {self.v!r}")
        if isinstance(self.ts, bool) or not isinstance(self.ts, int) or self.ts < 0:
            raise EventError(
                f"event {self.name!r}: ts must be whole milliseconds since the epoch, not {self.ts!r}"
            )


def _is_unicode(text: str) -> bool:
    """Tell whether text can be sent: half of a surrogate pair cannot."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def check_name(name: object) -> None:
    """Refuse a name that is not text, empty, too long or not printable, with an EventError."""
    if not isinstance(name, str) or not name:
        raise EventError(f'an event needs a name, such as "user/created"; got {name!r}')
    if len(name) > MAX_NAME:
        raise EventError(f"event name {name[:40]!r}… has {len(name)} characters, over {MAX_NAME}")
    if not name.isprintable():
        raise EventError(f"event name {name!r} has characters that cannot be printed; remove them")


def check_sendable(event: Event[Any]) -> None:
    """Refuse an event that users may not send: a reserved name, or data that is no mapping."""
    if event.name.startswith(RESERVED):
        raise EventError(
            f"event name {event.name!r} is reserved: names beginning {RESERVED!r} are qflow's own"
        )
    if not isinstance(event.data, Mapping):
        raise EventError(
            f"event {event.name!r}: data must be a mapping such as {{'id': 7}}, "
            f"not {type(event.data).__name__}"
        )


def encode_data(event: Event[Any]) -> str:
    """Return the data of `event` as JSON text.

    Raises EventError for data that is no mapping, CodecError for values that cannot be stored,
    LimitError over 512 KiB.
    """
    check_sendable(event)
    data = event.data if type(event.data) is dict else dict(event.data)
    what = f"the data of event {event.name!r}"
    text = codec.encode(data, what)
    if codec.TAG in text and (found := _INSTANCE.search(text)):
        raise EventError(
            f"{what} holds an instance of a class ({found[1]}), which other services could not read: "
            "send its fields (model_dump(), asdict(), .value) and take them back with Event[Model]"
        )
    codec.check_size(text, MAX_EVENT_BYTES, what)
    return text


def to_text(event_id: str, name: str, ts: int, v: str, data: str) -> str:
    """Return the event as the JSON text that a run keeps; `data` is JSON text already."""
    version = f',"v":{json.dumps(v)}' if v else ""
    return f'{{"name":{json.dumps(name)},"id":{json.dumps(event_id)},"ts":{ts}{version},"data":{data}}}'


def as_mapping(text: str, opened: Callable[[str, str, str], str] | None = None) -> dict[str, Any]:
    """Return the event that `to_text` wrote as expressions see it; rich values are revived.

    `opened` gives the data's text as it was before it was encoded, for that text, id and name.
    """
    raw: dict[str, Any] = json.loads(text)
    if codec.TAG in text:
        plain = json.dumps(raw["data"])
        if opened is not None:
            plain = opened(plain, raw["id"], raw["name"])
        raw["data"] = codec.decode_foreign(plain)
    return raw


def from_text(text: str, opened: Callable[[str, str, str], str] | None = None) -> Event[Any]:
    """Return the event that `to_text` wrote; `opened` as for `as_mapping`."""
    raw = as_mapping(text, opened)
    return Event(raw["name"], raw["data"], raw["id"], raw["ts"], raw.get("v", ""))
