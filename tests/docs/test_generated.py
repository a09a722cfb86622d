"""The made parts of docs/ are up to date."""

from __future__ import annotations

from docs.generated import INTERNALS, LLMS, SETTINGS, internals, llms, settings

from qflow.core.status import mermaid

REMEDY = "run `make docs`"


def test_settings() -> None:
    assert SETTINGS.read_text("utf-8") == settings(), REMEDY


def test_llms() -> None:
    assert LLMS.read_text("utf-8") == llms(), REMEDY


def test_internals() -> None:
    text = INTERNALS.read_text("utf-8")
    assert text == internals(), REMEDY
    assert f"```mermaid\n{mermaid()}\n```" in text
