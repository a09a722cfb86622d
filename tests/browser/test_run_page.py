"""One run in a browser: what its steps said, live and by level."""

from __future__ import annotations

import logging
from typing import Any

from cases.world import FAST, World
from playwright.sync_api import Page, expect


def test_what_a_step_says_is_seen_by_level(world: World, page: Page) -> None:
    tries: list[int] = []

    def charge() -> str:
        tries.append(1)
        print("charging the card")
        if len(tries) == 1:
            logging.getLogger("bank").warning("answered <b>503</b>")
            raise ConnectionError("bank is down")
        return "receipt"

    @world.app.function("pay", trigger="order/paid", backoff=FAST)
    def pay(step: Any) -> None:
        step.run("charge", charge)
        step.wait_for_event("hold", event="go")

    world.serve()
    world.worker()
    run = world.run_of(world.send("order/paid"), "pay")
    world.until_status(run, "waiting")
    page.goto(f"/runs/{run}")
    lines = page.locator(".said .line")
    expect(lines).to_have_count(3)
    page.get_by_role("link", name="warning", exact=True).click()
    expect(lines).to_have_count(1)
    expect(lines).to_contain_text("bank: answered <b>503</b>")
    world.send("go")  # a live update keeps the level
    expect(page.locator(".badge").first).to_have_text("completed")
    expect(lines).to_have_count(1)
    page.locator(".lane", has_text="charge").click()
    expect(page.locator(".step[open] .attempt").first).to_contain_text("charging the card")
