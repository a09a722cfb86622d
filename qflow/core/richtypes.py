"""The types beyond JSON that the codec keeps: each one taken apart to plain parts and back.

Two families. *Leaves* (datetime, Decimal, path...) become text. *Class instances* (enum, named
tuple, dataclass, pydantic model) become a class name and their fields; `codec` walks the fields.

What stored data names is never imported: a class is looked up among the modules already loaded,
and only if it is what its tag claims. So a tag can build a value, never reach a function.
"""

from __future__ import annotations

import binascii
import dataclasses
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from functools import lru_cache
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import ModuleType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from qflow.core.tags import TAG, Refused, Tag, part
from qflow.errors import CodecError

_PATHS: dict[str, type[PurePath]] = {
    cls.__name__: cls for cls in (PurePosixPath, PureWindowsPath, PosixPath, WindowsPath)
}
_BUILTINS: tuple[type, ...] = (
    *(str, bytes, bytearray, int, float, list, tuple, dict, set, frozenset),
    *(datetime, date, time, timedelta, Decimal, UUID),
)
_REMEDIES: tuple[tuple[type, str], ...] = (
    (BaseException, "raise it, or return its text"),
    (type, "return its name"),
    (Coroutine, "await it first"),
    (Iterator, "turn it into a list first"),
    (complex, "return a tuple of its real and imag"),
)


def refusal(cls: type) -> Refused:
    """Return why an instance of `cls` is refused, with the remedy that fits it."""
    module = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return Refused(f"is of type {module}{cls.__qualname__}", _remedy(cls))


def _remedy(cls: type) -> str:
    for base, remedy in _REMEDIES:
        if issubclass(cls, base):
            return remedy
    for base in _BUILTINS:
        if issubclass(cls, base):
            return f"convert it to a plain {base.__name__} first"
    if hasattr(cls, "tolist"):
        return "convert it with .tolist() first"
    if issubclass(cls, (ModuleType, Callable)):  # type: ignore[arg-type]  # an abc, in typeshed a form
        return "return data, not code"
    return "return plain data, a dataclass or a pydantic model"


# Leaves: one text each.


def _take_clock(value: datetime | time) -> Tag:
    tag: Tag = {TAG: type(value).__name__, "v": value.isoformat()}
    zone = value.tzinfo
    if type(zone) is ZoneInfo and zone.key:
        tag |= {"v": value.replace(tzinfo=None).isoformat(), "zone": zone.key}
    elif type(zone) is timezone:
        name, offset = zone.tzname(None), zone.utcoffset(None)
        if offset.microseconds:  # CPython's fromisoformat reads +00:00:00.000001 as UTC
            naive = value.replace(tzinfo=None).isoformat()
            tag |= {"v": naive, "offset": [offset.days, offset.seconds, offset.microseconds]}
        if name != timezone(offset).tzname(None):
            tag["name"] = name
    elif zone is not None and not _is_pydantic_offset(zone):
        kind = type(zone)
        reason = f"has a time zone of type {kind.__module__}.{kind.__qualname__}"
        raise Refused(reason, "use datetime.timezone or zoneinfo.ZoneInfo(key) instead")
    if value.fold:
        tag["fold"] = 1
    return tag


def _is_pydantic_offset(zone: object) -> bool:
    """Whether it is the fixed offset of datetimes that pydantic parsed: that becomes a timezone."""
    core = sys.modules.get("pydantic_core")
    return core is not None and type(zone) is vars(core).get("TzInfo")


def _build_clock(value: Any, tag: Tag) -> object:
    if "zone" in tag:
        value = value.replace(tzinfo=ZoneInfo(part(tag, "zone", str)))
    if "offset" in tag:
        value = value.replace(tzinfo=timezone(timedelta(*part(tag, "offset", list))))
    if "name" in tag:
        value = value.replace(tzinfo=timezone(value.utcoffset(), part(tag, "name", str)))
    return value.replace(fold=1) if "fold" in tag else value


def _take_bytes(value: bytes | bytearray) -> Tag:
    text = binascii.b2a_base64(value, newline=False).decode("ascii")
    return {TAG: type(value).__name__, "v": text}


def _build_bytes(tag: Tag) -> bytes:
    return binascii.a2b_base64(part(tag, "v", str), strict_mode=True)


def _build_timedelta(tag: Tag) -> timedelta:
    days, seconds, microseconds = part(tag, "v", list)
    return timedelta(days, seconds, microseconds)


def _take_path(value: PurePath) -> Tag:
    return {TAG: "path", "c": type(value).__name__, "v": str(value)}


LEAVES: dict[type, Callable[[Any], Tag]] = {
    datetime: _take_clock,
    time: _take_clock,
    date: lambda value: {TAG: "date", "v": value.isoformat()},
    timedelta: lambda v: {TAG: "timedelta", "v": [v.days, v.seconds, v.microseconds]},
    Decimal: lambda value: {TAG: "decimal", "v": str(value)},
    UUID: lambda value: {TAG: "uuid", "v": str(value)},
    bytes: _take_bytes,
    bytearray: _take_bytes,
    **dict.fromkeys(_PATHS.values(), _take_path),
}

LEAF_BUILDERS: dict[str, Callable[[Tag], object]] = {
    "datetime": lambda tag: _build_clock(datetime.fromisoformat(part(tag, "v", str)), tag),
    "time": lambda tag: _build_clock(time.fromisoformat(part(tag, "v", str)), tag),
    "date": lambda tag: date.fromisoformat(part(tag, "v", str)),
    "timedelta": _build_timedelta,
    "decimal": lambda tag: Decimal(part(tag, "v", str)),
    "uuid": lambda tag: UUID(part(tag, "v", str)),
    "bytes": _build_bytes,
    "bytearray": lambda tag: bytearray(_build_bytes(tag)),
    "path": lambda tag: _PATHS[part(tag, "c", str)](part(tag, "v", str)),
}


# Class instances: a class name and parts.


def find_class(name: str) -> type | None:
    """Return the class of that "module:qualname" if it is loaded and defined there.

    Imports nothing: namespaces are read directly, for getattr runs the code of lazy modules.
    """
    module_name, _, qualname = name.partition(":")
    found: object = sys.modules.get(module_name)
    if not issubclass(type(found), ModuleType):
        return None
    scope: Mapping[str, object] = object.__getattribute__(found, "__dict__")
    for piece in qualname.split("."):
        found = scope.get(piece)
        if not issubclass(type(found), type):
            return None
        scope = vars(found)
    if isinstance(found, type) and f"{found.__module__}:{found.__qualname__}" == name:
        return found
    return None


@lru_cache(maxsize=1024)
def kind_of(cls: type) -> str | None:
    """Return the kind of class that the codec can rebuild `cls` as, if any."""
    if issubclass(cls, Enum):
        return "enum"
    if issubclass(cls, tuple):
        return "namedtuple" if isinstance(getattr(cls, "_fields", None), tuple) else None
    if issubclass(cls, (BaseException, *_BUILTINS)):
        return None
    bases = {f"{base.__module__}:{base.__qualname__}" for base in cls.__mro__}
    if "pydantic.main:BaseModel" in bases:
        return "model"
    if bases & {"pydantic.networks:_BaseUrl", "pydantic.networks:_BaseMultiHostUrl"}:
        return "url"
    return "dataclass" if dataclasses.is_dataclass(cls) else None


def take_apart(value: Any) -> Tag:
    """Return the tag of a class instance, its parts not yet encoded; raise Refused for others."""
    cls: type = type(value)
    kind = kind_of(cls)
    if kind is None:
        raise refusal(cls)
    name = f"{cls.__module__}:{cls.__qualname__}"
    if find_class(name) is not cls:
        raise _unreachable(cls, name)
    return {TAG: kind, "c": name, **_TAKERS[kind](cls, value)}


def _unreachable(cls: type, name: str) -> Refused:
    if "[" in cls.__qualname__:
        reason = f"is of the parametrised class {name}"
        remedy = "give it a name at module level, such as class ItemPage(Page[Item])"
        return Refused(reason, remedy)
    if "<locals>" in cls.__qualname__:
        return Refused(
            f"is of class {name}, defined inside a function", "move the class to module level"
        )
    reason = f"is of class {name}, which its module does not hold under that name"
    return Refused(reason, "define the class at module level under its own name")


def _take_enum(cls: Any, value: Any) -> Tag:
    if isinstance(value, Flag):
        return {"v": value.value}
    if cls.__members__.get(value.name) is not value:
        raise Refused(f"is a nameless member of {cls.__qualname__}", "return a defined member")
    return {"v": value.name}


def _build_enum(cls: Any, tag: Tag) -> object:
    if issubclass(cls, Flag):
        return cls(part(tag, "v", int))
    return cls.__members__[part(tag, "v", str)]


def _take_namedtuple(cls: Any, value: Any) -> Tag:
    return {"v": dict(zip(cls._fields, value, strict=True))}


def _build_namedtuple(cls: Any, tag: Tag) -> object:
    values = {**cls._field_defaults, **part(tag, "v", dict)}
    return tuple.__new__(cls, [values[name] for name in cls._fields])


def _take_dataclass(cls: Any, value: Any) -> Tag:
    for field in cls.__dataclass_fields__.values():
        is_init_var = field._field_type is dataclasses._FIELD_INITVAR  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        if is_init_var and field.default is dataclasses.MISSING:
            reason = f"is of class {cls.__qualname__}, whose InitVar {field.name!r} is not kept"
            raise Refused(reason, "give the InitVar a default")
    names = (field.name for field in dataclasses.fields(cls))
    return {"v": {name: getattr(value, name) for name in names if hasattr(value, name)}}


def _build_dataclass(cls: Any, tag: Tag) -> object:
    values = part(tag, "v", dict)
    fields = [field for field in dataclasses.fields(cls) if field.name in values]
    built = cls(**{field.name: values[field.name] for field in fields if field.init})
    for field in fields:
        # __post_init__ may have changed a field a second time; frozen classes refuse setattr.
        if getattr(built, field.name, fields) is not values[field.name]:
            object.__setattr__(built, field.name, values[field.name])
    return built


def _take_model(cls: Any, value: Any) -> Tag:
    # Not model_dump: it drops excluded fields, flattens subclasses and runs custom serialisers.
    fields = {name: value.__dict__[name] for name in cls.model_fields if name in value.__dict__}
    unset = sorted(fields.keys() - value.model_fields_set)
    sections = {"extra": value.model_extra, "private": value.__pydantic_private__, "unset": unset}
    return {"v": fields, **{key: section for key, section in sections.items() if section}}


def _build_model(cls: Any, tag: Tag) -> object:
    fields = part(tag, "v", dict)
    extra = part(tag, "extra", dict) if "extra" in tag else {}
    is_root = getattr(cls, "__pydantic_root_model__", False)
    data = fields["root"] if is_root else {**extra, **fields}
    built = cls.model_validate(data, by_alias=False, by_name=True)
    if type(built) is not cls:
        raise TypeError(f"validation made a {type(built).__qualname__} of it")
    for name in fields.keys() & cls.model_fields.keys():
        # A validator that is not idempotent has run twice; a coerced type means a newer model.
        if type(built.__dict__.get(name)) is type(fields[name]):
            built.__dict__[name] = fields[name]
    if built.model_extra is not None:
        built.model_extra.update(extra)
    private = part(tag, "private", dict) if "private" in tag else {}
    for name in private.keys() & cls.__private_attributes__.keys():
        built.__pydantic_private__[name] = private[name]
    built.model_fields_set.difference_update(tag.get("unset", ()))
    return built


_TAKERS: dict[str, Callable[[Any, Any], Tag]] = {
    "enum": _take_enum,
    "namedtuple": _take_namedtuple,
    "dataclass": _take_dataclass,
    "model": _take_model,
    "url": lambda _cls, value: {"v": str(value)},
}
_CLASS_BUILDERS: dict[str, Callable[[Any, Tag], object]] = {
    "enum": _build_enum,
    "namedtuple": _build_namedtuple,
    "dataclass": _build_dataclass,
    "model": _build_model,
    "url": lambda cls, tag: cls(part(tag, "v", str)),
}


def put_together(tag: Tag) -> object:
    """Return the instance that a class tag describes, its parts already decoded."""
    kind, name = part(tag, TAG, str), part(tag, "c", str)
    cls = find_class(name)
    remedy = "import it in the workers folder or annotate the step's return type"
    if cls is None:
        raise CodecError(f"a stored value is of class {name!r}, which is not loaded here; {remedy}")
    if kind_of(cls) != kind:
        raise CodecError(f"a stored {kind} names {name!r}, which is no {kind}; {remedy}")
    return _CLASS_BUILDERS[kind](cls, tag)


BUILDERS: dict[str, Callable[[Tag], object]] = {
    **LEAF_BUILDERS,
    **dict.fromkeys(_CLASS_BUILDERS, put_together),
}
