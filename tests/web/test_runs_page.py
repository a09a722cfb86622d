"""The list of runs: the search box, pages, and standing still while new runs come."""

from __future__ import annotations

import re

from read.scenes import Scene
from starlette.testclient import TestClient

from qflow.read.snapshot import scored
from qflow.web.pages.runs import PAGE


def listed(client: TestClient, path: str) -> list[str]:
    reply = client.get(path)
    assert reply.status_code == 200
    return re.findall(r'<tr id="r-(\w+)"', reply.text)


def test_the_search_box_is_in_the_address(scene: Scene, client: TestClient) -> None:
    pay, ship = scene.start("pay"), scene.start("ship")
    scene.claim().complete()
    assert set(listed(client, "/runs")) == {ship, pay}
    assert listed(client, "/runs?q=function:ship") == [ship]
    assert listed(client, "/runs?q=status:completed,failed") == [pay]
    assert listed(client, "/runs?q=since:1h+function:pay") == [pay]
    assert 'value="function:ship"' in client.get("/runs?q=function:ship").text


def test_an_id_leads_to_its_run(scene: Scene, client: TestClient) -> None:
    run = scene.start("pay")
    assert client.get(f"/runs?q={run[-8:].lower()}").headers["location"] == f"/runs/{run}"
    assert client.get(f"/runs/{run[-8:]}").headers["location"] == f"/runs/{run}"


def test_a_search_that_means_nothing_says_why(client: TestClient) -> None:
    page = client.get("/runs?q=status:broken").text
    assert "status:broken: there is no such state" in page


def test_pages_go_on_where_the_last_ended(scene: Scene, client: TestClient) -> None:
    for _ in range(PAGE + 3):
        scene.start("pay")
    first = client.get("/runs").text
    older = re.search(r'href="([^"]*)" rel="next"', first)
    assert older
    rest = listed(client, older[1].replace("&amp;", "&"))
    places = scored(scene.redis.call("ZRANGE", scene.keys.runs, 0, -1, "WITHSCORES"))
    assert listed(client, "/runs") + rest == [run for run, _ in reversed(places)]
    assert len(rest) == 3


def test_new_runs_are_counted_and_do_not_move_the_others(scene: Scene, client: TestClient) -> None:
    first = scene.start("pay")
    fetch = re.search(r'hx-get="([^"]*/runs[^"]*)"', client.get("/runs").text)
    assert fetch
    again = fetch[1].replace("&amp;", "&")
    scene.start("pay")
    scene.start("ship")
    scene.claim().complete()
    reply = client.get(again, headers={"HX-Request": "true"}).text
    assert re.findall(r'<tr id="r-(\w+)"', reply) == [first]
    assert "2 new runs" in reply
    assert "badge completed" in reply
    assert "<html" not in reply


def test_a_search_is_saved_for_all_and_forgotten(client: TestClient, scene: Scene) -> None:
    search = {"name": " Broken <b>payments ", "q": "status:failed   function:pay"}
    reply = client.post("/views", data=search)
    assert reply.status_code == 303
    page = client.get(reply.headers["location"]).text
    assert "Broken &lt;b&gt;payments" in page
    assert "Forget this search" in page
    assert "Save this search" in client.get("/runs?q=status:failed").text
    wrong = ({"name": "", "q": "status:failed"}, {"name": "x", "q": ""}, {"name": "x", "q": "a:b"})
    for each in wrong:
        assert client.post("/views", data=each).status_code == 400
    assert client.post("/views/remove", data={"name": "Broken <b>payments"}).status_code == 303
    assert client.post("/views/remove", data={"name": "Broken <b>payments"}).status_code == 404
    assert "Broken" not in client.get("/runs").text
