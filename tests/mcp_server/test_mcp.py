"""`qflow mcp` with the SDK's own client, on both transports, against a real Redis, router and worker."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from authoring.projects import folder
from mcp import Client, StdioServerParameters

from qflow.testing.processes import Qflow

SOURCE = """
@app.function("hello", trigger="user/created", retries=0)
def hello(event: Event, step: SyncStep) -> dict[str, str]:
    text = step.run("greet", str.upper, event.data["name"])
    return {"text": text, "api_token": "hunter2"}

@app.function("broken", trigger="never", retries=0)
def broken(step: SyncStep) -> None:
    step.run("fail", fail)

def fail() -> None:
    raise NonRetriableError("refused for Bearer abcdefgh12345678")

@app.function("patient", trigger="never")
def patient(step: SyncStep) -> None:
    step.wait_for_signal("door", "door-42")
"""
DRAFT = """\
from .flow import app


@app.function("fresh", trigger="user/created")
def fresh() -> int:
    return 3
"""
Call = Callable[..., Awaitable[Any]]
WRITERS = {"send_event", "invoke", "propose_draft", "cancel_run"}


class Refusal(Exception):
    """A tool answered with an error."""


@pytest.fixture
def world(qflow_processes: Qflow, tmp_path: Path) -> Qflow:
    folder(tmp_path, SOURCE)
    qflow_processes.start("worker", "workers")
    qflow_processes.start("router")
    return qflow_processes


def connected(
    world: Qflow, transport: str, work: Callable[[Client, Call], Awaitable[None]], *flags: str
) -> None:
    """Run `work` with a client of `qflow mcp`, and with what calls a tool and returns its answer."""

    async def run(target: Any) -> None:
        async with Client(target, read_timeout_seconds=60) as client:

            async def call(tool: str, **arguments: Any) -> Any:
                result = await client.call_tool(tool, arguments)
                if result.is_error:
                    raise Refusal(result.content[0].text)  # type: ignore[union-attr]
                return result.structured_content

            await work(client, call)

    if transport == "stdio":
        args = ["-m", "qflow", "mcp", *flags]
        target = StdioServerParameters(
            command=sys.executable, args=args, env=world.env, cwd=world.folder
        )
        asyncio.run(run(target))
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = world.spawn("mcp", "--http", "--mcp-port", str(port), *flags)
    world.wait_for(lambda: _listens(port) or process.exit_code is not None, 30, "mcp to listen")
    asyncio.run(run(f"http://127.0.0.1:{port}/mcp"))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_tools_say_what_they_do(world: Qflow, transport: str) -> None:
    async def work(client: Client, _call: Call) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        hints = {n: t.annotations for n, t in tools.items() if t.annotations is not None}
        assert {n for n, hint in hints.items() if not hint.read_only_hint} == WRITERS
        assert {n for n, hint in hints.items() if hint.destructive_hint} == {"cancel_run"}
        assert hints.keys() == tools.keys()
        assert all(tool.description for tool in tools.values())

    connected(world, transport, work)


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_readonly_hides_what_changes_something(world: Qflow, transport: str) -> None:
    async def work(client: Client, call: Call) -> None:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert not names & WRITERS
        assert {"list_runs", "dry_run", "explain_run"} <= names
        with pytest.raises(Exception, match="cancel_run"):
            await call("cancel_run", run="x")

    connected(world, transport, work, "--readonly")


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_edit_run_read_the_failure(world: Qflow, transport: str) -> None:
    async def work(_client: Client, call: Call) -> None:
        listed = await call("list_functions", limit=2)
        assert [f["id"] for f in listed["functions"]] == ["broken", "hello"]
        rest = await call("list_functions", cursor=listed["cursor"])
        assert ([f["id"] for f in rest["functions"]], rest["cursor"]) == (["patient"], None)
        assert "step.run" in (await call("get_function", function="hello"))["source"]

        ran = await call("invoke", function="hello", data={"name": "jane", "password": "hunter2"})
        assert ran["status"] == "completed"
        assert ran["output"] == {"text": "JANE", "api_token": "•••"}
        assert ran["event"]["data"] == {"name": "jane", "password": "•••"}

        failed = await call("invoke", function="broken")
        assert failed["status"] == "failed"
        assert failed["error"]["message"] == "refused for •••"
        assert "in fail" in failed["error"]["traceback"]
        told = await call("explain_run", run=failed["id"])
        assert told["why"].startswith("It is failed: ")

        first = await call("list_runs", limit=1)
        assert [run["id"] for run in first["runs"]] == [failed["id"]]
        second = await call("list_runs", limit=1, cursor=first["cursor"])
        assert [run["id"] for run in second["runs"]] == [ran["id"]]

    connected(world, transport, work)


def test_events_waiting_and_cancelling(world: Qflow) -> None:
    async def work(_client: Client, call: Call) -> None:
        sent = await call("send_event", name="user/created", data={"name": "jane"}, id="e-1")
        assert sent == {"id": "e-1"}
        events = await call("list_events", name="user/*")
        assert [(e["id"], e["data"]) for e in events["events"]] == [("e-1", {"name": "jane"})]

        run = (await call("invoke", function="patient", wait_s=0))["id"]
        async with asyncio.timeout(30):
            while (await call("get_run", run=run))["status"] != "waiting":
                await asyncio.sleep(0.05)
        told = await call("explain_run", run=run)
        assert "door-42" in told["why"]
        assert (await call("cancel_run", run=run))["cancelled"] is True
        assert (await call("wait_for_run", run=run))["status"] == "cancelled"
        assert (await call("cancel_run", run=run))["ended_before"] == "cancelled"
        assert (await call("doctor"))["findings"]

    connected(world, "stdio", work)


def test_trying_code_and_proposing_it(world: Qflow, tmp_path: Path) -> None:
    async def work(_client: Client, call: Call) -> None:
        bad = DRAFT + "\n\nprint(1)\n"
        found = await call("check_source", source=bad, name="fresh.py")
        assert [f["rule"] for f in found["findings"]] == ["import-time"]
        refused = await call("propose_draft", source=bad, name="fresh.py")
        assert refused["written"] is None
        assert not (tmp_path / ".qflow" / "drafts").exists()

        tried = await call("dry_run", function="fresh", source=DRAFT, name="fresh.py")
        assert (tried["ok"], tried["output"]) == (True, 3)
        tried = await call("dry_run", function="broken")
        assert not tried["ok"]
        assert "refused for •••" in tried["problems"][0]

        proposed = await call("propose_draft", source=DRAFT, name="fresh.py")
        assert proposed["written"] == ".qflow/drafts/fresh.py"
        assert (tmp_path / ".qflow" / "drafts" / "fresh.py").read_text() == DRAFT
        assert sorted(p.name for p in (tmp_path / "workers").glob("*.py")) == ["flow.py"]

    connected(world, "stdio", work)


def test_errors_say_what_to_do(world: Qflow) -> None:
    async def work(_client: Client, call: Call) -> None:
        for tool, arguments, message in (
            ("get_function", {"function": "helo"}, "hello"),
            ("invoke", {"function": "nobody"}, "nobody"),
            ("get_run", {"run": "nothing"}, "nothing"),
            ("list_runs", {"limit": 1000}, "between 1 and 50"),
            ("propose_draft", {"name": "../x.py", "source": ""}, "without a path"),
            ("send_event", {"name": "qflow/x", "data": {}}, "qflow/"),
        ):
            with pytest.raises(Refusal, match=message) as refusal:
                await call(tool, **arguments)
            assert "Traceback" not in str(refusal.value)

    connected(world, "stdio", work)
