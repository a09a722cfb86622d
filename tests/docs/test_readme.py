"""The README's functions are served and its snippets run, as its first minute says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from docs.pages import ROOT, blocks

from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.processes import Qflow

PYTHON = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
FILES = [block for block in PYTHON if block.file]
SNIPPETS = [block for block in PYTHON if not block.file]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's functions."""
    (tmp_path / "workers").mkdir()
    for block in FILES:
        path = tmp_path / block.file
        assert not path.exists(), f"{block.file} stands twice"
        path.write_text(block.text)
    return tmp_path


def test_the_first_minute(folder: Path, qflow_processes: Qflow, redis: Redis, keys: Keys) -> None:
    for kind in ("worker", "router", "scheduler"):
        qflow_processes.start(kind)
    assert len(SNIPPETS) == 1  # it sends one event
    environment = {**qflow_processes.env, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    subprocess.run(
        [sys.executable, "-c", SNIPPETS[0].text], cwd=folder, env=environment, check=True
    )
    qflow_processes.wait_for(lambda: redis.call("ZCARD", keys.by_status("completed")) == 1, 15)
    listed = json.loads(qflow_processes.run("runs", "list", "--json").stdout)
    assert [(run["function"], run["status"]) for run in listed] == [("say-welcome", "completed")]
    assert "to jane@example.com: Welcome, Jane!" in qflow_processes.processes[0].output


def test_every_function_is_published(folder: Path, qflow_processes: Qflow) -> None:
    assert folder == qflow_processes.folder
    qflow_processes.start("worker")
    listed = json.loads(qflow_processes.run("functions", "list", "--json").stdout)
    assert {function["id"] for function in listed} == {"say-welcome", "sync-contacts"}
