"""Checks of source text: each rule finds what it is for, at its place, and leaves good code alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from qflow.authoring.check import check, check_folder
from qflow.authoring.credentials import secrets_named

ROOT = Path(__file__).parents[2]
HEAD = """\
import asyncio, datetime, os, random, shutil, time, uuid
from qflow import App, Cron, Event, EventTrigger, Step, SyncStep, Throttle
app = App("a")
def work(*args: object) -> int: return 1
"""
LINES = HEAD.count("\n")


def handler(body: str, *, trigger: str = '"a/b"', is_async: bool = False) -> str:
    kind, step = ("async def", "Step") if is_async else ("def", "SyncStep")
    head = f'@app.function("f", trigger={trigger})\n{kind} f(event: Event, step: {step}) -> None:'
    return f"{head}\n    {body}\n"


def rules(source: str) -> list[tuple[int, str]]:
    """Return lines (after HEAD) and rules of the findings, without ruff and mypy."""
    return [(f.line - LINES, f.rule) for f in check(HEAD + source, tools=False)]


def test_the_example_workers_pass_every_check() -> None:
    assert check_folder(str(ROOT / "workers")) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (handler('step.run("a", work); step.run("a", work)'), [(3, "step-id")]),
        (handler("step.run(event.id, work)"), [(3, "step-id")]),
        (handler('step.run(f"{uuid.uuid4()}", work)'), [(3, "step-id"), (3, "outside-step")]),
        (handler('step.run(f"page-{event.id}", work)'), []),
        (handler('step.run("a", work)', is_async=True), [(3, "step-await")]),
        (handler('x = step.run("a", work)', is_async=True), [(3, "step-await")]),
        (handler('await asyncio.gather(step.run("a", work), step.run("b", work))', is_async=True), []),
        (handler('now = datetime.datetime.now(); step.run("a", work, now)'), [(3, "outside-step")]),
        (handler('step.run("a", work, random.random())'), [(3, "outside-step")]),
        (handler('step.run("a", lambda: random.random())'), []),
        (handler("await asyncio.sleep(3)", is_async=True), [(3, "outside-step")]),
        (handler("open('x')"), [(3, "outside-step")]),
        (handler("app.send(event)"), [(3, "outside-step")]),
        ("def late() -> float: return time.time()\n" + handler("late()"), [(1, "outside-step")]),
        ("def late() -> float: return time.time()\n" + handler('step.run("a", late)'), []),
        ("import requests_that_is_not_there", [(1, "import-missing")]),
        ("from qflow import Workflow", [(1, "import-missing")]),
        ("from .neighbour import x", [(1, "import-missing")]),
        ("import subprocess", [(1, "forbidden")]),
        ("import ctypes", [(1, "forbidden")]),
        ("def f(): exec('1')", [(1, "forbidden")]),
        ("def f(): return ().__class__", [(1, "forbidden")]),
        ("def f(x): return getattr(x, '__globals__')", [(1, "forbidden")]),
        ("def f(x, y): return getattr(x, y)", [(1, "forbidden")]),
        ("def f(): os.system('true')", [(1, "forbidden")]),
        ("def f(): shutil.rmtree('/')", [(1, "forbidden")]),
        ("work()", [(1, "import-time")]),
        ("x = work()", [(1, "import-time")]),
        ("def f(x=work()): pass", [(1, "import-time")]),
        ("x: int = work()", [(1, "import-time")]),
        ("for i in (): pass", [(1, "import-time")]),
        ("KEY = os.environ['KEY']", [(1, "import-time")]),
        ("EVERY = Cron('0 * * * *')", []),
        (handler("pass", trigger='Cron("61 * * * *")'), [(1, "trigger")]),
        (handler("pass", trigger='Cron("0 9 * * *", tz="Mars/North")'), [(1, "trigger")]),
        (handler("pass", trigger='EventTrigger("a/b", when="event.data.")'), [(1, "trigger")]),
        (handler("pass", trigger='"us*er"'), [(1, "trigger")]),
        (handler("pass", trigger='"a/b", retries=99'), [(1, "option")]),
        (handler("pass", trigger='"a/b", throttle=Throttle(0, per="1m")'), [(1, "option")]),
        (handler("pass", trigger='"a/b", idempotency="event.data."'), [(1, "option")]),
        (handler("pass", trigger='"a/b", speed=9'), [(1, "option")]),
        (handler("pass") + handler("pass"), [(4, "function-id")]),
        ("@app.function('f', trigger='a')\ndef f(evnt): pass", [(2, "handler")]),
        ("@app.function('f', trigger='a')\ndef f(): yield 1", [(2, "handler")]),
        ("TOKEN = 'hunter2hunter2'", [(1, "secret")]),
        ("TOKEN = 'SLACK_TOKEN'", []),
        ("URL = 'postgresql://bob:hunter2@db/x'", [(1, "secret")]),
        ("def f(): return 'xoxb-123456789012-abcdef'", [(1, "secret")]),
        ("def f(): work(password='hunter2')", [(1, "secret")]),
        ("def (", [(1, "syntax")]),
    ],
)  # fmt: skip
def test_rules(source: str, expected: list[tuple[int, str]]) -> None:
    assert rules(source) == expected


def test_a_finding_names_place_and_remedy() -> None:
    [found] = check("import os\nx = os.getcwd()\n", "workers/new.py", tools=False)
    assert str(found) == (
        "workers/new.py:2:5: import-time: os.getcwd(…) is called when the module is imported; "
        "call it in a step; only App(…), decorators and plain values stand outside"
    )


def test_ruff_and_types() -> None:
    source = 'import os\n\n\ndef f() -> int:\n    return "text"\n'
    assert [(f.line, f.rule) for f in check(source)] == [
        (1, "ruff F401"),
        (5, "types return-value"),
    ]


def test_a_draft_is_typed_beside_its_neighbours(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    folder.mkdir()
    (folder / "client.py").write_text("def count() -> int:\n    return 1\n")
    draft = "from .client import count\n\nx: str\n\n\ndef f() -> str:\n    return count()\n"
    assert [(f.line, f.rule) for f in check(draft, str(folder / "draft.py"))] == [
        (7, "types return-value")
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["client.py"]


@pytest.mark.parametrize("source", ["x = " + "(" * 500 + ")" * 500, "\0", "x" * 300_000])
def test_source_that_nobody_wrote_by_hand(source: str) -> None:
    assert [found.rule for found in check(source, tools=False)] in (["syntax"], ["size"])


def test_secrets_are_named() -> None:
    import ast

    source = (ROOT / "workers" / "tickets.py").read_text()
    assert secrets_named(ast.parse(source)) == (
        "SLACK_WEBHOOK_URL",
        "ZENDESK_TOKEN",
        "ZENDESK_URL",
    )
