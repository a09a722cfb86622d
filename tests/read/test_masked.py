"""Values hidden by the names of their fields: in data, in text, and put back where they are sent again."""

from __future__ import annotations

from typing import Any

import pytest

from qflow.config import Settings
from qflow.errors import UsageError
from qflow.read.masked import MASKED, Mask, hidden

MASK = Mask(Settings().masked.split(","))


@pytest.mark.parametrize(
    "name",
    ["password", "Password", "db_password_hash", "token", "accessToken", "client-secret", "api_key",
     "X-Api-Key", "stripeApiKey", "Authorization", "proxy-authorization", "Set-Cookie", "cvc"],
)  # fmt: skip
def test_names_that_are_masked(name: str) -> None:
    assert MASK.value({name: "x1"}) == {name: MASKED}
    assert MASK.value([{"a": {name: {"deep": 1}}}]) == [{"a": {name: MASKED}}]


@pytest.mark.parametrize("name", ["token_count", "tokens", "author", "pass", "key", "cookies"])
def test_names_that_are_not(name: str) -> None:
    assert MASK.value({name: "x1"}) == {name: "x1"}


def test_nothing_is_still_nothing_and_the_shape_is_kept() -> None:
    data: dict[str, Any] = {"password": None, "a": [1, 2.5, True, "text"], "": {}}
    assert MASK.value(data) == data


def test_paths() -> None:
    mask = Mask(["card.number", " user.*.street "])
    data = {
        "number": 1,
        "card": {"number": 2, "more": {"number": 3}},
        "cards": [{"card": {"number": 4}}],
    }
    shown = mask.value(data)
    assert shown["number"] == 1
    assert shown["card"] == {"number": MASKED, "more": {"number": 3}}
    assert shown["cards"] == [{"card": {"number": MASKED}}]
    assert mask.value({"user": {"home": {"street": "Elm"}}}) == {
        "user": {"home": {"street": MASKED}}
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("login failed: password=hunter2, try again", f"login failed: password={MASKED}, try again"),
        ('{"api_key": "sk \\" 1", "n": 1}', f'{{"api_key": "{MASKED}", "n": 1}}'),
        ("Authorization: Bearer abc.def.ghi", f"Authorization: {MASKED}"),
        ("event.data.token is 'abc', event.data.n is 1", f"event.data.token is {MASKED}, event.data.n is 1"),
        ('{"credentials": {"user": "u", "key": [1]}}', f'{{"credentials": "{MASKED}"}}'),
        ("with {'credentials': {'key': 'abc'}, 'n': 1}", f"with {{'credentials': {MASKED}, 'n': 1}}"),
        ("the token is expired", "the token is expired"),
        ("the password is too short", "the password is too short"),
        ("no secrets here: n=1", "no secrets here: n=1"),
    ],
)  # fmt: skip
def test_text(text: str, shown: str) -> None:
    assert MASK.text(text) == shown


def test_a_value_is_hidden_wherever_it_stands_unless_it_is_short() -> None:
    secrets = MASK.secrets({"password": "hunter2!", "token": "abc", "credentials": [{"x": 123456}]})
    assert secrets == {"hunter2!", "123456"}
    told = {"message": "cannot log in with hunter2! and 123456 or abc", "n": [("hunter2!",)]}
    assert hidden(told, secrets) == {
        "message": f"cannot log in with {MASKED} and {MASKED} or abc",
        "n": [(MASKED,)],
    }
    assert hidden(told, frozenset()) is told


def test_what_is_masked_is_put_back() -> None:
    old: dict[str, Any] = {
        "user": {"password": "p", "name": "Jane"},
        "keys": [{"token": "t"}],
        "n": 1,
    }
    edited = {**MASK.value(old), "n": 2}
    assert MASK.restore(edited, old) == {**old, "n": 2}
    edited["user"] = {"password": "new", "name": "June"}
    assert MASK.restore(edited, old)["user"] == {"password": "new", "name": "June"}
    assert MASK.restore({"n": [1]}, None) == {"n": [1]}
    for wrong in ({"other": MASKED}, {"keys": [{}, {"token": MASKED}]}, {"user": {"name": MASKED}}):
        with pytest.raises(UsageError, match="stands for a value that is not shown"):
            MASK.restore(wrong, old)


def test_no_names_mask_nothing() -> None:
    mask = Mask([""])
    assert mask.is_empty
    assert mask.value({"password": "x"}) == {"password": "x"}
    assert mask.text("password=x") == "password=x"
