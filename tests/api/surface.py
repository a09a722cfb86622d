"""Lists every public name of qflow with its signature; run as a script, it rewrites the pinned list."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import qflow
import qflow.testing

PINNED = Path(__file__).with_name("public_api.txt")


def public() -> dict[str, Any]:
    """Return what users import, by the name under which the list has it."""
    return {name: getattr(qflow, name) for name in qflow.__all__} | {
        f"testing.{name}": getattr(qflow.testing, name) for name in qflow.testing.__all__
    }


def listing() -> str:
    """Return the public names and signatures, one a line."""
    return "".join(
        f"{line}\n" for name, value in public().items() for line in _described(name, value)
    )


def _described(name: str, value: Any) -> Iterator[str]:
    bases = ", ".join(
        base.__name__ for base in value.__bases__ if base not in (object, typing.Generic)
    )
    yield f"class {name}({bases})" if bases else f"class {name}"
    yield from (f"    {line}" for line in _members(value))


def _members(cls: type) -> Iterator[str]:
    if "__init__" in vars(cls):
        yield f"__init__{_signature(vars(cls)['__init__'])}"
    fields = (
        {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else ()
    )
    for name, member in sorted(vars(cls).items()):
        if name in fields or (name.startswith("_") and name != "__call__"):
            continue
        if isinstance(member, property):
            yield f"{name}: {inspect.signature(member.fget).return_annotation}"  # type: ignore[arg-type]
        elif isinstance(member, classmethod):
            yield f"classmethod {name}{_signature(member.__func__)}"
        elif inspect.isfunction(member):
            yield from (f"{_kind(member)}{name}{_signature(f)}" for f in _forms(member))


def _forms(function: Any) -> list[Any]:
    return list(typing.get_overloads(function)) or [function]


def _kind(function: Any) -> str:
    return "async " if inspect.iscoroutinefunction(inspect.unwrap(function)) else ""


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [
        p.replace(annotation=_Bare(p.annotation))
        for p in signature.parameters.values()
        if p.name not in ("self", "cls")
    ]
    returned = _Bare(signature.return_annotation)
    return str(signature.replace(parameters=parameters, return_annotation=returned))


class _Bare(str):
    """An annotation's text, shown without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


if __name__ == "__main__":
    PINNED.write_text(listing(), "utf-8")
