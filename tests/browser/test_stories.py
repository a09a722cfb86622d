"""Whole stories in a browser: a failure is found, understood and mended; a list stays still; the keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases.world import World
from playwright.sync_api import Browser, Page, expect

import qflow
from qflow.config import Settings
from qflow.core.event import Event
from qflow.testing.server import RedisServer
from qflow.web import server


def define(world: World) -> None:
    """A workflow that fails for orders without an address."""

    def post(data: dict[str, Any]) -> str:
        if not data.get("address"):
            raise qflow.NonRetriableError(f"order <b>{data['id']}</b> has no address")
        return f"parcel to {data['address']}"

    @world.app.function("ship", trigger="order/paid")
    def ship(event: Event, step: Any) -> Any:
        step.run("check", lambda: True)
        return step.run("post", post, event.data)


def test_a_failure_is_found_understood_and_mended(world: World, page: Page) -> None:
    define(world)
    world.serve()
    world.worker()
    for number in range(3):
        world.ended(world.send("order/paid", {"id": number}), "ship")
    page.goto("/")
    row = page.locator("tr", has_text="ship")
    expect(row).to_contain_text("last run failed")
    expect(row).to_contain_text("order/paid")
    page.get_by_role("link", name="Errors").click()
    group = page.locator("main tbody tr")
    expect(group).to_have_count(1)
    expect(group).to_contain_text("NonRetriableError")
    group.locator("a.strong").click()
    expect(page.locator("#fault")).to_contain_text("order <b>2</b> has no address")
    expect(page.locator(".lane", has_text="post")).to_have_count(1)
    page.locator(".lane", has_text="check").click()
    expect(page.locator(".step[open]")).to_contain_text("true")
    page.get_by_role("link", name="Send again").click()
    page.get_by_label("Data").fill('{"id": 2, "address": "Elm Street"')
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("not JSON at line 1 column")
    page.get_by_label("Data").fill('{"id": 2, "address": "Elm Street"}')
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="order/paid")).to_be_visible()
    page.get_by_role("link", name="Runs", exact=True).click()
    expect(page.locator("main tbody tr").first).to_contain_text("completed")
    page.locator("main tbody tr").first.click()
    expect(page.locator(".columns").last).to_contain_text("parcel to Elm Street")


def test_the_list_stays_still_and_tells_of_news(world: World, page: Page) -> None:
    define(world)
    world.publish()
    world.serve()
    first = world.run_of(world.send("order/paid", {"id": 1, "address": "a"}), "ship")
    page.goto("/runs")
    row = page.locator(f"#r-{first}")
    expect(row).to_contain_text("queued")
    world.run_of(world.send("order/paid", {"id": 2, "address": "b"}), "ship")
    expect(page.locator(".pill")).to_have_text("1 new run")
    expect(page.locator("main tbody tr")).to_have_count(1)
    world.worker()
    expect(row).to_contain_text("completed")
    page.locator(".pill").click()
    expect(page.locator("main tbody tr")).to_have_count(2)


def test_a_running_run_is_live_and_keeps_what_the_reader_opened(world: World, page: Page) -> None:
    @world.app.function("nap", trigger="nap")
    def nap(step: Any) -> None:
        step.run("before", lambda: "first")
        step.wait_for_event("hold", event="go")
        step.run("after", lambda: "second")

    world.serve()
    world.worker()
    run = world.run_of(world.send("nap"), "nap")
    world.until_status(run, "waiting")
    page.goto(f"/runs/{run}")
    expect(page.locator(".standing")).to_contain_text("Waiting in 'hold' for an event")
    page.locator(".lane", has_text="before").click()
    world.send("go")
    expect(page.locator(".badge").first).to_have_text("completed")
    expect(page.locator(".lane", has_text="after")).to_have_count(1)
    expect(page.locator(".step[open]")).to_have_count(1)
    expect(page.locator(".step[open]")).to_contain_text("first")


def test_the_keyboard_and_the_theme(world: World, page: Page) -> None:
    define(world)
    world.publish()
    page.goto("/")
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.locator("#theme").click()
    page.keyboard.press("j")
    expect(page.locator("tr.at")).to_contain_text("ship")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ship")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("g")
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="Events", exact=True)).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("shi")
    expect(page.locator("#palette-list a.at")).to_contain_text("ship")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ship")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()


@pytest.fixture
def mortal() -> Iterator[RedisServer]:
    """A Redis of its own, to be killed."""
    with RedisServer(appendonly=True) as made:
        yield made


def test_a_lost_redis_is_told_and_comes_back(chromium: Browser, mortal: RedisServer) -> None:
    settings = Settings(redis_url=mortal.url, dashboard_port=0)
    place = server.take_place(settings)
    stop = server.start(lambda: server.site_of(settings), place)
    context = chromium.new_context(base_url=place.url)
    page, late = context.new_page(), context.new_page()
    page.goto("/workers")
    expect(page.get_by_text("No workers")).to_be_visible()
    mortal.kill()
    expect(page.locator("#banner")).to_contain_text("Redis is out of reach")
    expect(page.get_by_text("No workers")).to_be_visible()
    late.goto("/runs")
    expect(late.get_by_role("heading", name="Redis is out of reach").first).to_be_visible()
    mortal.restart()
    expect(page.locator("#banner")).to_be_hidden()
    expect(late.get_by_text("No runs here")).to_be_visible()
    context.close()
    stop()


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_nothing_is_wider_than_the_screen(
    world: World, chromium: Browser, page: Page, width: int, tmp_path: Path
) -> None:
    define(world)
    world.publish()
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", "/workflows/ship", "/runs", "/events", "/events/send", "/health"):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not wide, path
