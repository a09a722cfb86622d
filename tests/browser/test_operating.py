"""Schedules, limits and versions in a browser."""

from __future__ import annotations

import asyncio
from typing import Any

from cases.world import World
from playwright.sync_api import Page, expect

import qflow


def test_a_schedule_is_run_now_and_its_versions_are_told(world: World, page: Page) -> None:
    @world.app.function("books", trigger=qflow.Cron("0 8 * * MON-FRI", tz="Europe/Berlin"))
    def books(step: Any) -> str:
        return str(step.run("close", lambda: "closed"))

    world.serve()
    world.worker()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/schedules")
    row = page.locator("main tbody tr")
    expect(row).to_contain_text("Every weekday at 08:00 Europe/Berlin")
    expect(row.locator(".tick")).to_have_count(5)
    expect(row.locator("time.local").first).to_contain_text("here")
    row.get_by_role("button", name="Run now").click()
    expect(page.locator(".badge").first).to_have_text("completed")
    page.locator(".facts").get_by_role(
        "link", name=world.look(_run(page)).fields["version"]
    ).click()
    expect(page.locator(".source")).to_contain_text("closed")
    page.get_by_role("link", name="Versions").click()
    expect(page.locator("main tbody tr")).to_contain_text("in force")
    page.goto("/schedules")
    row.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.go_back()
    expect(row).to_contain_text("paused")


def test_who_waits_for_a_limit_is_seen_live(world: World, page: Page) -> None:
    done = asyncio.Event()

    @world.app.function(
        "slow", trigger="slow", concurrency=qflow.Concurrency(1, key="event.data.tenant")
    )
    async def slow(step: Any) -> None:
        await step.run("hold", done.wait)

    world.serve()
    running = world.worker()
    page.goto("/limits")
    expect(page.locator("main")).to_contain_text("allows 1 at once")
    world.send("slow", {"tenant": "acme"})
    world.send("slow", {"tenant": "acme"})
    row = page.locator("tr", has_text="acme")
    expect(row.locator("td").last).to_have_text("1")
    running.worker._loop.loop().call_soon_threadsafe(done.set)
    expect(page.locator("main")).to_contain_text("Nobody holds a slot")


def _run(page: Page) -> str:
    return page.url.rsplit("/", 1)[1]
