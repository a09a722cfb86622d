"""The dashboard as a process, and what it costs those who do not serve it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request

from qflow.testing.processes import Process, Qflow


def address(processes: Qflow, process: Process) -> str:
    """Return where a dashboard says that it is, once it does."""
    said = re.compile(r"dashboard at (http://\S+)")
    processes.wait_for(lambda: said.search(process.output), 15, "its address")
    return str(said.findall(process.output)[0])


def test_it_is_served_until_it_is_told_to_stop(qflow_processes: Qflow) -> None:
    process = qflow_processes.spawn("dashboard", "--dashboard-port", "0")
    url = address(qflow_processes, process)
    with urllib.request.urlopen(f"{url}/healthz") as reply:
        assert json.load(reply) == {"status": "ok"}
    with urllib.request.urlopen(f"{url}/live") as live:  # a page that is open
        assert live.readline() == b"retry: 1000\n"
        process.send(signal.SIGTERM)
        assert process.wait(10) == 0
    assert "Traceback" not in process.output


def test_a_port_that_is_taken_is_named(qflow_processes: Qflow) -> None:
    first = qflow_processes.spawn("dashboard", "--dashboard-port", "0")
    port = address(qflow_processes, first).rpartition(":")[2]
    second = qflow_processes.run("dashboard", "--dashboard-port", port)
    assert second.returncode == 2
    assert f"QFLOW_DASHBOARD_PORT={port}: cannot listen on 127.0.0.1" in second.stderr


def test_nobody_else_pays_for_it() -> None:
    code = (
        "import sys, qflow, qflow.cli.commands, qflow.cli.worker, qflow.dev.server\n"
        "print(sorted({'starlette', 'uvicorn', 'jinja2', 'pygments'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
