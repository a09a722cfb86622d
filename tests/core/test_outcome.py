"""Outcomes: a closed union of immutable values, each carried out by one branch of the engine."""

from __future__ import annotations

import inspect
import typing

import pytest

from qflow.core import outcome
from qflow.core.outcome import (
    Again,
    Answer,
    Complete,
    Done,
    Effect,
    Execute,
    Fail,
    Open,
    Plan,
    Send,
    Sleep,
    Store,
)
from qflow.engine.apply import Retention, apply
from qflow.store.keys import Keys
from qflow.store.run import Held, Lane, Standing

ERROR = '{"name": "E", "message": "m", "traceback": "", "step": ""}'
HELD = Held(Keys("ns"), "01ARYZ6S410000000000000000", "f", 2, 500, 90)
LANE = Lane("s", 7, 0, 0, "w", "a")
DONE = Done("a", '{"ok":1}', 0, 1, 2, True)
WRITTEN: list[tuple[Effect, str, str]] = [
    (Open("b", 1, 0, 1500), "advance", "s|8|1|0|w|b"),
    (Send(DONE, ()), "send", "s|8|2|0|w|"),
    (Sleep("b", 100, 0), "delay", "d|8|0|0||b"),
    (Again("a", 1, 0, 100, ERROR), "delay", "d|8|1|0||a"),
    (Complete("1"), "advance", "e|8|0|0||a"),
    (Fail(ERROR), "finish", "e|8|0|0||a"),
]


def test_the_unions_have_every_value_of_the_module() -> None:
    defined = {
        value
        for _, value in inspect.getmembers(outcome, inspect.isclass)
        if value.__module__ == outcome.__name__
    }
    parts = {outcome.StepCall, Done}  # of Execute and Store
    assert {*typing.get_args(Effect), *typing.get_args(Answer)} - {type(None)} | parts == defined


def test_outcomes_are_immutable_values() -> None:
    assert Sleep("a", 1, 0) == Sleep("a", 1, 0)
    with pytest.raises(AttributeError):
        Sleep("a", 1, 0).step = "b"  # type: ignore[misc]


@pytest.mark.parametrize(("effect", "script", "lane"), WRITTEN)
def test_each_outcome_is_one_call_of_one_script(effect: Effect, script: str, lane: str) -> None:
    applied = apply(effect, HELD, LANE, Standing(LANE.record), DONE, Retention(10, 20))
    (call,) = applied.calls
    assert (call.script, applied.lane.record) == (script, lane)
    assert applied.released != isinstance(effect, (Open, Send))
    assert '{"ok":1}' in (call.items[0] if call.items else call.args)


@pytest.mark.parametrize("effect", [effect for effect, script, _ in WRITTEN if script != "advance"])
def test_a_step_too_young_for_a_job_gets_it_first(effect: Effect) -> None:
    standing = Standing("s|6|0|0|w|z")
    standing.opened = False
    applied = apply(effect, HELD, LANE, standing, DONE, Retention(10, 20))
    assert applied.calls[0].script == "open"
    assert (
        applied.calls[1:]
        == apply(effect, HELD, LANE, Standing(LANE.record), DONE, Retention(10, 20)).calls
    )


def test_the_rest_is_not_written_by_itself() -> None:
    elsewhere = {Execute, Store, Plan}
    assert {type(effect) for effect, _, _ in WRITTEN} | elsewhere == {*typing.get_args(Effect)}
