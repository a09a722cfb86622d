"""Runs qflow's commands in this process, on the test's Redis and namespace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from read.scenes import Scene

from qflow.cli.commands import cli
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer


class Said(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def scene(redis: Redis, keys: Keys) -> Scene:
    """A namespace whose worker `w1` has a lease and whose functions `pay` and `ship` are published."""
    made = Scene(redis, keys)
    made.publish("pay", "ship")
    made.enlist()
    return made


@pytest.fixture
def qflow(
    redis_server: RedisServer, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run a command line and return what it said; no environment of the machine gets in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QFLOW_REDIS_URL", redis_server.url)
    monkeypatch.setenv("QFLOW_NAMESPACE", keys.ns)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, stdin: bytes | None = None) -> Said:
        result = CliRunner().invoke(cli, arguments, input=stdin, prog_name="qflow")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run
