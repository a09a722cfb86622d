"""Pictures of the dashboard for the docs; run as a script, it writes them anew.

Everything in them is real: a shop's workflows on a throwaway Redis, run for a few seconds.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from browser.conftest import CHROMIUM, FLAGS
from cases.world import World
from playwright.sync_api import sync_playwright

import qflow
from qflow.config import Settings
from qflow.store.keys import Keys
from qflow.testing.server import RedisServer
from qflow.web import server

ROOT = Path(__file__).parents[2]
PICTURES = {
    "workflows": ("/", "light"),
    "run": ("/runs/{run}", "dark"),
}
QUICK = qflow.Backoff(base="400ms", factor=1.5, jitter=False)


def shop(world: World) -> None:
    """Define workflows that look like somebody's."""
    tries: dict[str, int] = {}

    def book(order: dict[str, Any]) -> str:
        tries[order["id"]] = tries.get(order["id"], 0) + 1
        time.sleep(0.09)
        if order["id"] % 3 == 0 and tries[order["id"]] < 3:
            raise ConnectionError("carrier.example refused the connection")
        if order["id"] % 7 == 0:
            raise qflow.NonRetriableError("no carrier delivers to this address")
        return f"label-{order['id']}"

    @world.app.function("fulfil-order", name="Fulfil an order", trigger="order/paid", backoff=QUICK)
    def fulfil(event: qflow.Event, step: qflow.SyncStep) -> Any:
        receipt = step.run("charge-card", slowly, 0.16, {"receipt": f"r-{event.data['id']}"})
        step.run("reserve-stock", slowly, 0.06, None)
        label = step.run("book-carrier", book, event.data)
        step.sleep("let-it-settle", "700ms")
        step.run("tell-customer", slowly, 0.05, None)
        return {**receipt, "label": label}

    @world.app.function("welcome", name="Welcome mails", trigger="user/*")
    def welcome(step: qflow.SyncStep) -> None:
        step.run("compose", slowly, 0.02, None)
        step.sleep("a-day-later", "1d")

    @world.app.function(
        "close-books",
        name="Close the books",
        trigger=qflow.Cron("0 8 * * MON-FRI", tz="Europe/Berlin"),
    )
    def close_books() -> None:
        return None


def slowly(seconds: float, value: Any) -> Any:
    """Take a while."""
    time.sleep(seconds)
    return value


def main() -> None:
    """Write the pictures."""
    folder = Path(tempfile.mkdtemp())
    keys = Keys("qflow")
    with RedisServer() as redis, World(redis.url, keys, folder, slots=12) as world:
        shop(world)
        world.serve()
        world.worker()
        sent = [world.send("order/paid", {"id": n, "total": "19.90"}) for n in range(1, 24)]
        world.send("user/created", {"name": "Jane"})
        for event in sent:
            world.ended(event, "fulfil-order", 60)
        run = world.run_of(sent[2], "fulfil-order")
        settings = Settings(redis_url=redis.url, dashboard_port=0)
        place = server.take_place(settings)
        stop = server.start(lambda: server.site_of(settings), place)
        take(place.url, run)
        stop()


def take(url: str, run: str) -> None:
    """Visit the pages, and keep what they look like."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, (path, scheme) in PICTURES.items():
            context = browser.new_context(
                base_url=url,
                viewport={"width": 1280, "height": 640},
                color_scheme=scheme,  # type: ignore[arg-type]  # one of its literals
            )
            page = context.new_page()
            page.goto(path.format(run=run))
            page.screenshot(path=ROOT / "docs" / f"dashboard-{name}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
