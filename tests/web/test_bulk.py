"""Acting on many runs: the preview, the pace, what is left out, stopping, and a dashboard killed with -9."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from read.scenes import Scene
from starlette.testclient import TestClient
from web.test_access import ACCESS, bearer

from qflow.core.ids import ulid
from qflow.engine.bulk import Bulks, made_from
from qflow.engine.rerunning import Rerunner
from qflow.read import bulks
from qflow.store import bulk
from qflow.store.bulk import Bulk
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.stream import Keep
from qflow.testing.processes import Qflow

KEEP = Keep(500, 700)


@pytest.fixture
def worker(redis: Redis, keys: Keys) -> Bulks:
    """Who carries actions on."""
    return Bulks(redis, keys, KEEP, "me")


def through(worker: Bulks, redis: Redis, keys: Keys) -> None:
    """Work until no action is open, at any pace."""
    while redis.call("SCARD", keys.bulks_open):
        worker._due = {}
        worker.work()


def failed(scene: Scene, number: int) -> list[str]:
    made = []
    for _ in range(number):
        made.append(scene.start("pay"))
        scene.claim().fail()
    return made


def began(client: TestClient, **body: Any) -> dict[str, Any]:
    reply = client.post("/api/v1/bulk", json=body)
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


def test_the_preview_counts_and_changes_nothing(client: TestClient, scene: Scene) -> None:
    for function in ("pay", "pay", "ship"):
        scene.start(function)
    done = scene.start("pay")
    page = client.get("/bulk/new?kind=cancel&q=function:pay").text
    assert "This cancels <b>3 runs</b>" in page
    assert "Cancel 3 runs" in page
    picked = client.get(f"/bulk/new?kind=cancel&q=&run.{done}=on").text
    assert "This cancels <b>1 run</b>" in picked
    assert "Nothing to do" in client.get("/bulk/new?kind=rerun&q=function:pay").text
    assert client.get("/api/v1/bulk").json() == {"bulk": []}
    assert scene.fetch(done, "status") == "queued"


def test_a_filter_is_cancelled_but_not_what_came_after_the_preview(
    client: TestClient, scene: Scene, worker: Bulks, redis: Redis, keys: Keys
) -> None:
    wanted = [scene.start("pay") for _ in range(5)]
    other = scene.start("ship")
    form = client.get("/bulk/new?kind=cancel&q=function:pay").text
    before = form.split('name="before" value="')[1].split('"')[0]
    while scene.now_ms() <= int(before):
        pass  # a run of this very millisecond would be of the preview
    late = scene.start("pay")
    fields = {"kind": "cancel", "q": "function:pay", "before": before, "rate": "1000"}
    reply = client.post("/bulk", data=fields)
    assert reply.status_code == 303
    through(worker, redis, keys)
    assert {scene.fetch(run, "status") for run in wanted} == {"cancelled"}
    assert {scene.fetch(run, "status") for run in (other, late)} == {"queued"}
    assert scene.fetch(wanted[0], "reason").startswith("by local, ")
    told = client.get(f"/api/v1{reply.headers['location']}").json()
    assert (told["state"], told["done"], told["left"]) == ("done", 5, 0)
    assert "5" in client.get(reply.headers["location"]).text
    assert "function:pay" in client.get("/bulk").text


def test_runs_are_run_again_once_and_those_of_before_are_left_out(
    client: TestClient, scene: Scene, worker: Bulks, redis: Redis, keys: Keys
) -> None:
    runs = failed(scene, 3)
    Rerunner(redis, keys, KEEP).rerun(runs[0])
    told = began(client, kind="rerun", q="status:failed")
    through(worker, redis, keys)
    told = client.get(f"/api/v1/bulk/{told['id']}").json()
    assert (told["done"], told["skipped"], told["failed"]) == (2, 1, 0)
    assert redis.call("ZCARD", keys.runs) == 6
    assert scene.fetch(runs[1], "again") == made_from(told["id"], runs[1])


def test_what_a_dead_process_had_done_and_not_noted_is_not_done_twice(
    scene: Scene, worker: Bulks, redis: Redis, keys: Keys
) -> None:
    runs = failed(scene, 2)
    queued = [scene.start("ship") for _ in range(2)]
    for kind, ids in (("rerun", runs), ("cancel", queued)):
        name = ulid(scene.now_ms(), kind.encode().ljust(10))
        bulk.begin(redis, keys, Bulk(name, kind, "them", "ada", 1000.0), ids)
        dead = Bulks(redis, keys, KEEP, "dead")
        dead._acts()[kind](name, ids[:1], "ada")
    through(worker, redis, keys)
    assert [(each.done, each.skipped) for each in bulks.newest(redis, keys)] == [(2, 0), (2, 0)]
    assert redis.call("ZCARD", keys.runs) == 6


def test_what_cannot_be_is_told_with_its_run(
    client: TestClient, scene: Scene, worker: Bulks, redis: Redis, keys: Keys
) -> None:
    (run,) = failed(scene, 1)
    told = began(client, kind="rerun", runs=[run])
    redis.call("HDEL", keys.functions, "pay")
    through(worker, redis, keys)
    told = client.get(f"/api/v1/bulk/{told['id']}").json()
    assert (told["done"], told["failed"]) == (0, 1)
    assert told["faults"][0][0] == run
    assert "no worker publishes" in told["faults"][0][1]
    assert "no worker publishes" in client.get(f"/bulk/{told['id']}").text


def test_stopped_it_leaves_the_rest(
    client: TestClient, scene: Scene, worker: Bulks, redis: Redis, keys: Keys
) -> None:
    runs = [scene.start("pay") for _ in range(3)]
    told = began(client, kind="cancel", q="", rate=1)
    worker.work()
    assert client.post(f"/bulk/{told['id']}/stop").status_code == 303
    through(worker, redis, keys)
    page = client.get(f"/bulk/{told['id']}").text
    assert "2 runs were not touched" in page
    assert sorted(scene.fetch(run, "status") for run in runs) == ["cancelled", "queued", "queued"]
    assert client.post(f"/api/v1/bulk/{told['id']}/stop").status_code == 200
    assert client.post("/bulk/nothing/stop").status_code == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "explode", "q": ""}, "one of cancel, rerun, retry"),
        ({"kind": "cancel"}, "say which runs"),
        ({"kind": "cancel", "runs": [1]}, "a list of ids"),
        ({"kind": "cancel", "q": "status:failed"}, "there is nothing to cancel"),
        ({"kind": "cancel", "q": "state:x"}, "no qualifier"),
        ({"kind": "cancel", "q": "", "rate": 5000}, "between 0.1 and 1000"),
        ({"kind": "cancel", "q": "", "rate": "nan"}, "between 0.1 and 1000"),
        ([], "the body is an object"),
    ],
)  # fmt: skip
def test_what_cannot_be_begun(client: TestClient, scene: Scene, body: Any, words: str) -> None:
    reply = client.post("/api/v1/bulk", json=body)
    assert reply.status_code == 400
    assert words in reply.json()["error"]


def test_viewers_see_and_do_not_act(visit: Callable[..., TestClient], scene: Scene) -> None:
    client = visit(ACCESS, at="qflow.example")
    scene.start("pay")
    body = {"kind": "cancel", "q": ""}
    assert client.post("/api/v1/bulk", json=body, headers=bearer("viewer")).status_code == 403
    assert client.get("/bulk/new?kind=cancel", headers=bearer("viewer")).status_code == 403
    page = client.get("/runs", headers=bearer("viewer")).text
    assert "choose-all" not in page
    assert "Cancel…" not in page
    assert client.get("/bulk", headers=bearer("viewer")).status_code == 200


def test_another_dashboard_goes_on_after_kill_9(
    scene: Scene, redis: Redis, keys: Keys, qflow_processes: Qflow
) -> None:
    runs = failed(scene, 120)
    name = ulid(scene.now_ms(), bytes(10))
    bulk.begin(redis, keys, Bulk(name, "rerun", "them", "ada", 40.0), runs)
    first = qflow_processes.spawn("dashboard", "--dashboard-port", "0")

    def done() -> int:
        return bulks.find(redis, keys, name).done

    qflow_processes.wait_for(lambda: done() >= 20, 30, "some runs")
    first.kill()
    seen = done()
    assert seen < len(runs)
    qflow_processes.spawn("dashboard", "--dashboard-port", "0")
    qflow_processes.wait_for(lambda: bulks.find(redis, keys, name).state == "done", 60, "the rest")
    view = bulks.find(redis, keys, name)
    assert (view.done, view.skipped, view.failed) == (120, 0, 0)
    assert redis.call("ZCARD", keys.runs) == 240
