"""One run in a browser: what its steps said, live and by level."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from cases.world import FAST, World
from playwright.sync_api import Page, expect

import qflow


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


def test_invoked_runs_stand_within_and_events_are_told(world: World, page: Page) -> None:
    @world.app.function("slip", trigger="slip")
    def slip(step: Any) -> str:
        step.run("render", lambda: print("rendering"))
        return "slip.pdf"

    @world.app.function("pack", trigger="pack")
    def pack(step: Any) -> str:
        return str(step.invoke("print", slip, data={}))

    @world.app.function("ship", trigger="order/paid")
    def ship(event: qflow.Event, step: Any) -> None:
        step.invoke("packing", pack, data={})
        step.send_event("announce", qflow.Event("order/sent", {"id": 1}))
        step.wait_for_event("answer", event="order/answer", match="data.id", timeout="1d")

    world.serve()
    world.worker()
    run = world.run_of(world.send("order/paid", {"id": 7}), "ship")
    sent = world.until(
        lambda: b"announce" in world.redis.call("HKEYS", world.keys.steps(run)), "the steps"
    )
    assert sent
    world.until(lambda: world.redis.call("HLEN", world.keys.waits(run)), "the wait")
    world.send("order/answer", {"id": 8})
    page.goto(f"/runs/{run}")
    standing = page.locator(".standing")
    expect(standing).to_contain_text("for an event order/answer where data.id = 7")
    page.reload()
    expect(standing).to_contain_text("one such event came since the run began and did not match")
    page.locator("summary", has_text="packing").click()
    page.locator(".nested summary", has_text="print").click()
    expect(page.locator(".nested .nested summary", has_text="render")).to_be_visible()
    page.locator("summary", has_text="announce").click()
    page.get_by_role("link", name=f"{run}-").click()
    expect(page.get_by_role("heading", name="order/sent")).to_be_visible()
    page.go_back()
    answer = world.send("order/answer", {"id": 7})
    expect(page.locator(".badge").first).to_have_text("completed")
    page.locator("summary", has_text="answer").click()
    expect(page.get_by_role("link", name=answer)).to_be_visible()
    packing = page.locator("details", has_text="packing").first
    packing.locator("summary").first.click()
    packing.locator("> .inside a.mono").first.click()
    page.get_by_text("invoked by").locator("..").get_by_role("link").click()
    expect(page).to_have_url(f"{page.url.split('/runs')[0]}/runs/{run}")


def test_a_run_behind_a_limit_says_its_place(world: World, page: Page) -> None:
    done = asyncio.Event()

    @world.app.function(
        "slow", trigger="slow", concurrency=qflow.Concurrency(1, key="event.data.tenant")
    )
    async def slow(step: Any) -> None:
        await step.run("hold", done.wait)

    world.serve()
    running = world.worker()
    first, *rest = [world.send("slow", {"tenant": "acme"}) for _ in range(3)]
    runs = [world.run_of(each, "slow") for each in (first, *rest)]
    world.until(lambda: world.redis.call("ZCARD", world.keys.backlog("fn:slow:0=acme")) == 2)
    waiting = [run for run in runs if world.look(run).fields["lane"].startswith("b|")]
    page.goto(f"/runs/{max(waiting)}")
    expect(page.locator(".standing")).to_contain_text("Waiting for a slot of slow for acme")
    expect(page.locator(".standing")).to_contain_text("its one slot is taken")
    running.worker._loop.loop().call_soon_threadsafe(done.set)
    expect(page.locator(".badge").first).to_have_text("completed")


def test_a_rerun_is_compared_with_its_origin(world: World, page: Page) -> None:
    @world.app.function("pay", trigger="order/paid")
    def pay(event: qflow.Event, step: Any) -> str:
        step.run("look", lambda: "the same")
        return str(step.run("charge", lambda: f"receipt {event.data['id']}"))

    world.serve()
    world.worker()
    first = world.ended(world.send("order/paid", {"id": 7}), "pay").id
    page.goto(f"/runs/{first}")
    page.get_by_role("link", name="Run again").click()
    page.get_by_label("With").fill('{"id": 8}')
    page.get_by_role("button", name="Run again").click()
    expect(page.locator(".badge").first).to_have_text("completed")
    page.get_by_role("link", name="compare", exact=True).click()
    expect(page.locator("main > .standing")).to_contain_text("They first differ in charge.")
    opened = page.locator(".pairing details[open]")
    expect(opened).to_have_count(1)
    expect(opened.locator(".less")).to_contain_text("receipt 7")
    expect(opened.locator(".more-of")).to_contain_text("receipt 8")
    page.get_by_text("look", exact=True).click()
    expect(page.locator(".pairing")).to_contain_text("Both gave the same.")
