"""What users import is pinned: a change shows in review as a change of public_api.txt."""

from __future__ import annotations

import inspect

from api.surface import PINNED, listing, public

import qflow
import qflow.testing


def test_public_names_and_signatures_are_pinned() -> None:
    assert listing() == PINNED.read_text("utf-8"), "changed on purpose? Run `make api`"


def test_everything_public_is_documented() -> None:
    undocumented = {
        f"{name}.{attribute}"
        for name, value in public().items()
        for attribute, member in {"": value, **vars(value)}.items()
        if (not attribute or (attribute[0] != "_" and callable(member)))
        and not inspect.getdoc(member)
    }
    assert undocumented == set()


def test_dir_lists_the_public_names() -> None:
    assert {*qflow.__all__} <= {*dir(qflow)}
    assert {*qflow.testing.__all__} <= {*dir(qflow.testing)}
