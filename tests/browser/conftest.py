"""A real Chromium on a real dashboard over a real Redis."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases.world import World
from playwright.sync_api import Browser, Page, sync_playwright

from qflow.config import Settings
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer
from qflow.web import server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-component-update"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium; for one module, since its event loop is in the way of others' loops."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def world(redis: Redis, redis_server: RedisServer, keys: Keys, tmp_path: Path) -> Iterator[World]:
    """Services to look at."""
    with World(redis_server.url, keys, tmp_path) as made:
        yield made


@pytest.fixture
def page(chromium: Browser, redis_server: RedisServer, keys: Keys) -> Iterator[Page]:
    """A page of the dashboard; what the browser complains about fails the test."""
    settings = Settings(redis_url=redis_server.url, namespace=keys.ns, dashboard_port=0)
    place = server.take_place(settings)
    stop = server.start(lambda: server.site_of(settings), place)
    context = chromium.new_context(base_url=place.url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    stop()
    assert [text for text in said if not text.startswith("Failed to load resource")] == []
