"""The pytest plugin: fixtures that load the user's functions, and nothing for those who use none."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import qflow

ROOT = Path(qflow.__file__).parents[1]
CLIENT = """
import qflow

app = qflow.App("acme")
"""
FUNCTIONS = """
from qflow import Cron, SyncStep

from .client import app

@app.function("greet", trigger="user/created")
def greet(event, step: SyncStep) -> str:
    step.sleep("a moment", "3d")
    return step.run("greet", lambda name: f"Hi {name}", event.data["name"])
"""
TESTS = """
import datetime as dt

import pytest

def test_greeting(qflow_world):
    [run] = qflow_world.send("user/created", {"name": "Jane"})
    qflow_world.advance("3d")
    assert run.output == "Hi Jane"

@pytest.mark.qflow(now=dt.datetime(2026, 3, 1, tzinfo=dt.UTC), always_replay=True)
def test_options(qflow_world, qflow_app):
    assert qflow_app.name == "acme"
    assert f"{qflow_world.now:%Y-%m-%d}" == "2026-03-01"
    assert qflow_world.runs == ()
"""
SETTINGS = '[pytest]\nqflow_app = "{}"\n'


def pytest_in(folder: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run pytest on a folder of a user's."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    command = [sys.executable, "-m", "pytest", "--strict-markers", "-q", "tests"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_world_of_an_app(tmp_path: Path) -> None:
    files = {
        "workers/client.py": CLIENT,
        "workers/greeting.py": FUNCTIONS,
        "tests/test_greeting.py": TESTS,
        "pytest.ini": SETTINGS.format("workers.client:app").replace('"', ""),
    }
    done = pytest_in(tmp_path, files)
    assert "2 passed" in done.stdout, done.stdout


def test_a_fixture_of_the_user_s_own(tmp_path: Path) -> None:
    conftest = """
        import pytest, qflow

        @pytest.fixture
        def qflow_app():
            app = qflow.App("own")
            app.function("one", trigger="go")(lambda: 1)
            return app
    """
    test = "def test_it(qflow_world):\n    assert qflow_world.start('one').output == 1\n"
    done = pytest_in(tmp_path, {"tests/conftest.py": conftest, "tests/test_it.py": test})
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("", "write qflow_app ="),
        ("workers.client", "qflow_app is 'workers.client': write"),
        ("workers.client:shop", "workers.client has no App 'shop'"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, setting: str, told: str) -> None:
    files = {
        "workers/client.py": CLIENT,
        "tests/test_it.py": "def test_it(qflow_world):\n    pass\n",
        "pytest.ini": f"[pytest]\nqflow_app = {setting}\n" if setting else "[pytest]\n",
    }
    done = pytest_in(tmp_path, files)
    assert done.returncode != 0
    assert told in done.stdout + done.stderr


def test_it_costs_nothing_until_it_is_used() -> None:
    code = (
        "import sys, qflow.testing.plugin; "
        "print(*sorted(name for name in sys.modules if name.startswith('qflow')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.split() == ["qflow", "qflow.testing", "qflow.testing.plugin"]
