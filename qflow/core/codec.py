"""Values to JSON text and back as the same type, and errors to plain data.

What JSON knows stays plain JSON, readable in Redis; everything else is a tagged object, such as
`{"$qflow":"date","v":"2024-02-29"}`. A value that would not come back as the same type is refused
with one line that names its place. Nothing is pickled, evaluated or imported, so someone who can
write to Redis can shape data but not run code of their own. What that does not rule out: a tag may
name any loaded dataclass or pydantic model, whose constructor and validators then run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from json import JSONDecoder, JSONEncoder
from json.encoder import encode_basestring_ascii
from traceback import TracebackException
from types import NoneType
from typing import Any, NoReturn

from qflow.core.tags import CLASS_KINDS, TAG, Refused, Tag, brief, part
from qflow.errors import CodecError, LimitError

__all__ = [
    "CLASS_KINDS",
    "TAG",
    "check_size",
    "decode",
    "decode_foreign",
    "encode",
    "encode_error",
    "revive",
    "roundtrip",
    "scalar_text",
]

MAX_DEPTH = 200
MAX_ERROR_BYTES = 16 * 1024

# Python refuses decimal texts of ints above a limit that can be set as low as 640 digits.
_MAX_INT_BITS = 2000
_BETWEEN_SURROGATES = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")
_Encoder = Callable[[Any, int], object]

_PACKAGE = __file__.rpartition("core")[0]


def encode(value: object, where: str) -> str:
    """Return the JSON text of `value`; `where` names it in errors: "the result of step 'fetch'"."""
    try:
        return _JSON.encode(_ENCODERS.get(type(value), _instance)(value, 0))
    except Refused as refused:
        raise CodecError(_describe(refused, where)) from None
    except RecursionError:
        raise CodecError(_describe(_too_deep(), where)) from None
    except Exception as error:  # a property of the user's, or a change while it was read
        problem = f"reading it raised {type(error).__name__}: {brief(error)}"
        raise CodecError(f"{where} cannot be stored: {problem}") from error


def decode(text: str | bytes) -> object:
    """Return the value that `encode` made `text` of; CodecError for anything else."""
    try:
        text = text.decode() if isinstance(text, bytes) else text
        return (_TAGGED if TAG in text else _PLAIN).decode(text)
    except RecursionError:
        raise CodecError("a stored value cannot be read: it is nested too deeply") from None
    except ValueError as error:
        raise CodecError(f"a stored value cannot be read as JSON: {brief(error)}") from None


def decode_foreign(text: str) -> object:
    """Return what JSON text of unknown origin (an event's data) stands for.

    Tags of plain values (datetimes, decimals, bytes, sets …) are followed; no class is ever
    instantiated, and what is no such tag stays the mapping that it is.
    """
    try:
        return (_FOREIGN if TAG in text else _PLAIN).decode(text)
    except (RecursionError, ValueError) as error:
        raise CodecError(f"data cannot be read as JSON: {brief(error)}") from None


def roundtrip(value: object, where: str) -> tuple[str, object]:
    """Return the text of `value`, and the value as every replay will see it."""
    text = scalar_text(value)
    if text is not None:
        return text, value
    text = encode(value, where)
    return text, decode(text)


def scalar_text(value: object) -> str | None:
    """Return the text of a value that comes back from it as it is; None where that is not so simple."""
    scalar = _SCALARS.get(type(value))
    return None if scalar is None else scalar(value)


def revive(value: object, annotation: object) -> object:
    """Return `value` as the type that a return annotation names; CodecError where it does not fit."""
    from qflow.core.revive import revive as revived  # reaches for dataclasses and typing's depths

    return revived(value, annotation)


def check_size(text: str, limit: int, what: str) -> None:
    """Raise LimitError when `text` takes more than `limit` bytes; `what` names it."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size <= limit:
        return
    shown, allowed = _human(size), _human(limit)
    if shown == allowed:
        shown, allowed = f"{size} bytes", f"{limit} bytes"
    remedy = "keep the bulk elsewhere (a file, a table) and pass a reference to it"
    raise LimitError(f"{what} is {shown}, over the limit of {allowed}; {remedy}")


def _human(size: int) -> str:
    if size < 1024:
        return f"{size} bytes"
    return f"{size / 1024:.1f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"


# Encoding: a walk that makes a tree of plain JSON types. Depth is counted, so that a cycle ends.


def _items(values: Iterable[Any], depth: int) -> list[object]:
    if depth >= MAX_DEPTH:
        raise _too_deep()
    done: list[object] = []
    try:
        for value in values:
            # Not a comprehension: where one is refused, `done` tells its position.
            done.append(_ENCODERS.get(type(value), _instance)(value, depth + 1))  # noqa: PERF401
    except Refused as refused:
        refused.path.append(f"[{len(done)}]")
        raise
    return done


def _dict(value: dict[Any, Any], depth: int) -> object:
    if depth >= MAX_DEPTH:
        raise _too_deep()
    if not _has_plain_keys(value):
        return {TAG: "dict", "v": _pairs(value, depth)}
    done: dict[str, object] = {}
    key = ""
    try:
        for key, item in value.items():
            done[key] = _ENCODERS.get(type(item), _instance)(item, depth + 1)
    except Refused as refused:
        refused.path.append(_key_piece(key))
        raise
    return done


def _has_plain_keys(value: dict[Any, Any]) -> bool:
    if not value:
        return True
    if set(map(type, value)) != {str} or TAG in value:
        return False
    return not any(map(_has_surrogates, value))


def _pairs(value: dict[Any, Any], depth: int) -> list[object]:
    """Return keys and values in turn: flat, for JSON's own nesting is bounded too."""
    done: list[object] = []
    key: object = None
    try:
        for key, item in value.items():
            done.append(_ENCODERS.get(type(key), _instance)(key, depth + 1))
            done.append(_ENCODERS.get(type(item), _instance)(item, depth + 1))
    except Refused as refused:
        is_key = len(done) % 2 == 0
        refused.path.append(f".keys()[{len(done) // 2}]" if is_key else _key_piece(key))
        raise
    return done


def _key_piece(key: object) -> str:
    if isinstance(key, str) and key.isidentifier():
        return f".{key}"
    scalar = _SCALARS.get(type(key))
    shown = None if scalar is None else scalar(key)
    return f"[{shown or type(key).__qualname__:.60}]"


def _set(value: set[Any] | frozenset[Any], depth: int) -> object:
    # Sorted by text, so that equal sets have equal text in every process.
    return {TAG: type(value).__name__, "v": sorted(_items(value, depth), key=_JSON.encode)}


def _instance(value: object, depth: int) -> object:
    from qflow.core import richtypes  # costs more at import than all the rest of a producer

    take = richtypes.LEAVES.get(type(value))
    if take is not None:
        encoder = _ENCODERS[type(value)] = _leaf(take)
        return encoder(value, depth)
    tag = richtypes.take_apart(value)
    return {key: _ENCODERS[type(section)](section, depth) for key, section in tag.items()}


def _has_surrogates(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _str(value: str, _depth: int) -> object:
    if not _has_surrogates(value):
        return value
    # JSON reads two escaped halves in a row as one character; pieces keep them apart.
    pieces = _BETWEEN_SURROGATES.split(value)
    return value if len(pieces) == 1 else {TAG: "str", "v": pieces}


def _int(value: int, _depth: int) -> object:
    return value if value.bit_length() <= _MAX_INT_BITS else {TAG: "int", "v": hex(value)}


def _float(value: float, _depth: int) -> object:
    return value if math.isfinite(value) else {TAG: "float", "v": repr(value)}


def _as_is(value: object, _depth: int) -> object:
    return value


def _leaf(take: Callable[[Any], Tag]) -> _Encoder:
    def encode_leaf(value: object, depth: int) -> object:
        parts = take(value).items()
        return {key: _str(text, depth) if isinstance(text, str) else text for key, text in parts}

    return encode_leaf


_ENCODERS: dict[type, _Encoder] = {
    NoneType: _as_is,
    bool: _as_is,
    int: _int,
    float: _float,
    str: _str,
    list: _items,
    dict: _dict,
    tuple: lambda value, depth: {TAG: "tuple", "v": _items(value, depth)},
    set: _set,
    frozenset: _set,
}

# Immutable values whose text is known at once: nothing to decode, the value itself comes back.
_SCALARS: dict[type, Callable[[Any], str | None]] = {
    NoneType: lambda _value: "null",
    bool: lambda value: "true" if value else "false",
    int: lambda value: repr(value) if value.bit_length() <= _MAX_INT_BITS else None,
    float: lambda value: repr(value) if math.isfinite(value) else None,
    str: lambda value: None if _has_surrogates(value) else encode_basestring_ascii(value),
}


def _too_deep() -> Refused:
    reason = f"goes deeper than {MAX_DEPTH} levels, or contains itself"
    return Refused(reason, "return a flatter value, such as a list of ids")


def _describe(refused: Refused, where: str) -> str:
    pieces = refused.path[::-1]
    path = "".join(pieces if len(pieces) <= 12 else [*pieces[:8], "..."])
    text = f"{where} cannot be stored: {path or 'it'} {refused.reason}; {refused.remedy}"
    return " ".join(text.split())


# Decoding: innermost objects first, by json's own hook, so that hostile depth costs no frames.


def _revive_tag(tag: Tag) -> object:
    if TAG not in tag:
        return tag
    kind = tag[TAG]
    build = _builder(kind)
    if build is None:
        remedy = "was it written by a newer qflow?"
        raise CodecError(f"a stored value has the unknown tag {brief(repr(kind))}; {remedy}")
    try:
        return build(tag)
    except CodecError:
        raise
    except Exception as error:
        name = f"{kind} {brief(repr(tag['c']))}" if "c" in tag else kind
        problem = f"{type(error).__name__}: {brief(error)}"
        raise CodecError(f"a stored {name} cannot be rebuilt from its parts: {problem}") from error


def _builder(kind: object) -> Callable[[Tag], object] | None:
    if not isinstance(kind, str):
        return None
    if kind in _BUILDERS:
        return _BUILDERS[kind]
    from qflow.core import richtypes

    return richtypes.BUILDERS.get(kind)


def _revive_foreign(tag: Tag) -> object:
    kind = tag.get(TAG)
    build = None if isinstance(kind, str) and kind in CLASS_KINDS else _builder(kind)
    if build is None:
        return tag
    try:
        return build(tag)
    except Exception:  # noqa: BLE001  # a stranger's mapping that only looks like a tag
        return tag


def _build_dict(tag: Tag) -> object:
    flat = part(tag, "v", list)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _build_float(tag: Tag) -> object:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[part(tag, "v", str)]


_BUILDERS: dict[str, Callable[[Tag], object]] = {
    "tuple": lambda tag: tuple(part(tag, "v", list)),
    "set": lambda tag: set(part(tag, "v", list)),
    "frozenset": lambda tag: frozenset(part(tag, "v", list)),
    "dict": _build_dict,
    "str": lambda tag: "".join(part(tag, "v", list)),
    "int": lambda tag: int(part(tag, "v", str), 16),
    "float": _build_float,
}


def _refuse_constant(name: str) -> NoReturn:
    raise CodecError(f"a stored value cannot be read: {name} is not JSON")


_JSON = JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":"))
_PLAIN = JSONDecoder(parse_constant=_refuse_constant)
_TAGGED = JSONDecoder(object_hook=_revive_tag, parse_constant=_refuse_constant)
_FOREIGN = JSONDecoder(object_hook=_revive_foreign, parse_constant=_refuse_constant)


# Errors: plain data, bounded, without qflow's own frames.


def encode_error(exc: BaseException, where: str = "") -> dict[str, object]:
    """Return the name, message and traceback of `exc`; `where` names a message that has none."""
    name = type(exc).__name__
    try:
        message = str(exc)
    except Exception as problem:  # noqa: BLE001 - a user's __str__
        of = f" of {where}" if where else ""
        message = f"<the message{of} is lost: its str() raised {type(problem).__name__}>"
    formatted = _format_traceback(exc) or f"{name}: {message}\n"
    return {"name": name, "message": _bounded(message), "traceback": _bounded(formatted)}


def _format_traceback(exc: BaseException) -> str:
    try:
        whole = TracebackException.from_exception(exc)
        pending: list[TracebackException | None] = [whole]
        while pending:
            one = pending.pop()
            if one is not None:
                one.stack[:] = [at for at in one.stack if not at.filename.startswith(_PACKAGE)]
                pending += [one.__cause__, one.__context__, *(one.exceptions or ())]
        return "".join(whole.format())
    except Exception:  # noqa: BLE001 - an exception with odd attributes still has a name
        return ""


def _bounded(text: str) -> str:
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= MAX_ERROR_BYTES:
        return text
    half = MAX_ERROR_BYTES // 2 - 32
    head, tail = raw[:half].decode("utf-8", "ignore"), raw[-half:].decode("utf-8", "ignore")
    return f"{head}\n... {len(raw) - 2 * half} bytes left out ...\n{tail}"
