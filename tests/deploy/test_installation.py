"""What the Dockerfile installs, run as the image and the Compose file run it, as another user."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from qflow.dev.redis_process import free_port
from qflow.metrics import METRICS
from qflow.testing.server import RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
]  # it installs the package from the registry

NOBODY = "65534"
LOOPS = {
    "router": {"router"},
    "scheduler": {"scheduler", "rescuer", "pruner"},
    "worker": {"worker", "beat"},
}
PROCESSES = tuple(LOOPS)

FUNCTIONS = """
import qflow

app = qflow.App("shop")

@app.function("greet", trigger="user/created", retries=1, backoff=qflow.Backoff(base="10ms"))
def greet(event: qflow.Event, step: qflow.SyncStep, run: qflow.Run) -> str:
    name = step.run("look-up", str.title, event.data.get("name", "nobody"))
    if name == "Nobody":
        raise qflow.NonRetriableError("no such user: " + name)
    return step.run("greet", str.format, "Hello {}", name)
"""

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def as_nobody() -> list[str]:
    """Return what runs a command as a user without rights, where the tests run as root.

    It may read everything, because Python itself may lie in a folder that is closed to others.
    """
    if os.getuid() != 0:
        return []
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    return ["setpriv", *ids, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


class Container:
    """The installed program under the image's environment, as a user without rights."""

    def __init__(self, program: Path, folder: Path, env: dict[str, str]) -> None:
        self._command = [*as_nobody(), str(program)]
        self._folder = folder
        self._env = env
        self.ports: dict[str, int] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str) -> None:
        """Start a process; its metrics get a port of their own, since all share one host here."""
        self.ports[name] = free_port()
        env = {**self._env, "QFLOW_METRICS_PORT": str(self.ports[name])}
        log = (self._folder / f"{name}.log").open("wb")
        self.running[name] = subprocess.Popen(
            [*self._command, *command], cwd=self._folder, env=env, stderr=log
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self._command, *command],
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def log(self, name: str) -> str:
        """Return what a process has logged."""
        return (self._folder / f"{name}.log").read_text()

    def scrape(self, name: str) -> Samples:
        """Return what a process serves, empty while it serves nothing."""
        with suppress(OSError):
            address = f"http://127.0.0.1:{self.ports[name]}/metrics"
            with urllib.request.urlopen(address, timeout=5) as response:
                families = text_string_to_metric_families(response.read().decode())
            return {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in families
                for sample in family.samples
            }
        return {}

    def wait_for(self, holds: Callable[[], Any], what: str) -> None:
        """Wait until something holds; fail with all logs where it does not."""
        deadline = time.monotonic() + 20
        while not holds():
            logs = "\n".join(f"{name}:\n{self.log(name)}" for name in self.running)
            assert time.monotonic() < deadline, f"{what}\n{logs}"
            time.sleep(0.05)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url


@pytest.fixture(scope="module")
def container(box: Any, dockerfile: list[Any], redis_url: str) -> Iterator[Container]:
    env = dockerfile[-1].environment()
    path = (
        env.pop("PATH")
        .replace("/opt/", f"{box.path('/opt')}/")
        .replace("$PATH", os.environ["PATH"])
    )
    folder = box.path("/app")
    (folder / "workers").mkdir(parents=True)
    (folder / "workers" / "shop.py").write_text(FUNCTIONS)
    found = Container(
        box.path("/opt/qflow/bin/qflow"),
        folder,
        {**env, "PATH": path, "QFLOW_REDIS_URL": redis_url, "QFLOW_METRICS_HOST": "127.0.0.1"},
    )
    yield found
    found.end()


@pytest.fixture(scope="module")
def system(container: Container, deploy: Path) -> Container:
    """Router, scheduler and worker, started by the Compose file's commands, with work done."""
    services = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]
    for name in PROCESSES:
        container.start(name, *services[name]["command"])
    for name in PROCESSES:
        container.wait_for(partial(container.scrape, name), f"{name} serves no metrics")
    for name in ("jane", "nobody"):
        sent = container.run("send", "user/created", "--data", json.dumps({"name": name}))
        assert sent.returncode == 0, sent.stderr
    container.wait_for(lambda: ended(container) == 2, "the runs do not end")
    return container


def ended(container: Container) -> float:
    samples = container.scrape("worker")
    return sum(value for (name, _), value in samples.items() if name == "qflow_runs_ended_total")


def sample(samples: Samples, name: str, **labels: str) -> float:
    return samples[(f"qflow_{name}", frozenset(labels.items()))]


def test_the_entry_point_answers_as_another_user(container: Container) -> None:
    said = container.run("--version")
    assert said.stdout.startswith("qflow "), said.stderr


def test_every_process_serves_every_metric(system: Container) -> None:
    for process in PROCESSES:
        names = {name for name, _ in system.scrape(process)}
        bare = [m for m in METRICS if not m.labels]
        assert {m.name for m in bare} <= names, process
        assert sample(system.scrape(process), "redis_up") == 1


def test_the_router_counts_events_and_runs(system: Container) -> None:
    samples = system.scrape("router")
    assert sample(samples, "events_received_total") == 2
    assert sample(samples, "runs_created_total", function="greet") == 2
    assert sample(samples, "stream_lag") == 0


def test_the_scheduler_leads(system: Container) -> None:
    def leads() -> bool:
        return sample(system.scrape("scheduler"), "leader") == 1

    system.wait_for(leads, "the scheduler does not lead")
    assert sample(system.scrape("scheduler"), "leader_present") == 1
    assert sample(system.scrape("router"), "leader") == 0


@pytest.mark.parametrize(("process", "loops"), LOOPS.items())
def test_every_loop_shows_its_age(process: str, loops: set[str], system: Container) -> None:
    def ages() -> dict[str, float]:
        samples = system.scrape(process).items()
        return {
            dict(at)["loop"]: age for (name, at), age in samples if name == "qflow_loop_age_seconds"
        }

    system.wait_for(lambda: ages().keys() >= loops, f"a loop of {process} never ticked")
    assert max(ages().values()) < 60


def test_the_worker_counts_runs_steps_and_times(system: Container) -> None:
    samples = system.scrape("worker")
    assert sample(samples, "runs_ended_total", function="greet", status="completed") == 1
    assert sample(samples, "runs_ended_total", function="greet", status="failed") == 1
    assert sample(samples, "step_attempts_total", function="greet", outcome="ok") == 3
    assert sample(samples, "step_duration_seconds_count", function="greet") == 3
    assert sample(samples, "event_to_start_seconds_count", function="greet") == 2
    assert sample(samples, "runs", function="greet", status="completed") == 1
    assert sample(samples, "worker_slots") == 10
    assert sample(samples, "worker_slots_busy") == 0
    assert sample(samples, "leases") == 1


def test_logs_are_json_and_name_the_run(system: Container) -> None:
    lines = [json.loads(line) for line in system.log("worker").splitlines()]
    runs = [line for line in lines if line["event"] == "run.ended"]
    assert {(line["status"], line["level"]) for line in runs} == {
        ("completed", "info"),
        ("failed", "error"),
    }
    assert all(line["process"] == "worker" and len(line["run"]) == 26 for line in runs)
    assert "jane" not in system.log("worker")


def test_the_health_check_passes(system: Container, dockerfile: list[Any]) -> None:
    command = json.loads(dockerfile[-1].value("HEALTHCHECK").partition(" CMD ")[2])
    said = system.run(*command[1:])
    assert said.returncode == 0, said.stdout + said.stderr


def test_commands_in_the_readme_and_in_the_alerts_run_as_written(
    system: Container, deploy: Path
) -> None:
    readme = re.findall(r"exec router qflow (.*)", (deploy / "README.md").read_text())
    alerts = yaml.safe_load((deploy / "prometheus" / "alerts.yml").read_text())["groups"]
    actions = [rule["annotations"]["action"] for group in alerts for rule in group["rules"]]
    advised = [action.removeprefix("qflow ") for action in actions if action.startswith("qflow ")]
    assert len(readme) == len(advised) == 2
    for command in [*readme, *advised]:
        said = system.run(*shlex.split(command.replace("{{ $labels.function }}", "greet")))
        assert said.returncode == 0, f"qflow {command}: {said.stderr}"


def test_each_process_ends_on_sigterm(system: Container) -> None:
    for process in system.running.values():
        process.send_signal(signal.SIGTERM)
    codes = {name: process.wait(10) for name, process in system.running.items()}
    assert codes == dict.fromkeys(PROCESSES, 0)
