"""The units: accepted by systemd, hardened, and leaving qflow the time that it asks for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from qflow.config import Settings, env_name, load
from qflow.core.durations import to_ms

Run = Callable[..., str]

UNITS = (
    "qflow-router.service",
    "qflow-scheduler.service",
    "qflow-worker@.service",
    "qflow-dashboard.service",
)
PROGRAM = "/opt/qflow/bin/qflow"


@pytest.fixture
def units(deploy: Path) -> dict[str, str]:
    return {name: (deploy / "systemd" / name).read_text() for name in UNITS}


def values(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)


def test_systemd_accepts_them(units: dict[str, str], tmp_path: Path, tool: Run) -> None:
    files = []
    for name, text in units.items():
        file = tmp_path / name.replace("@.", "@1.")
        file.write_text(text.replace(PROGRAM, sys.executable))
        if "@." in name:
            (tmp_path / name).write_text(text.replace(PROGRAM, sys.executable))
        files.append(file)
    said = tool("systemd-analyze", "verify", "--man=no", *files)
    assert not [line for line in said.splitlines() if "qflow" in line], said


@pytest.mark.parametrize("name", UNITS)
def test_they_are_hardened(name: str, deploy: Path, tool: Run) -> None:
    said = tool("systemd-analyze", "security", "--offline=true", deploy / "systemd" / name)
    exposure = re.search(r"Overall exposure level for .*?: ([\d.]+)", said)
    assert exposure and float(exposure[1]) <= 2.5, said


@pytest.mark.parametrize("name", UNITS)
def test_each_stops_with_time_to_give_work_back(name: str, units: dict[str, str]) -> None:
    unit = units[name]
    (stop,) = values(unit, "TimeoutStopSec")
    assert int(stop) * 1000 >= to_ms(Settings().grace, "grace") + 10_000
    assert values(unit, "KillMode") == ["mixed"]
    assert values(unit, "KillSignal") == ["SIGTERM"]
    assert values(unit, "Restart") == ["always"]
    assert values(unit, "User") == ["qflow"]


def test_each_has_a_metrics_port_of_its_own(units: dict[str, str]) -> None:
    ports = [value for unit in units.values() for value in values(unit, "Environment")]
    assert ports == [f"QFLOW_METRICS_PORT={port}" for port in ("9401", "9402", "941%i")]


def test_the_environment_file_holds_settings_that_exist(deploy: Path) -> None:
    text = (deploy / "systemd" / "qflow.env.example").read_text()
    pairs = dict(line.split("=", 1) for line in text.splitlines() if line and line[0] != "#")
    assert "QFLOW_METRICS_PORT" not in pairs  # it would win over the units' own
    known = {env_name(name) for name in Settings.__dataclass_fields__}
    assert pairs.keys() <= known
    load(environ=pairs)


def test_the_units_run_what_the_compose_file_runs(units: dict[str, str], deploy: Path) -> None:
    services = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]
    commands = [
        " ".join(services[name]["command"])
        for name in ("router", "scheduler", "worker", "dashboard")
    ]
    started = [values(unit, "ExecStart")[0] for unit in units.values()]
    assert started == [f"{PROGRAM} {command}" for command in commands]


def test_readme_installs_as_the_image_does(deploy: Path, root: Path, dockerfile: list[Any]) -> None:
    readme = (deploy / "README.md").read_text()
    install = dockerfile[0].all("RUN")[0]
    extras = dockerfile[0].value("ARG").removeprefix("EXTRAS=")
    built = install.replace("$EXTRAS", extras).replace("--no-cache-dir ", "").split(" && ")
    assert all(command.replace("python ", "python3 ") in readme for command in built), built
    for path in re.findall(r"\bdeploy/[\w./*-]*\w", readme):
        assert list(root.glob(path)), path


def test_readme_scrapes_the_ports_of_the_units(deploy: Path) -> None:
    targets = re.findall(r"localhost:(\d+)", (deploy / "README.md").read_text())
    assert targets == ["9401", "9402", "9411", "9412"]
