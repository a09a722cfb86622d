"""What is remembered of steps, and how much of it there may be."""

from __future__ import annotations

import pytest

from qflow.core import memo as limits
from qflow.core.memo import Memo, error_text, value_text
from qflow.errors import LimitError, StepError

FAILURE = {"name": "ValueError", "message": "no", "traceback": "Traceback…"}


def test_a_value_is_recalled() -> None:
    memo = Memo({})
    memo.add("a", value_text('[1,{"x":null}]'))
    assert "a" in memo
    assert memo.recall("a") == [1, {"x": None}]
    assert len(memo) == 1


def test_values_are_fresh_each_time() -> None:
    memo = Memo({"a": value_text("[]")})
    memo.recall("a").append(1)
    assert memo.recall("a") == []


def test_a_failure_is_raised_as_it_was() -> None:
    memo = Memo({"a": error_text({**FAILURE, "attempt": 2})})
    with pytest.raises(StepError) as raised:
        memo.recall("a")
    assert vars(raised.value) == {**FAILURE, "step_id": "a", "attempt": 2}


def test_an_unknown_step() -> None:
    assert "a" not in Memo({})
    with pytest.raises(KeyError):
        Memo({}).recall("a")


def test_steps_are_limited() -> None:
    memo = Memo({f"s{n}": value_text("1") for n in range(999)})
    memo.check_room("last")
    memo.add("last", value_text("1"))
    with pytest.raises(LimitError, match="step 'more' would be step 1001 .* limit of 1000 steps"):
        memo.check_room("more")


def test_a_result_is_limited() -> None:
    memo = Memo({})
    memo.add("fits", "x" * (4 * 1024 * 1024))
    with pytest.raises(LimitError, match="'big' is 5.0 MiB, over the limit of 4 MiB"):
        memo.add("big", "x" * (5 * 1024 * 1024))
    assert "big" not in memo


def test_the_state_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STATE_BYTES", 2 * 1024 * 1024)
    memo = Memo({"a": "x" * 1024 * 1024})
    with pytest.raises(LimitError, match="'b' the run's state is 2.5 MiB, over the limit of 2 MiB"):
        memo.add("b", "x" * 1024 * 1536)
    memo.add("b", "x" * 1024 * 1024)
    assert memo.size == 2 * 1024 * 1024
