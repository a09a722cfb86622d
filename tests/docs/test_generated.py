"""The made parts of docs/ are up to date."""

from __future__ import annotations

from docs.generated import INTERNALS, SETTINGS, internals, settings

from qflow.core.status import mermaid

REMEDY = "run `make docs`"


def test_settings() -> None:
    assert SETTINGS.read_text("utf-8") == settings(), REMEDY


def test_internals() -> None:
    text = INTERNALS.read_text("utf-8")
    assert text == internals(), REMEDY
    assert f"```mermaid\n{mermaid()}\n```" in text
