"""The code of docs/middleware.md runs, and does what the page says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from docs.pages import ROOT, blocks

from qflow import Place
from qflow.core.middleware import Hooks


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's blocks define."""
    monkeypatch.setenv("QFLOW_ENCRYPTION_KEYS", "a2V5" * 10 + "a2U=")
    found: dict[str, Any] = {}
    for block in blocks(ROOT / "docs" / "middleware.md"):
        if block.language == "python":
            exec(block.text, found)
            found.setdefault("apps", []).extend([found["app"]] if "app = " in block.text else [])
    return found


def test_compressed(names: dict[str, Any]) -> None:
    hooks = Hooks((names["Compressed"](),))
    place, text = Place("step", "r", "s"), json.dumps(["x" * 20_000])
    stored = hooks.encoded(text, place)
    assert len(stored) < 1000
    assert hooks.decoded(stored, place) == text
    assert hooks.encoded("[1]", place) == "[1]"


def test_the_apps_have_their_middleware(names: dict[str, Any]) -> None:
    hooks = [app.function("f", trigger="x")(lambda: None).hooks for app in names["apps"]]
    assert [(len(found.steps), len(found.encoders)) for found in hooks] == [(1, 0), (0, 1), (0, 1)]
