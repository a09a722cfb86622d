"""Settings: where they come from, in which order, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qflow.config import Settings, env_name, load
from qflow.errors import ConfigError


def write(folder: Path, pyproject: str = "", qflow: str = "") -> str:
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "qflow.toml").write_text(qflow)
    return str(folder)


def test_defaults(tmp_path: Path) -> None:
    assert load(environ={}, folder=str(tmp_path)) == Settings()


def test_later_sources_win(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        '[tool.qflow]\nlease = "1s"\nslots = 1\ngrace = "1s"\nnamespace = "a"',
        'slots = 2\ngrace = "2s"\nnamespace = "b"',
    )
    environ = {"QFLOW_GRACE": "3s", "QFLOW_NAMESPACE": "c"}
    settings = load({"namespace": "d", "slots": None}, environ, folder)
    assert (settings.lease, settings.slots, settings.grace, settings.namespace) == (
        "1s",
        2,
        "3s",
        "d",
    )


def test_keys_may_have_dashes(tmp_path: Path) -> None:
    folder = write(tmp_path, qflow='redis-url = "redis://there"\nlog_level = "debug"')
    settings = load(environ={}, folder=folder)
    assert (settings.redis_url, settings.log_level) == ("redis://there", "debug")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"QFLOW_LEASE": "soon"}, "QFLOW_LEASE: lease: 'soon' is not a duration"),
        ({"QFLOW_LEASE": "5ms"}, "QFLOW_LEASE='5ms': at least 100ms"),
        ({"QFLOW_SLOTS": "many"}, "QFLOW_SLOTS: slots must be a whole number, not 'many'"),
        ({"QFLOW_SLOTS": "0"}, "QFLOW_SLOTS=0: at least 1"),
        ({"QFLOW_METRICS_PORT": "65536"}, "QFLOW_METRICS_PORT=65536: a port lies between"),
        ({"QFLOW_LOG_LEVEL": "loud"}, "QFLOW_LOG_LEVEL='loud': one of debug, info"),
        ({"QFLOW_LOG_FORMAT": "xml"}, "QFLOW_LOG_FORMAT='xml': one of auto, console"),
        ({"QFLOW_NAMESPACE": "a:b"}, "QFLOW_NAMESPACE='a:b': letters, digits"),
        ({"QFLOW_NAMESPACE": ""}, "QFLOW_NAMESPACE='': letters, digits"),
    ],
)
def test_bad_values_name_their_variable(bad: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        load(environ=bad, folder=str(tmp_path))


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="QFLOW_LEASE.*; QFLOW_SLOTS.*; QFLOW_LOG_LEVEL"):
        Settings(lease="x", slots=0, log_level="y")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"qflow": "lese = '1s'"}, "qflow.toml: unknown setting 'lese'; one of redis_url"),
        (
            {"pyproject": "[tool.qflow]\nslots = 'x'"},
            "pyproject.toml: slots must be a whole number",
        ),
        ({"qflow": "slots = "}, "qflow.toml: Invalid value"),
    ],
)
def test_bad_files_are_named(files: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        load(environ={}, folder=write(tmp_path, **files))


def test_other_tools_tables_are_none_of_ours(tmp_path: Path) -> None:
    folder = write(tmp_path, "[tool.ruff]\nlease = 1")
    assert load(environ={}, folder=folder) == Settings()


@pytest.mark.parametrize("namespace", ["qflow", "a.b-c_1", "{qflow:3}", "x" * 64])
def test_good_namespaces(namespace: str) -> None:
    assert Settings(namespace=namespace).namespace == namespace


def test_durations_are_read_in_milliseconds() -> None:
    assert Settings(lease="1m30s").ms("lease") == 90_000


def test_flags_are_named_as_they_are_typed() -> None:
    flags: dict[str, Any] = {"metrics_port": "x"}
    with pytest.raises(ConfigError, match="--metrics-port: metrics_port must be"):
        load(flags, {})


def test_the_environment_name() -> None:
    assert env_name("redis_url") == "QFLOW_REDIS_URL"
