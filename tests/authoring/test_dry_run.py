"""Dry runs: what stands for connectors, and the scenarios that a function goes through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from authoring.projects import folder

from qflow.authoring.sandbox import cage

ORDER = """
@dataclass
class Paid:
    total: float
    note: str | None = None

def charge(id: int) -> Paid:
    socket.create_connection(("pay.example", 443))
    return Paid(0)

@app.function("order", trigger="order/placed", retries=2)
def order(event: Event, step: SyncStep) -> str:
    paid = step.run("charge", charge, event.data["id"])
    assert isinstance(paid, Paid)
    step.sleep("cool-off", "1d")
    came = step.wait_for_event("shipped", "order/shipped", match="data.id", timeout="3d")
    if came is None:
        return "late"
    sure = step.approval("sure", "Close it?")
    return "closed" if sure.approved else "open"
"""


def play(root: Path, source: str, function: str, **request: Any) -> cage.Outcome:
    return cage.run(folder(root, source), {"function": function, **request})


def told(outcome: cage.Outcome) -> dict[str, tuple[str, object]]:
    assert outcome.result is not None, outcome
    return {s["name"]: (s["status"], s["output"]) for s in outcome.result["scenarios"]}


def test_every_scenario_is_played(tmp_path: Path) -> None:
    outcome = play(tmp_path, ORDER, "order", data={"id": 7})
    assert outcome.ok
    assert told(outcome) == {
        "as it goes": ("completed", "late"),
        "waits answered": ("completed", "closed"),
        "crash after each step": ("completed", "late"),
        "step 'charge' fails once": ("completed", "late"),
    }
    assert outcome.result is not None
    assert list(outcome.result["stubbed"]) == ["charge"]
    fourth = outcome.result["scenarios"][3]["moments"]
    assert [m["outcome"] for m in fourth if m["step"] == "charge"] == ["retry", "ok"]


def test_an_event_must_start_the_function(tmp_path: Path) -> None:
    outcome = play(tmp_path, ORDER, "order", event={"name": "order/placed", "data": {"id": 7}})
    assert outcome.ok
    outcome = play(tmp_path, ORDER, "order", event={"name": "other", "data": {}})
    [problem] = cage.problems({"scenarios": (outcome.result or {})["scenarios"][:1]})
    assert "does not start 'order'" in problem


def test_values_stand_for_steps(tmp_path: Path) -> None:
    source = """
@app.function("f", trigger="a")
async def f(step: Step) -> float:
    return (await step.run("fetch", fetch)).total
@dataclass
class Paid:
    total: float
async def fetch() -> Paid:
    raise RuntimeError("not executed")
"""
    outcome = play(tmp_path, source, "f", values={"fetch": {"total": 12.5}})
    assert told(outcome)["as it goes"] == ("completed", 12.5)
    outcome = play(tmp_path, source, "f")
    assert told(outcome)["as it goes"][0] == "failed"
    assert not outcome.ok


def test_pages_end(tmp_path: Path) -> None:
    source = """
async def page(cursor: str) -> tuple[list[int], str]:
    raise ConnectionError(os.environ["URL"])

@app.function("f", trigger="a")
async def f(step: Step) -> int:
    total, cursor, number = 0, "first", 0
    while cursor:
        items, cursor = await step.run(f"page-{number}", page, cursor)
        total, number = total + len(items), number + 1
    return total
"""
    outcome = play(tmp_path, source, "f")
    assert outcome.ok
    assert told(outcome)["as it goes"] == ("completed", 1)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("number = time.time_ns()", "step 'a' of 'f' was given"),
        ("open('x', 'a').write('x'); number = 1", "has an effect outside its steps"),
    ],
)
def test_a_crash_finds_what_cannot_be_replayed(tmp_path: Path, line: str, problem: str) -> None:
    source = f"""
@app.function("f", trigger="a")
def f(step: SyncStep) -> None:
    {line}
    step.run("a", str, number)
    step.run("b", str, 2)
"""
    outcome = play(tmp_path, source, "f")
    [found] = cage.problems(outcome.result or {})
    assert found.startswith("crash after each step: refused: ReplayError: ")
    assert problem in found


def test_a_wait_without_end_is_no_failure(tmp_path: Path) -> None:
    source = """
@app.function("f", trigger="a")
def f(step: SyncStep) -> object:
    return step.wait_for_signal("door", "door-42")
"""
    outcome = play(tmp_path, source, "f")
    assert outcome.ok
    assert told(outcome)["as it goes"][0] == "waiting"
    assert told(outcome)["waits answered"] == ("completed", None)


def test_drafts_stand_over_the_folder(tmp_path: Path) -> None:
    at = folder(tmp_path, ORDER)
    draft = "from .flow import app\n\n\n@app.function('new', trigger='a')\ndef new() -> int:\n    return 3\n"
    outcome = cage.run(at, {"function": "new"}, drafts={"draft.py": draft})
    assert told(outcome)["as it goes"] == ("completed", 3)
    assert sorted(p.name for p in Path(at).iterdir()) == ["flow.py"]


@pytest.mark.parametrize(
    ("handler", "read"),
    [
        ("def f(event: Event, step: SyncStep) -> object:", 'event.data["name"]'),
        ("def f(event: Event[Person], step: SyncStep) -> object:", "event.data.name"),
    ],
)
def test_without_data_it_has_what_it_asks_for(tmp_path: Path, handler: str, read: str) -> None:
    source = (
        "@dataclass\nclass Person:\n    name: str\n\n"
        f'@app.function("f", trigger="a")\n{handler}\n    return {read}\n'
    )
    outcome = play(tmp_path, source, "f")
    assert told(outcome)["as it goes"] == ("completed", "text")
