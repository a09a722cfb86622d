"""The dashboard as a process, and what it costs those who do not serve it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request

from qflow.testing.processes import Qflow


def test_it_is_served_until_it_is_told_to_stop(qflow_processes: Qflow) -> None:
    process = qflow_processes.spawn("dashboard", "--dashboard-port", "0")
    told = qflow_processes.wait_for(
        lambda: re.search(r"dashboard at (http://\S+)", process.output), 15, "its address"
    )
    with urllib.request.urlopen(f"{told[1]}/healthz") as reply:
        assert json.load(reply) == {"status": "ok"}
    process.send(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_port_that_is_taken_is_named(qflow_processes: Qflow) -> None:
    first = qflow_processes.spawn("dashboard", "--dashboard-port", "0")
    told = qflow_processes.wait_for(
        lambda: re.search(r"dashboard at http://127.0.0.1:(\d+)", first.output), 15, "its port"
    )
    second = qflow_processes.run("dashboard", "--dashboard-port", told[1])
    assert second.returncode == 2
    assert f"QFLOW_DASHBOARD_PORT={told[1]}: cannot listen on 127.0.0.1" in second.stderr


def test_nobody_else_pays_for_it() -> None:
    code = (
        "import sys, qflow, qflow.cli.commands, qflow.cli.worker, qflow.dev.server\n"
        "print(sorted({'starlette', 'uvicorn', 'jinja2', 'pygments'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
