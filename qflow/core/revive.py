"""A plain value as the type that a return annotation promises.

The codec already brings its own values back as they were. This serves values that were plain from
the start: a dict that a function annotated with a model returned, or what another language wrote.
"""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping
from functools import lru_cache
from inspect import Parameter
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from qflow.core.tags import brief
from qflow.errors import CodecError


def revive(value: object, annotation: object) -> object:
    """Return `value` as what `annotation` promises, or as it is where that promises nothing.

    A value that fits already comes back untouched. Raises CodecError for one that cannot fit.
    """
    says_nothing = annotation is None or annotation is Parameter.empty
    if says_nothing or isinstance(annotation, str) or _fits(value, annotation):
        return value
    try:
        adapter = _adapter(annotation)
    except TypeError:
        adapter = _adapter.__wrapped__(annotation)  # an annotation that cannot be hashed
    if adapter is None or not (adapter.pydantic_complete or adapter.rebuild(raise_errors=False)):
        return value
    try:
        return adapter.validate_python(value, by_alias=True, by_name=True)
    except Exception as error:
        promised = annotation.__qualname__ if isinstance(annotation, type) else annotation
        problem = f"{_shown(value)} does not fit the annotation {brief(promised)}: {brief(error)}"
        raise CodecError(f"{problem}; change the annotation or what is returned") from error


def _shown(value: object) -> str:
    try:
        return brief(f"{type(value).__qualname__} {reprlib.repr(value)}")
    except ValueError:  # an int too long for Python to print
        return type(value).__qualname__


@lru_cache(maxsize=512)
def _adapter(annotation: Any) -> Any:
    """Return pydantic's adapter, or None where the annotation is not one that pydantic knows."""
    from pydantic import TypeAdapter

    try:
        return TypeAdapter(annotation)
    except Exception:  # noqa: BLE001 - it raises what the annotation makes it raise
        return None


def _fits(value: object, annotation: Any) -> bool:
    """Whether `value` is right as it is; False also where only pydantic can tell."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is None:
        return _is_one(value, annotation)
    if origin is Union or origin is UnionType:
        return any(_fits(value, arg) for arg in args)
    if origin is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if not isinstance(origin, type) or not isinstance(value, origin):
        return False
    if isinstance(value, tuple) and origin is tuple and args[-1:] != (...,):
        return len(value) == len(args) and all(map(_fits, value, args))
    if isinstance(value, Mapping):
        kinds = args if len(args) == 2 else (*args, Any)
        return all(_fits(key, kinds[0]) and _fits(item, kinds[1]) for key, item in value.items())
    return isinstance(value, Collection) and all(_fits(item, args[0]) for item in value)


def _is_one(value: object, annotation: Any) -> bool:
    if annotation is Any or annotation is object:
        return True
    if annotation is None:
        return value is None
    if annotation is float:
        return type(value) in {int, float}
    if hasattr(annotation, "__total__"):  # a TypedDict; pydantic would drop the keys it lacks
        return isinstance(value, dict)
    try:
        return isinstance(value, annotation)
    except TypeError:  # not a class, or a protocol that cannot be asked
        return False
