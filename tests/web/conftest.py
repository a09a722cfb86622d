"""The dashboard over a scene, without and with a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from read.scenes import Scene
from starlette.testclient import TestClient

from qflow.config import Settings
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer
from qflow.web import server
from qflow.web.access import Access
from qflow.web.app import create_app
from qflow.web.exchange import Site

Visit = Callable[..., TestClient]


@pytest.fixture
def scene(redis: Redis, keys: Keys) -> Scene:
    """A namespace whose worker `w1` has a lease and whose functions `pay` and `ship` are published."""
    made = Scene(redis, keys)
    made.publish("pay", "ship", source="def pay(event, step):\n    return '<b>'\n", backoff=None)
    made.enlist()
    return made


@pytest.fixture
def visit(redis: Redis, keys: Keys) -> Iterator[Visit]:
    """Gives a client of the dashboard, open or with some access, under some prefix."""
    made: list[TestClient] = []

    def begin(access: Access | None = None, prefix: str = "", at: str = "127.0.0.1") -> TestClient:
        site = Site(redis, keys, access or Access(), prefix=prefix)
        client = TestClient(create_app(site), base_url=f"http://{at}", follow_redirects=False)
        made.append(client)
        return client

    yield begin
    for client in made:
        client.close()


@pytest.fixture
def client(visit: Visit) -> TestClient:
    """A client of the open dashboard."""
    return visit()


@pytest.fixture
def served(redis_server: RedisServer, redis: Redis, keys: Keys) -> Iterator[str]:
    """The address of a dashboard that is really served."""
    settings = Settings(redis_url=redis_server.url, namespace=keys.ns, dashboard_port=0)
    place = server.take_place(settings)
    stop = server.start(lambda: server.site_of(settings), place)
    yield place.url
    stop()
