"""`qflow init`: what it writes works as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Command

from qflow.testing.processes import Qflow

FILES = {
    ".gitignore", ".mcp.json", "AGENTS.md", "pytest.ini", "qflow.toml", "tests/test_workers.py",
    "workers/client.py", "workers/digest.py", "workers/welcome.py",
}  # fmt: skip


def files_of(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_its_files_pass_the_checks(qflow: Command, tmp_path: Path) -> None:
    said = qflow("init", "my shop")
    assert said.code == 0
    assert said.out.endswith('qflow send user/created --data \'{"name": "Jane"}\'\n')
    project = tmp_path / "my shop"
    assert files_of(project) == FILES
    assert 'App("my-shop")' in (project / "workers" / "client.py").read_text()
    assert json.loads((project / ".mcp.json").read_text())["mcpServers"]
    assert qflow("check", str(project / "workers")) == (0, "nothing to object to\n", "")


def test_its_tests_pass_and_its_functions_run_dry(qflow: Command, tmp_path: Path) -> None:
    qflow("init")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert qflow("test", "welcome", "--event", '{"name": "Jane"}').code == 0
    assert qflow("test", "digest").code == 0


def test_what_is_there_is_kept(qflow: Command, tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("mine")
    said = qflow("init")
    assert "kept     AGENTS.md, which is there already\n" in said.out
    assert (tmp_path / "AGENTS.md").read_text() == "mine"
    assert files_of(tmp_path) == FILES


@pytest.mark.parametrize("place", ["taken", "taken/below"])
def test_a_folder_that_cannot_be(qflow: Command, tmp_path: Path, place: str) -> None:
    (tmp_path / "taken").write_text("")
    said = qflow("init", place)
    assert said.code == 2
    assert said.err.count("\n") == 1


def test_it_works_with_dev(tmp_path: Path) -> None:
    with Qflow(tmp_path) as processes:
        assert processes.run("init").returncode == 0
        processes.spawn("dev", "--dashboard-port", "0")
        record = tmp_path / ".qflow" / "redis.json"
        processes.wait_for(record.exists, 60, "qflow dev to start Redis")

        def ran() -> bool:
            done = processes.run("run", "digest", "--json", timeout=60)
            return done.returncode == 0 and json.loads(done.stdout)["output"] == 2

        processes.wait_for(ran, 90, "the digest to run")
