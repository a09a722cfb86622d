"""Which path a run takes at a patch: decided once, and the same ever after."""

from __future__ import annotations

from typing import Any

import pytest

from qflow.core.patches import Patches
from qflow.errors import UsageError


def test_new_ground() -> None:
    noted: list[str] = []
    patches = Patches((), noted.append)
    assert patches.take("p", replaying=False)
    assert patches.take("p", replaying=False)
    assert noted == ["p"]


def test_ground_that_was_passed_before_stays_so_in_a_loop() -> None:
    noted: list[str] = []
    patches = Patches((), noted.append)
    assert not patches.take("p", replaying=True)
    assert not patches.take("p", replaying=False), "the loop's first turn took the old path"
    assert patches.take("other", replaying=False)
    assert noted == ["other"]


def test_what_was_noted_holds_while_replaying() -> None:
    noted: list[str] = []
    assert Patches(["p"], noted.append).take("p", replaying=True)
    assert noted == []


@pytest.mark.parametrize("bad", ["", None, 7, "x" * 101, "a\nb"])
def test_bad_ids(bad: Any) -> None:
    with pytest.raises(UsageError, match="run.patched needs an id"):
        Patches((), lambda _: None).take(bad, replaying=False)
