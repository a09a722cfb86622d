"""Two runs on one page, and in the API."""

from __future__ import annotations

from read.scenes import Scene
from starlette.testclient import TestClient


def two(scene: Scene) -> tuple[str, str]:
    made = []
    for value in ("<b>one", "two"):
        made.append(scene.start("pay"))
        scene.claim().open("look").store("same").open("charge").store(value).complete(value)
    return made[0], made[1]


def test_the_first_difference_is_open(scene: Scene, client: TestClient) -> None:
    left, right = two(scene)
    page = client.get(f"/runs/{left}/against/{right}").text
    assert 'first differ in <b class="mono">charge</b>' in page
    assert page.count("&lt;b&gt;one") >= 2  # in the step, and in the outputs
    assert "<b>one" not in page
    told = client.get(f"/api/v1/runs/{left}/against/{right}").json()
    assert (told["first_divergence"], told["same_data"], told["same_outcome"]) == (
        "charge",
        True,
        False,
    )


def test_what_to_compare_with_is_chosen(scene: Scene, client: TestClient) -> None:
    left, right = two(scene)
    assert f"/runs/{left}/against/{right}" in client.get(f"/runs/{left}/against").text
    went = client.get(f"/runs/{left}/against?with={right[-8:]}")
    assert (went.status_code, went.headers["location"]) == (303, f"/runs/{left}/against/{right}")
    assert client.get(f"/runs/{left}/against?with=nonsense").status_code == 404


def test_runs_of_two_functions_are_not_compared(scene: Scene, client: TestClient) -> None:
    left, other = scene.start("pay"), scene.start("ship")
    refused = client.get(f"/api/v1/runs/{left}/against/{other}")
    assert refused.status_code == 400
    assert "compare runs of one function" in refused.json()["error"]
