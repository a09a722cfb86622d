"""The functions of docs/flow.md can be defined as they stand."""

from __future__ import annotations

from docs.pages import ROOT, blocks

import qflow


def test_the_functions_are_defined() -> None:
    app = qflow.App("docs")
    for block in blocks(ROOT / "docs" / "flow.md"):
        if block.language == "python":
            exec(block.text, {"app": app})  # it is our own page
    assert set(app.functions) == {"sync-tenant", "report", "import", "alert", "rebuild"}
