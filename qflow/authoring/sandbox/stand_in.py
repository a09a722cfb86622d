"""Values that stand for what a connector would have answered, built from return annotations."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

_DEEP: Final = 6
_BARE: Final[Mapping[Any, Any]] = {str: "", int: 0, float: 0.0, bool: False, bytes: b""}
_PLAIN: Final[Mapping[Any, Any]] = {
    str: "text",
    int: 1,
    float: 1.0,
    bool: True,
    bytes: b"bytes",
    type(None): None,
    None: None,
    Any: None,
    object: None,
    datetime: datetime(2026, 1, 5, 9, tzinfo=UTC),
    date: date(2026, 1, 5),
    time: time(9),
    timedelta: timedelta(hours=1),
    Decimal: Decimal("1.50"),
    UUID: UUID(int=1),
    Path: Path("file"),
}


def stand_in(fn: Callable[..., Any], *, bare: bool = False) -> Any:
    """Return a value of the type that a function says it returns; None where it says nothing."""
    try:
        annotation = get_type_hints(fn).get("return")
    except Exception:  # noqa: BLE001  # an annotation that cannot be resolved promises nothing
        return None
    return _Examples(bare=bare).of(annotation)


def example(kind: Any) -> Any:
    """Return an example of a type."""
    return _Examples(bare=False).of(kind)


class _Examples:
    """Examples of types: one item in containers and defaults where fields have them, or `bare` ones."""

    def __init__(self, *, bare: bool) -> None:
        self._bare = bare

    def of(self, kind: Any, depth: int = 0) -> Any:
        """Return an example of a type."""
        if depth > _DEEP:
            return None
        if self._bare and kind in _BARE:
            return _BARE[kind]
        if kind in _PLAIN:
            return _PLAIN[kind]
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is typing.Annotated:
            return self.of(arguments[0], depth)
        if origin is Literal:
            return arguments[0]
        if origin in (Union, types.UnionType):
            if self._bare and type(None) in arguments:
                return None
            return self.of(next((a for a in arguments if a is not type(None)), None), depth)
        if origin is not None and isinstance(origin, type):
            return self._container(origin, arguments, depth)
        return self._instance(kind, depth) if isinstance(kind, type) else None

    def _container(self, origin: type, arguments: tuple[Any, ...], depth: int) -> Any:
        if issubclass(origin, tuple) and Ellipsis not in arguments:
            return tuple(self.of(each, depth + 1) for each in arguments)
        if issubclass(origin, Mapping):
            key, value = arguments or (str, Any)
            return {} if self._bare else {self.of(key, depth + 1): self.of(value, depth + 1)}
        items = [self.of(arguments[0], depth + 1)] if arguments and not self._bare else []
        return origin(items) if issubclass(origin, (set, frozenset, tuple)) else items

    def _instance(self, kind: Any, depth: int) -> Any:
        if issubclass(kind, enum.Enum):
            return next(iter(kind))
        if hasattr(kind, "__dataclass_fields__"):
            missing = dataclasses.MISSING
            wanted = {
                f.name
                for f in dataclasses.fields(kind)
                if f.init and f.default is missing and f.default_factory is missing
            }
            return kind(**self._fields(kind, depth, wanted))
        if hasattr(kind, "model_fields"):
            return self._model(kind, depth)
        if typing.is_typeddict(kind) or hasattr(kind, "_fields"):
            return kind(**self._fields(kind, depth))
        plain = (dict, list, set, frozenset, tuple)
        return next((each() for each in plain if kind is each), None)

    def _fields(self, kind: type, depth: int, wanted: set[str] | None = None) -> dict[str, Any]:
        return {
            name: self.of(hint, depth + 1)
            for name, hint in get_type_hints(kind).items()
            if wanted is None or name in wanted
        }

    def _model(self, kind: Any, depth: int) -> Any:
        """Return a pydantic model with its required fields, or unchecked where it refuses the examples."""
        values = {
            name: self.of(field.annotation, depth + 1)
            for name, field in kind.model_fields.items()
            if field.is_required()
        }
        try:
            return kind.model_validate(values, by_name=True)
        except ValueError:
            return kind.model_construct(**values)
