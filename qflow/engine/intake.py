"""Reads what stands on the event stream: an event, or the reason why it is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from qflow.core import codec
from qflow.core.event import MAX_EVENT_BYTES, MAX_NAME, RESERVED, SYSTEM, check_name, to_text
from qflow.errors import QflowError
from qflow.store.stream import Entry

_MAX_TS: Final = 4_102_444_800_000  # 2100-01-01


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event as the stream holds it: `text` is the form that runs keep."""

    entry: Entry
    name: str
    event_id: str
    text: str
    of: str = ""
    """The function whose run an event of qflow's own tells of."""

    @property
    def entry_ms(self) -> int:
        """When Redis accepted it (ms since the epoch)."""
        return int(self.entry.id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that is no event, and why."""

    entry: Entry
    reason: str


class _Malformed(Exception):
    """Carries the reason out of the parts below."""


def read_entry(entry: Entry) -> Accepted | Rejected:
    """Read one entry of the stream."""
    fields = entry.fields
    try:
        name = _text(fields.get(b"name", b""), "name")
        check_name(name)
        of = _text(fields.get(b"of", b""), "of") if name in SYSTEM else ""
        if name.startswith(RESERVED) and not of:
            raise _Malformed(
                f"name {name!r} is reserved: names beginning {RESERVED!r} are qflow's own"
            )
        event_id = _text(fields.get(b"id", b""), "id") or entry.id
        if len(event_id) > MAX_NAME:
            raise _Malformed(f"id has {len(event_id)} characters, over {MAX_NAME}")
        raw = fields.get(b"data", b"")
        if not of:
            _check_size(raw)
        data = _data(raw, _text(fields.get(b"enc", b"json"), "enc"))
        version = _text(fields.get(b"v", b""), "v")
        text = to_text(event_id, name, _ts(entry), version, data)
        return Accepted(entry, name, event_id, text, of)
    except (_Malformed, QflowError) as problem:
        return Rejected(entry, str(problem))
    except Exception as problem:  # noqa: BLE001  # whatever it is, the stream must go on
        return Rejected(entry, f"it cannot be read: {problem!r}")


def _text(raw: bytes, field: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise _Malformed(f"field {field!r} is not UTF-8") from None


def _ts(entry: Entry) -> int:
    raw = entry.fields.get(b"ts", b"")
    if not raw:
        return int(entry.id.partition("-")[0])
    text = _text(raw, "ts")
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_TS))
    if not digits or not 0 < int(text) < _MAX_TS:
        raise _Malformed(f"ts {text[:40]!r} is not in whole milliseconds since the epoch")
    return int(text)


def _check_size(raw: bytes) -> None:
    if len(raw) > MAX_EVENT_BYTES:
        raise _Malformed(
            f"data is {len(raw) / 1024:.0f} KiB, over the limit of {MAX_EVENT_BYTES // 1024} KiB"
        )


def _data(raw: bytes, encoding: str) -> str:
    """Return the data as JSON text."""
    if not raw:
        return "{}"
    if encoding == "json":
        text = _text(raw, "data")
        _check_mapping(_from_json(text))
        return text
    if encoding == "msgpack":
        value = _from_msgpack(raw)
        _check_mapping(value)
        return codec.encode(value, "data")
    raise _Malformed(f"enc {encoding[:20]!r} is unknown: leave it out for JSON, or write msgpack")


def _from_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _Malformed(f"data is not JSON: {str(error) or 'nested too deeply'}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _from_msgpack(raw: bytes) -> Any:
    import msgpack  # only producers that choose it pay for it

    try:
        return msgpack.unpackb(raw, timestamp=3, strict_map_key=False, ext_hook=_refuse_type)
    except Exception as error:  # noqa: BLE001  # it raises many kinds, TypeError among them
        raise _Malformed(f"data is not msgpack: {str(error) or type(error).__name__}") from None


def _refuse_type(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code} is unknown here")


def _check_mapping(value: Any) -> None:
    if not isinstance(value, dict):
        kind = {list: "a list", str: "text", type(None): "null"}.get(type(value), "no mapping")
        raise _Malformed(f'data must be a JSON object such as {{"id": 7}}, not {kind}')
