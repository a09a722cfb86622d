"""The code of every sentence: formatted, linted, typed, and its own tests pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from authoring.test_evaluation import SENTENCES

from qflow.authoring import draft
from qflow.authoring.planner import plan
from qflow.authoring.render import render, render_test, source

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the workflows of all sentences that something starts."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "workers").mkdir()
    (folder / "tests").mkdir()
    (folder / "workers" / "client.py").write_text(draft.client("acme"))
    made = set()
    for sentence in SENTENCES:
        spec = plan(sentence["words"])
        code = render(spec, "client")
        if code and spec.id not in made:
            made.add(spec.id)
            (folder / "workers" / f"{spec.module}.py").write_text(code)
            (folder / "tests" / f"test_{spec.module}.py").write_text(render_test(spec))
    assert len(made) > 40
    return folder


def run(project: Path, *command: str) -> None:
    """Run a tool of Python's in the project; what it complains about is the failure."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_it_is_formatted(project: Path) -> None:
    run(
        project,
        "ruff",
        "format",
        "--check",
        "--diff",
        "--config",
        str(ROOT / "pyproject.toml"),
        ".",
    )


def test_it_is_linted_as_the_examples_are(project: Path) -> None:
    ignored = "D1,INP001,S101,PLR,D3"
    config = ["--config", str(ROOT / "pyproject.toml"), "--extend-ignore", ignored]
    run(project, "ruff", "check", "--no-cache", "--output-format", "concise", *config, ".")


def test_its_types_hold(project: Path) -> None:
    run(project, "mypy", "--config-file", str(ROOT / "pyproject.toml"), "workers", "tests")


def test_its_own_tests_pass(project: Path) -> None:
    run(project, "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "tests")


def test_code_without_a_folder_stands_alone(tmp_path: Path) -> None:
    code = render(plan("When an order is paid, post to #sales saying 'Paid'"))
    (tmp_path / "alone.py").write_text(code)
    run(tmp_path, "alone")


def test_every_part_can_be_copied_by_one_name() -> None:
    names = source.names()
    assert len(names) == len(set(names))
    assert {"Service", "upsert", "send", "put_json", "listed", "required"} <= set(names)
