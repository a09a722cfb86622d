"""The laws of replay, over random handlers and random interruptions."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from invariants.programs import Do, programs
from invariants.world import World

from qflow.core.outcome import Complete, Fail

moves = st.integers(0, 60)
yields = st.dictionaries(moves, st.just("yield"), max_size=20)
fates = st.dictionaries(moves, st.sampled_from(["die", "yield"]), max_size=12)
flavours = st.sampled_from(["sync", "async"])
laws = settings(max_examples=120, deadline=None)


def told(outcome: Complete | Fail) -> Any:
    """What a run's user sees of its end; tracebacks have line numbers of the model's worker."""
    if isinstance(outcome, Complete):
        return json.loads(outcome.output)
    return {k: v for k, v in json.loads(outcome.error).items() if k != "traceback"}


@laws
@given(programs, yields, flavours)
def test_resuming_anywhere_changes_nothing(program: Any, plan: Any, flavour: Any) -> None:
    whole, parts = World(), World(plan)
    assert told(whole.finish(program)) == told(parts.finish(program, flavour))
    assert whole.executions == parts.executions
    assert whole.steps.keys() == parts.steps.keys()


@laws
@given(programs, fates, flavours)
def test_deaths_repeat_only_what_was_not_committed(program: Any, plan: Any, flavour: Any) -> None:
    whole, hit = World(), World(plan)
    assert told(whole.finish(program)) == told(hit.finish(program, flavour))
    assert whole.executions.keys() == hit.executions.keys()
    repeats = hit.executions.total() - whole.executions.total()
    assert 0 <= repeats <= hit.deaths
    assert set(hit.stored.values()) <= {1}, "a step was committed twice"


@laws
@given(programs)
def test_flavours_agree(program: Any) -> None:
    sync, asynchronous = World(), World()
    assert told(sync.finish(program, "sync")) == told(asynchronous.finish(program, "async"))
    assert sync.executions == asynchronous.executions
    assert sync.moves == asynchronous.moves


@laws
@given(programs, flavours)
def test_an_unchanged_world_is_a_fixed_point(program: Any, flavour: Any) -> None:
    world = World()
    first = world.finish(program)
    before = dict(world.steps), world.executions.copy(), world.stored.copy()
    world.outcome = None
    again = world.finish(program, flavour)
    assert told(again) == told(first)
    assert (world.steps, world.executions, world.stored) == before


@laws
@given(programs, st.data())
def test_every_prefix_of_the_memory_leads_to_the_same_end(program: Any, data: Any) -> None:
    whole = World()
    end = told(whole.finish(program))
    finished = list(whole.steps)  # in the order in which they were committed
    known = data.draw(st.integers(0, len(finished)))
    later = World()
    later.steps = {step: whole.steps[step] for step in finished[:known]}
    assert told(later.finish(program)) == end
    assert not later.executions.keys() & set(finished[:known])


@laws
@given(flavours, st.integers(0, 1))
def test_a_step_bears_three_deaths(flavour: Any, fails: int) -> None:
    world = World(dict.fromkeys(range(9), "die"), bearable=3)
    (result,) = told(world.finish((Do("a", fails, True),), flavour))
    assert result.startswith("WorkerDied its worker died 3 times")
    assert world.deaths == 3 and world.executions["a"] <= 3
    assert not world.failures, "a death used up a retry"
