"""Each Lua script does what its header says, and is called as its header says."""

from __future__ import annotations

import dataclasses
import importlib
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from shape.headers import Header
from shape.tree import INCLUDES, MODULES, SCRIPTS

from qflow.store import ending, lease, pause, script, timer
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.script import Call
from qflow.testing.leaks import kinds

MAX_KEYS = 8
HEADERS = [Header(path) for path in SCRIPTS]
each = pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.path.stem)


@each
def test_header_names_everything(header: Header) -> None:
    assert header.purpose.startswith("-- ")
    assert {"KEYS", "ARGV", "Returns", "Callers"} <= header.lines.keys()
    assert len(header.keys) <= MAX_KEYS


@each
def test_keys_and_arguments_are_bound_first_in_the_header_s_order(header: Header) -> None:
    keys, arguments = header.bound["KEYS"], header.bound["ARGV"]
    assert [key for key, name in zip(header.keys, keys, strict=True) if not _means(name, key)] == []
    assert arguments == header.arguments


@each
def test_bodies_use_names(header: Header) -> None:
    assert "KEYS" not in header.rest
    positions = set(re.findall(r"ARGV\[([^\]]*)\]", header.rest))
    assert positions <= ({"i", "i + 1", "i + 2", "i + 3", "i + 4"} if header.groups else set())
    width = sum(header.groups) - 1
    assert "unpack(ARGV" not in header.rest.replace(f"unpack(ARGV, i, i + {width})", "")


@each
def test_repeated_arguments_begin_after_the_named_ones(header: Header) -> None:
    begin = re.search(r"for i = (\d+)", header.rest)
    before = re.search(r"#ARGV - (\d+)", header.rest)
    found = int(begin[1]) - 1 if begin else int(before[1]) if before else None
    assert header.groups == [] or found == len(header.arguments)


@each
def test_callers_pass_what_the_header_says(
    header: Header, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for caller in header.callers:
        call = _called(f"qflow.{caller}", redis, monkeypatch)
        assert call.script == header.path.stem
        repeated = sum(len(item) for item in call.items)
        assert len(call.args) + repeated == len(header.arguments) + sum(header.groups)
        assert [_kind(key) for key in call.keys] == [
            key if hasattr(Keys, key) else kind
            for key, kind in zip(header.keys, map(_kind, call.keys), strict=True)
        ]


def test_every_call_in_python_stands_in_a_header() -> None:
    made = [m.where(call) for m in MODULES for call in m.calls("Call") if m.layer == "store"]
    assert len(made) == sum(len(header.callers) for header in HEADERS), made


def test_every_fragment_is_included_by_a_script() -> None:
    used = {
        name for h in HEADERS for name in re.findall(r"^-- include: (\w+)$", h.text, re.MULTILINE)
    }
    assert used == {path.stem for path in INCLUDES}


def test_scripts_compile(redis: Redis) -> None:
    loaded = [redis.call("SCRIPT", "LOAD", script.script(name).source) for name in script.names()]
    assert loaded == [script.script(name).sha.encode() for name in script.names()]


def _means(local: str, key: str) -> bool:
    """Tell whether a local stands for a key: `workers_key` for `rq_workers`."""
    return f"_{key}".endswith("_" + local.removesuffix("_key")) and local.endswith("_key")


def _called(caller: str, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return the call that a Python function makes or runs, given a value for each parameter."""
    ran: list[Call] = []

    def run(redis: Redis, call: Call) -> Any:
        ran.append(call)
        return script.run(redis, call)

    for module in (ending, lease, pause, timer):
        monkeypatch.setattr(module, "run", run)
    module_name, _, name = caller.rpartition(".")
    function = getattr(importlib.import_module(module_name), name)
    hints = typing.get_type_hints(function)
    given = {k: redis if v is Redis else _value(v) for k, v in hints.items() if k != "return"}
    made = function(**given)
    return made if isinstance(made, Call) else ran[0]


def _value(kind: Any) -> Any:
    """Return a value of a type, down to its fields; one element in each collection."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Keys:
        return Keys("shape")
    if origin in (Sequence, list):
        return [_value(arguments[0])]
    if origin is tuple:
        return tuple(_value(argument) for argument in arguments)
    if origin in (Mapping, dict):
        key = "id" if arguments[0] is str else b"id"
        return {key: "x"}
    if hasattr(kind, "_fields") or dataclasses.is_dataclass(kind):
        return kind(*map(_value, typing.get_type_hints(kind).values()))
    return {str: "x", int: 1, bool: True, float: 1.0}[kind]


def _kind(key: str) -> str:
    found = [kind.name for kind in kinds(Keys("shape")) if kind.pattern.fullmatch(key)]
    return found[0] if found else key
