"""A run that asks for a person's decision is approved in the dashboard, under the name of who did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cases.world import World

from qflow.core.event import Event
from qflow.store.keys import Keys
from qflow.web.access import read_access


def test_an_approval_is_decided_by_name(
    redis_server: Any, keys: Keys, tmp_path: Path, visit: Any
) -> None:
    access = read_access("ada:operator:0123456789abcdef", "")
    client = visit(access)
    client.headers["Authorization"] = "Bearer 0123456789abcdef"
    with World(redis_server.url, keys, tmp_path) as world:

        @world.app.function("refund", trigger="refund/asked")
        def refund(event: Event, step: Any) -> Any:
            return step.approval("sign", title=f"Refund <b>{event.data['n']}</b>?").by

        world.serve()
        world.worker()
        run = world.run_of(world.send("refund/asked", {"n": 7}), "refund")
        world.until_status(run, "waiting")
        page = client.get("/approvals").text
        assert "Refund &lt;b&gt;7&lt;/b&gt;?" in page
        assert "Waiting in &#39;sign&#39; for a decision" in client.get(f"/runs/{run}").text
        action = page.split('formaction="')[1].split('"')[0]
        assert client.post(action.replace("approve", "maybe")).status_code == 404
        reply = client.post(action, data={"note": "fine"})
        assert reply.headers["location"] == f"/runs/{run}"
        assert world.until_status(run, "completed").output == "ada"
        assert client.post(action).status_code == 404
    assert "Nothing waits" in client.get("/approvals").text
