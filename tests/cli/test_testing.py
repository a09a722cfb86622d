"""`qflow test`."""

from __future__ import annotations

from pathlib import Path

import pytest
from authoring.projects import folder
from cli.conftest import Command

SOURCE = """
def greet(name: str) -> str:
    return f"Hello {name}"

@app.function("hello", trigger="user/created", retries=1)
def hello(event: Event, step: SyncStep) -> str:
    text = step.run("greet", greet, event.data["name"])
    step.sleep("nap", "2h")
    return text
"""


@pytest.fixture
def workers(tmp_path: Path) -> str:
    return folder(tmp_path, SOURCE)


def test_a_function_that_works(qflow: Command, workers: str, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text('{"name": "user/created", "data": {"name": "Jane"}}')
    said = qflow("test", "hello", "--event", "event.json")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["greet", "█", "completed"]
    assert lines[1].startswith("nap ")
    assert lines[1].endswith("─ completed")
    assert lines[2].endswith(" 2h")
    assert lines[3:7] == [
        'output  "Hello Jane"',
        "completed  as it goes",
        "completed  crash after each step",
        "completed  step 'greet' fails once",
    ]


def test_as_json(qflow: Command, workers: str) -> None:
    said = qflow("test", "hello", "--event", '{"name": "Jane"}', "--stub", 'greet="Hi"', "--json")
    assert said.code == 0
    assert said.json["ok"] is True
    assert said.json["problems"] == []
    assert said.json["scenarios"][0]["output"] == "Hi"


def test_a_function_that_fails(qflow: Command, workers: str) -> None:
    said = qflow("test", "hello", "--event", '{"nom": 1}')
    assert said.code == 1
    assert "KeyError: 'name'" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody",), "there is no function 'nobody'; there are: hello"),
        (("hello", "--event", "{"), "--event is not JSON at line 1"),
        (("hello", "--event", "nowhere.json"), "--event: cannot read 'nowhere.json'"),
        (("hello", "--event", "[]"), "--event: cannot read '[]'"),
        (("hello", "--stub", "x"), "--stub 'x': write STEP=JSON"),
        (("hello", "--timeout", "0"), "--timeout 0: more than 0 seconds"),
        (("hello", "nowhere"), "no folder of functions at 'nowhere'"),
    ],
)
def test_bad_input(qflow: Command, workers: str, arguments: tuple[str, ...], message: str) -> None:
    said = qflow("test", *arguments)
    assert said.code == 2
    assert message in said.err
