"""The example web service where Redis is away, and the README that tells what to set."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from acme import ROOT

import qflow
from examples.signup import app as signup
from qflow.dev.redis_process import free_port

JANE = {"email": "jane@example.com", "name": "Jane"}


def post(body: dict[str, str], headers: dict[str, str]) -> httpx.Response:
    """Post a user to the service in this process."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(signup.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://acme") as client:
            return await client.post("/users", json=body, headers=headers)

    return asyncio.run(ask())


def test_a_redis_that_is_away_asks_the_client_to_come_back(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setattr("qflow.app._SEND_PATIENCE_S", 0.1)
    nobody = f"redis://127.0.0.1:{free_port()}"
    environment.setattr(signup, "events", qflow.App("signup", redis_url=nobody))
    answer = post(JANE, {})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_a_key_that_is_too_long_is_refused() -> None:
    answer = post(JANE, {"Idempotency-Key": "k" * 256})
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "at most 255" in answer.json()["errors"][0]["msg"]


def test_the_readme_names_every_variable() -> None:
    used = re.compile(r'"((?:[A-Z]+_)+(?:URL|TOKEN|HOST|FROM|TLS|PORT|USER|PASSWORD))"')
    sources = [path.read_text() for path in (ROOT / "workers").glob("*.py")]
    names = {name for source in sources for name in used.findall(source)}
    readme = (ROOT / "examples" / "README.md").read_text()
    assert len(names) == 13
    assert names == set(re.findall(r"`([A-Z]+_[A-Z_]+)`", readme))
