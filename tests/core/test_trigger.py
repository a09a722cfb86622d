"""Triggers: names and trailing wildcards, and what can never match."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qflow.core.cron import Cron
from qflow.core.trigger import EventTrigger, names_matching, parse_triggers
from qflow.errors import DefinitionError

NAME = st.text("ab/.", min_size=1, max_size=8)


def matches(pattern: str, name: str) -> bool:
    """Say what a wildcard means in the plainest way."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == name


@given(NAME, NAME, st.booleans())
def test_patterns_made_from_a_name_are_those_that_match(name: str, other: str, wild: bool) -> None:
    pattern = other + "*" if wild and other[-1] in "/." else other
    assert (pattern in names_matching(name)) == matches(pattern, name)


def test_names_of_an_event() -> None:
    assert names_matching("app/user.created") == ["app/user.created", "app/*", "app/user.*"]


@pytest.mark.parametrize(
    "name",
    ["*", "a*", "us*r/x", "user/*/x", "a/**", "", None, " a", "a ", "a\tb", "qflow/x", "n" * 256],
)
def test_what_can_never_match_is_refused(name: Any) -> None:
    with pytest.raises(DefinitionError, match="can never match|needs an event name|longer than"):
        EventTrigger(name)


@pytest.mark.parametrize(
    "name", ["a", "user/created", "user/*", "user.*", "a/b.c/*", "café/ouvert"]
)
def test_what_can_match(name: str) -> None:
    assert EventTrigger(name).event == name


def test_one_or_a_list() -> None:
    cron = Cron("0 * * * *")
    assert parse_triggers("a", "f") == (EventTrigger("a"),)
    assert parse_triggers(["a", EventTrigger("b"), cron], "f") == (
        EventTrigger("a"),
        EventTrigger("b"),
        cron,
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "has no trigger"),
        (None, "has no trigger"),
        (7, "not int"),
        (["a", None], "not NoneType"),
        (["a", "a"], "stands twice"),
        ([f"e{i}" for i in range(11)], "11 triggers; 10 at most"),
        ("a*", "can never match"),
    ],
)
def test_bad_triggers_name_the_function(value: object, words: str) -> None:
    with pytest.raises(DefinitionError, match=f"function 'f'.*{words}"):
        parse_triggers(value, "function 'f'")


def test_a_bad_condition_names_function_argument_and_column() -> None:
    triggers = [EventTrigger("b"), EventTrigger("a", when="event.data.x == y")]
    with pytest.raises(DefinitionError) as raised:
        parse_triggers(triggers, "function 'f'")
    assert str(raised.value) == (
        "function 'f': trigger 'a' when, column 17: unknown name 'y'; known here: event, "
        "in 'event.data.x == y'"
    )


def test_one_name_may_stand_twice_with_two_conditions() -> None:
    triggers = [EventTrigger("a", when="event.data.x"), EventTrigger("a", when="event.data.y")]
    assert parse_triggers(triggers, "function 'f'") == tuple(triggers)
    with pytest.raises(DefinitionError, match=r"trigger 'a' when 'event.data.x' stands twice"):
        parse_triggers([triggers[0], triggers[0]], "function 'f'")


def test_the_specification_of_a_trigger_has_its_condition() -> None:
    assert EventTrigger("a").to_spec() == {"event": "a"}
    assert EventTrigger("a", when="true").to_spec() == {"event": "a", "when": "true"}
