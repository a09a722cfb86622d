"""What the tests of deploy/ need: its files, the tools that check them, a clean installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

Run = Callable[..., str]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: installs packages")


class Stage(NamedTuple):
    """A stage of a Dockerfile: its instructions as (word, rest) pairs, FROM first."""

    instructions: list[tuple[str, str]]

    def all(self, word: str) -> list[str]:
        """Return the rest of every instruction of that word."""
        return [rest for found, rest in self.instructions if found == word]

    def value(self, word: str) -> str:
        """Return the rest of the one instruction of that word."""
        (found,) = self.all(word)
        return found

    def environment(self) -> dict[str, str]:
        """Return what ENV sets."""
        return dict(item.split("=", 1) for item in self.value("ENV").split())


class Box:
    """A folder that stands for the root of an image; what the image has in /opt lies below it."""

    def __init__(self, root: Path, context: Path) -> None:
        self.root = root
        self._context = context
        self._folder = root
        self._args: dict[str, str] = {}

    def path(self, inside: str) -> Path:
        """Return where a path of the image lies."""
        return self.root / inside.lstrip("/")

    def build(self, stage: Stage) -> None:
        """Do what a stage says."""
        for word, rest in stage.instructions:
            if word == "ARG":
                name, _, default = rest.partition("=")
                self._args[name] = default
            elif word == "WORKDIR":
                self._folder = self.path(rest)
                self._folder.mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                *sources, target = rest.split()
                for source in sources:
                    _copy(self._context / source, self._folder / target)
            elif word == "RUN":
                self._run(rest)

    def _run(self, command: str) -> None:
        inside = command.replace("/opt/", f"{self.path('/opt')}/")
        python = Path(sys.executable).parent
        done = subprocess.run(
            ["/bin/sh", "-ec", inside],
            cwd=self._folder,
            env={**os.environ, **self._args, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"RUN {command}\n{done.stdout}{done.stderr}"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def deploy(root: Path) -> Path:
    """The folder of the files under test."""
    return root / "deploy"


@pytest.fixture(scope="session")
def dockerfile(deploy: Path) -> list[Stage]:
    """The stages of the Dockerfile."""
    found: list[Stage] = []
    for line in (deploy / "Dockerfile").read_text().replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            found.append(Stage([]))
        if word and not word.startswith("#"):
            found[-1].instructions.append((word, rest.strip()))
    return found


@pytest.fixture(scope="session")
def box(root: Path, dockerfile: list[Stage]) -> Iterator[Box]:
    """What the Dockerfile's first stage builds, installed as it says, where anyone may read it."""
    folder = Path(tempfile.mkdtemp(prefix="qflow-image-"))
    folder.chmod(0o755)
    built = Box(folder, root)
    built.build(dockerfile[0])
    yield built
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def tool() -> Run:
    """Runs a program that must succeed, and returns what it said.

    Without the program the test is skipped, but on CI, where `.ci/run` installs it, it fails.
    """

    def run(program: str, *args: str | Path) -> str:
        if shutil.which(program) is None:
            missing = f"{program} is not installed"
            pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
        done = subprocess.run(
            [program, *map(str, args)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{program} {args}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return run
