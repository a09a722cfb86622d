"""WCAG 2.2 AA, as far as axe can tell, on the main pages, light and dark by turns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cases.world import World
from playwright.sync_api import Browser, Page

import qflow
from qflow.core.event import Event

AXE = Path(os.environ.get("NODE_PATH", "/nonexistent")) / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
PATHS = ("/", "/workflows/ship/steps", "/runs", "/events", "/events/send", "/errors", "/health",
         "/webhooks", "/bulk", "/bulk/new?kind=rerun&q=status:failed", "/events/rejected")  # fmt: skip


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core from npm, in NODE_PATH")
def test_axe_finds_nothing(world: World, chromium: Browser, page: Page) -> None:
    @world.app.function("ship", trigger="order/paid")
    def ship(event: Event, step: Any) -> None:
        step.run("fail", fail)

    def fail() -> None:
        raise qflow.NonRetriableError("no address")

    world.serve()
    world.worker()
    failed = world.ended(world.send("order/paid", {"id": 1}), "ship").id
    page.goto("/")
    origin = page.url
    context = chromium.new_context(base_url=origin, bypass_csp=True)
    examined = context.new_page()
    found = []
    for at, path in enumerate((*PATHS, f"/runs/{failed}")):
        examined.emulate_media(color_scheme="dark" if at % 2 else "light")
        examined.goto(path)
        examined.add_script_tag(path=AXE)
        told = examined.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
        found += [(path, each["id"], each["nodes"][0]["target"]) for each in told["violations"]]
    context.close()
    assert found == []
