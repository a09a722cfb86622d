"""What is kept of an exception: its name, message and bounded traceback without qflow's frames."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from qflow.core import codec
from qflow.core.codec import encode_error


def caught(call: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as info:  # noqa: PT011 - any error at all
        call()
    return info.value


def fail() -> None:
    try:
        codec.encode([object()], "it")
    except Exception as error:
        raise LookupError("no such\nuser") from error


def test_name_message_and_traceback() -> None:
    error = encode_error(caught(fail))
    assert (error["name"], error["message"]) == ("LookupError", "no such\nuser")
    text = str(error["traceback"])
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("LookupError: no such\nuser\n")
    assert "in fail\n    raise LookupError" in text
    assert "The above exception was the direct cause" in text
    assert "qflow.errors.CodecError: it cannot be stored: [0]" in text


def test_frames_of_qflow_are_left_out() -> None:
    text = str(encode_error(caught(fail))["traceback"])
    assert __file__ in text
    assert "core/codec.py" not in text


def test_frames_of_qflow_are_left_out_of_groups_and_contexts() -> None:
    def group() -> None:
        try:
            codec.decode("")
        except Exception:
            raise BaseExceptionGroup("two", [caught(fail), ValueError("x")])  # noqa: B904

    text = str(encode_error(caught(group))["traceback"])
    assert "ExceptionGroup: two (2 sub-exceptions)" in text
    assert "During handling of the above exception" in text
    assert "LookupError: no such" in text
    assert "core/codec.py" not in text


def test_an_error_never_raised_has_a_header_only() -> None:
    assert encode_error(KeyError("a")) == {
        "name": "KeyError",
        "message": "'a'",
        "traceback": "KeyError: 'a'\n",
    }


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_str_that_raises() -> None:
    error = encode_error(Mute(), "step 'fetch'")
    lost = "<the message of step 'fetch' is lost: its str() raised RuntimeError>"
    assert error["message"] == lost
    assert "Mute" in str(error["traceback"])
    assert encode_error(Mute())["message"] == (
        "<the message is lost: its str() raised RuntimeError>"
    )


class Odd(Exception):
    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise RuntimeError("no notes")


def test_an_error_that_cannot_be_formatted_keeps_its_name() -> None:
    assert encode_error(Odd("x"))["traceback"] == "Odd: x\n"


@pytest.mark.parametrize("text", ["x" * 200_000, "é😀" * 100_000, "\ud800" * 100_000])
def test_a_huge_error_is_bounded_with_head_and_tail(text: str) -> None:
    error = encode_error(ValueError(f"head {text} tail"))
    for key, start in (("message", "head "), ("traceback", "ValueError: head ")):
        kept = str(error[key])
        assert len(kept.encode()) <= codec.MAX_ERROR_BYTES
        assert kept.startswith(start)
        assert kept.rstrip().endswith(" tail")
        assert " bytes left out ..." in kept


def test_a_lone_surrogate_in_a_message_survives_json() -> None:
    error = encode_error(ValueError("\ud800\0"))
    assert json.loads(json.dumps(error)) == error


def test_deep_recursion_is_short() -> None:
    def dive() -> None:
        dive()

    error = encode_error(caught(dive))
    assert error["name"] == "RecursionError"
    assert "Previous line repeated" in str(error["traceback"])
