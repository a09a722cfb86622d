"""`qflow new` with a model behind a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from authoring.model_server import ModelServer, Reply, openai_body, serving
from cli.conftest import Command

from qflow.authoring import planner

WORDS = "Every weekday at 8 AM post a message to Slack"
SPEC = planner.plan("Every weekday at 8 AM post 'Good morning' to the Slack channel #general")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    with serving(openai_body) as server:
        monkeypatch.setenv("QFLOW_AI_BASE_URL", server.url)
        monkeypatch.setenv("QFLOW_AI_MODEL", "m")
        yield server


def test_what_the_model_says_is_printed_and_written(
    qflow: Command, model: ModelServer, tmp_path: Path
) -> None:
    model.replies = [Reply("?"), Reply(SPEC.model_dump_json())]
    said = qflow("new", WORDS, "--json")
    assert said.code == 0
    assert said.json["id"] == SPEC.id
    assert list(tmp_path.iterdir()) == []
    said = qflow("new", WORDS, "--yes")
    assert said.code == 0, said
    [version] = json.loads(next((tmp_path / ".qflow").rglob(f"{SPEC.id}*.json")).read_text())[
        "versions"
    ]
    assert version["provider"] == "openai:m"
    assert (tmp_path / "workers" / f"{SPEC.module}.py").exists()


@pytest.mark.parametrize(
    "reply",
    [
        Reply("no"),
        Reply(status=500, body="down"),
        Reply(status=429, body="", headers={"Retry-After": "99"}),
    ],
)
def test_a_model_that_is_of_no_use_leaves_nothing(
    qflow: Command, model: ModelServer, tmp_path: Path, reply: Reply
) -> None:
    model.replies = [reply]
    said = qflow("new", WORDS, "--yes")
    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "openai:m" in said.err
    assert list(tmp_path.iterdir()) == []
