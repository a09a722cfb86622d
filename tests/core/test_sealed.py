"""The form of what a middleware encoded."""

from __future__ import annotations

import json

import pytest

from qflow.core import codec
from qflow.core.sealed import Sealed, sealed_by
from qflow.errors import UsageError


def test_there_and_back() -> None:
    sealed = Sealed("zlib", 'any "text"\n')
    assert Sealed.from_json(sealed.to_json()) == sealed
    assert Sealed.from_json(json.dumps(json.loads(sealed.to_json()), indent=1)) == sealed
    assert sealed_by(sealed.to_json()) == "zlib"


@pytest.mark.parametrize("by", ["", "a b", 'a"b', "x" * 101, "ü"])
def test_a_label_is_plain(by: str) -> None:
    with pytest.raises(UsageError, match="label"):
        Sealed(by, "x").to_json()


@pytest.mark.parametrize(
    "text", ["1", "null", "[]", '{"a":1}', '{"$qflow":"date","v":"2024-01-01"}']
)
def test_what_is_not_sealed(text: str) -> None:
    assert Sealed.from_json(text) is None
    assert sealed_by(text) == ""


def test_a_part_counts() -> None:
    text = f'{{"plain":1,"card":{Sealed("k", "x").to_json()}}}'
    assert sealed_by(text) == "k"
    assert Sealed.from_json(text) is None


def test_values_of_users_are_never_taken_for_sealed() -> None:
    lookalike = {"$qflow": "sealed", "by": "k", "v": "x"}
    for value in (lookalike, [lookalike], json.dumps(lookalike), {json.dumps(lookalike): 1}):
        assert sealed_by(codec.encode(value, "it")) == ""


@pytest.mark.parametrize(
    "text",
    ['{"$qflow":"sealed"}', '{"$qflow":"sealed","by":1,"v":"x"}', '{"v":1,"$qflow":"sealed"}'],
)
def test_a_malformed_one_is_noticed(text: str) -> None:
    assert sealed_by(text) == "?"
    assert Sealed.from_json(text) is None
