"""Definitions of functions: ids, arguments, models, and the published specification."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from qflow.core.cron import Cron
from qflow.core.event import Event
from qflow.core.function import Function, check_handler, check_id, describe, event_model
from qflow.core.retry import Backoff, Policy
from qflow.core.trigger import EventTrigger, Trigger
from qflow.errors import DefinitionError

T = TypeVar("T")


@dataclass
class Order:
    number: int


def handler(event: Any, step: Any) -> str:
    return f"{event}{step}"


def make(
    work: Callable[..., Any] = handler,
    triggers: tuple[Trigger, ...] = (EventTrigger("a"), Cron("@daily")),
    policy: Policy = Policy(),  # noqa: B008  # immutable
) -> Function[Any]:
    return Function("f", "F", "app", triggers, policy, work, frozenset(), is_async=False)


@pytest.mark.parametrize("value", ["a", "sync-contacts", "a.b_c-1", "7", "x" * 120])
def test_good_ids(value: str) -> None:
    assert check_id(value) == value


@pytest.mark.parametrize(
    "value", ["", "-a", ".a", "a b", "a/b", "a|b", "ä", "x" * 121, 7, None, "a\n"]
)
def test_bad_ids(value: object) -> None:
    with pytest.raises(DefinitionError, match="function id .* must begin with"):
        check_id(value)


def test_arguments_are_taken_by_name() -> None:
    def named(run: Any, step: Any, *, event: Any, extra: int = 0) -> None: ...

    assert check_handler(named, "f") == {"run", "step", "event"}
    assert check_handler(lambda: None, "f") == frozenset()
    assert check_handler(functools.partial(handler, step=1), "f") >= {"event"}


def generator(event: Any) -> Iterator[int]:
    yield event


async def async_generator(event: Any) -> AsyncIterator[int]:
    yield event


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda evnt: None, "asks for an argument 'evnt' that qflow does not know"),
        (lambda *args: None, "takes \\*args"),
        (lambda **options: None, "takes \\*options"),
        (lambda event, /: None, "asks for an argument 'event'"),
        (generator, "must not be a generator"),
        (async_generator, "must not be a generator"),
        (Order, "must decorate a function"),
        ("text", "must decorate a function"),
    ],
)
def test_bad_handlers(bad: object, words: str) -> None:
    with pytest.raises(DefinitionError, match=f"function 'f' {words}"):
        check_handler(bad, "function 'f'")


def test_the_model_of_a_typed_event() -> None:
    def typed(event: Event[Order]) -> None: ...

    assert event_model(typed) is Order


def plain(event: Event[dict[str, Any]]) -> None: ...
def mapping(event: Event[Mapping[str, int]]) -> None: ...
def anything(event: Event[Any]) -> None: ...
def bare(event: Event) -> None: ...
def generic(event: Event[T]) -> T: ...  # type: ignore[empty-body]
def unresolved(event: Event[Missing]) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def untyped(event): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("work", [plain, mapping, anything, bare, generic, unresolved, untyped])
def test_what_is_no_model(work: Callable[..., Any]) -> None:
    assert event_model(work) is None


def test_triggers_are_told_apart() -> None:
    function = make()
    assert function.event_names == ("a",)
    assert function.crons == (Cron("@daily"),)


def test_a_function_can_be_called_as_plain_python() -> None:
    assert make()(event=1, step=2) == "12"


def test_the_specification_is_json_and_has_the_source() -> None:
    spec = describe(make(policy=Policy(2, Backoff("1s"), 5000)))
    assert json.loads(json.dumps(spec)) == spec
    assert "def handler(event" in spec["source"]
    assert (spec["retries"], spec["timeout_ms"], spec["backoff"]["base"]) == (2, 5000, "1s")
    assert spec["file"].endswith("test_function.py")


def test_the_version_changes_with_source_and_configuration_only() -> None:
    versions = [
        describe(function)["version"]
        for function in (make(), make(), make(generator), make(policy=Policy(1)), make(triggers=()))
    ]
    assert versions[0] == versions[1]
    assert len(set(versions)) == 4


def test_a_handler_without_source_has_a_specification_too() -> None:
    namespace: dict[str, Any] = {}
    exec("def made(event): pass", namespace)
    assert describe(make(namespace["made"]))["source"] == ""
