"""An operator at work in a browser: a thousand runs are cancelled, a few chosen, failures replayed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cases.world import World
from playwright.sync_api import Page, expect
from read.scenes import Scene

import qflow
from qflow.core.event import Event
from qflow.store.keys import Keys
from qflow.store.redis import Redis


@pytest.fixture
def scene(redis: Redis, keys: Keys) -> Scene:
    """A namespace with the functions `pay` and `ship`."""
    made = Scene(redis, keys)
    made.publish("pay", "ship")
    return made


def test_an_operator_cancels_a_thousand_runs(scene: Scene, page: Page) -> None:
    for _ in range(1_000):
        scene.start("pay")
    kept = scene.start("ship")
    page.goto("/runs?q=function:pay")
    page.get_by_role("button", name="Cancel…").click()
    expect(page.locator(".standing")).to_contain_text(
        re.compile("This cancels 1.000 runs: function:pay")
    )
    page.get_by_label("At most so many a second").fill("1000")
    page.get_by_role("button", name=re.compile("Cancel 1.000 runs")).click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.reload()
    page.goto("/")
    page.goto("/bulk")
    page.get_by_role("link", name="Cancel", exact=True).click()
    expect(page.locator(".badge").first).to_have_text("done", timeout=60_000)
    expect(page.locator(".figures")).to_contain_text(re.compile("1.000 of 1.000"))
    page.goto("/runs?q=status:queued")
    expect(page.locator("main tbody tr")).to_have_count(1)
    expect(page.locator(f"#r-{kept}")).to_be_visible()


def test_a_slow_action_is_stopped(scene: Scene, page: Page) -> None:
    for _ in range(30):
        scene.start("pay")
    page.goto("/runs")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_label("At most so many a second").fill("1")
    page.get_by_role("button", name="Cancel 30 runs").click()
    expect(page.locator(".figures")).to_contain_text(re.compile("[1-9] of 30"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".badge").first).to_have_text("stopped")
    expect(page.get_by_text("were not touched")).to_be_visible()


def test_chosen_runs_stay_chosen_while_the_list_is_live(scene: Scene, page: Page) -> None:
    runs = [scene.start("pay") for _ in range(3)]
    page.goto("/runs")
    page.locator(f"#r-{runs[0]} input").check()
    page.locator(f"#r-{runs[2]} input").check()
    expect(page.locator("#chosen")).to_have_text("2 selected:")
    scene.start("ship")
    expect(page.locator(".pill")).to_have_text("1 new run")
    expect(page.locator("#chosen")).to_have_text("2 selected:")
    expect(page.locator(f"#r-{runs[2]} input")).to_be_checked()
    page.get_by_role("button", name="Cancel…").click()
    expect(page.locator(".standing")).to_contain_text("This cancels 2 runs: 2 selected")
    page.get_by_role("button", name="Cancel 2 runs").click()
    expect(page.locator(".badge").first).to_have_text("done", timeout=30_000)
    assert scene.fetch(runs[1], "status") == "queued"
    page.goto("/runs")
    page.get_by_label("Select all runs of this page").check()
    expect(page.locator("#chosen")).to_have_text("4 selected:")


def test_a_group_of_errors_is_replayed(world: World, page: Page) -> None:
    works: list[bool] = []

    def post() -> None:
        if not works:
            raise qflow.NonRetriableError("the carrier is down")

    @world.app.function("ship", trigger="order/paid")
    def ship(event: Event, step: Any) -> None:
        step.run("post", post)

    world.serve()
    world.worker()
    for number in range(3):
        world.ended(world.send("order/paid", {"id": number}), "ship")
    works.append(True)
    page.goto("/errors")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Replay").click()
    expect(page.locator(".badge").first).to_have_text("done", timeout=30_000)
    expect(page.locator(".figures")).to_contain_text("3 of 3")
    page.goto("/runs?q=status:completed")
    expect(page.locator("main tbody tr")).to_have_count(3, timeout=30_000)


def test_an_id_is_found_from_anywhere(scene: Scene, page: Page) -> None:
    run = scene.start("pay")
    page.goto("/workers")
    page.keyboard.press("Control+k")
    page.get_by_label("Find", exact=True).last.fill(run[-8:].lower())
    expect(page.locator("#palette-list a.at")).to_contain_text(run)
    expect(page.locator("#palette-list a.at")).to_contain_text("run pay queued")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"…{run[-8:]}")).to_be_visible()
