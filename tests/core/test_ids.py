"""ULIDs sort by time, job ids carry run, step and token, repeated step ids are numbered."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qflow.core.ids import ENTER, StepIds, is_ulid, job_id, run_of, step_hash, ulid, ulid_ms

MS = st.integers(0, 2**48 - 1)
ENTROPY = st.binary(min_size=10, max_size=10)
STEP = st.text(min_size=1)


@given(MS, ENTROPY)
def test_a_ulid_carries_its_time(ms: int, entropy: bytes) -> None:
    text = ulid(ms, entropy)
    assert is_ulid(text)
    assert ulid_ms(text) == ms


@given(MS, ENTROPY, MS, ENTROPY)
def test_ulids_sort_by_time_then_entropy(a: int, b: bytes, c: int, d: bytes) -> None:
    assert (ulid(a, b) < ulid(c, d)) == ((a, b) < (c, d))


def test_a_ulid_of_the_specification() -> None:
    assert ulid(1469918176385, bytes(10)) == "01ARYZ6S410000000000000000"


@pytest.mark.parametrize(
    "text", ["", "01ARYZ6S41", "81ARYZ6S410000000000000000", "01ARYZ6S41000000000000000I"]
)
def test_what_is_no_ulid(text: str) -> None:
    assert not is_ulid(text)


@given(ENTROPY, st.one_of(st.just(""), STEP), st.integers(1))
def test_a_job_id_is_one_that_rq_accepts(entropy: bytes, step: str, token: int) -> None:
    run = ulid(1, entropy)
    job = job_id(run, step, token)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", job)
    assert run_of(job) == run
    assert job.endswith(f"-{token}")


@pytest.mark.parametrize("job", ["", "x", "x-enter-1", "01ARYZ6S410000000000000000"])
def test_a_stranger_s_job_is_of_no_run(job: str) -> None:
    assert run_of(job) == ""


def test_the_entry_has_no_hash() -> None:
    assert step_hash("") == ENTER
    assert step_hash("a") == step_hash("a") != step_hash("b")


def test_a_repeated_step_is_numbered() -> None:
    ids = StepIds()
    assert [ids.next("a") for _ in range(3)] == ["a", "a:1", "a:2"]


def test_a_number_that_the_user_chose_is_not_given_again() -> None:
    ids = StepIds()
    assert [ids.next(step) for step in ("a:1", "a", "a", "a:1")] == ["a:1", "a", "a:2", "a:1:1"]


@given(st.lists(st.sampled_from(["a", "a:1", "a:2", "a:1:1", "b"])))
def test_numbered_ids_are_unique_and_the_same_each_time(steps: list[str]) -> None:
    first, again = StepIds(), StepIds()
    numbered = [first.next(step) for step in steps]
    assert len(set(numbered)) == len(steps)
    assert numbered == [again.next(step) for step in steps]
    assert all(one.startswith(step) for one, step in zip(numbered, steps, strict=True))
