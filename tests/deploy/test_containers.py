"""Dockerfile and Compose file, as far as they can be judged without a container engine."""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no type hints
import pytest
import yaml

from qflow.cli.commands import COMMANDS
from qflow.config import Settings, env_name, load
from qflow.core.durations import to_ms
from qflow.errors import ConfigError
from qflow.web.server import access_of

PROCESSES = ("router", "scheduler", "worker")


@pytest.fixture(scope="module")
def image(dockerfile: list[Any]) -> Any:
    return dockerfile[-1]


@pytest.fixture(scope="module")
def compose(deploy: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((deploy / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The Compose specification's JSON schema, as docker-compose's wheel carries it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
    subprocess.run([*command, "docker-compose==1.29.2"], check=True, timeout=60)
    with zipfile.ZipFile(next(folder.iterdir())) as wheel:
        found: dict[str, Any] = json.loads(wheel.read("compose/config/compose_spec.json"))
    return found


def test_the_image_runs_qflow_as_nobody_special(image: Any) -> None:
    assert json.loads(image.value("ENTRYPOINT")) == ["qflow"]
    user, group = image.value("USER").split(":")
    assert int(user) > 0 and int(group) > 0  # numbers, so that Kubernetes' runAsNonRoot can tell
    words = [word for word, _ in image.instructions]
    assert not {"RUN", "COPY"} & set(words[words.index("USER") :])


def test_the_image_checks_its_health(image: Any) -> None:
    check = image.value("HEALTHCHECK").partition(" CMD ")[2]
    assert json.loads(check) == ["qflow", "doctor"]
    assert "doctor" in COMMANDS


def test_the_image_has_nothing_of_the_build_but_its_result(dockerfile: list[Any]) -> None:
    build, image = dockerfile
    assert build.value("FROM").endswith(" AS build")
    assert image.all("COPY") == ["--from=build /opt/qflow /opt/qflow", "workers workers"]


def test_the_image_sets_settings_that_exist(image: Any) -> None:
    settings = {k: v for k, v in image.environment().items() if k.startswith("QFLOW_")}
    assert settings.keys() <= {env_name(name) for name in Settings.__dataclass_fields__}
    loaded = load(environ=settings)
    assert image.value("EXPOSE") == str(loaded.metrics_port)
    assert loaded.metrics_host == "0.0.0.0"


def test_the_builder_gets_what_the_dockerfile_copies(
    root: Path, deploy: Path, dockerfile: list[Any]
) -> None:
    ignored = (deploy / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    lines = [rest for stage in dockerfile for rest in stage.all("COPY") if "--from" not in rest]
    for source in [source for line in lines for source in line.split()[:-1]]:
        assert (root / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_in), source


@pytest.mark.slow
def test_compose_follows_the_specification(compose: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.Draft201909Validator(schema).validate(compose)


def test_compose_runs_what_the_issue_asks_for(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services.keys() == {"redis", *PROCESSES, "dashboard", "prometheus"}
    assert services["worker"]["deploy"]["replicas"] == 2
    for name in PROCESSES:
        assert services[name]["command"][0] == name
        assert services[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert services[name]["restart"] == "unless-stopped"
        assert services[name]["cap_drop"] == ["ALL"]


def test_compose_gives_time_to_give_work_back(compose: dict[str, Any]) -> None:
    for name in PROCESSES:
        service = compose["services"][name]
        settings = load(environ=service["environment"])
        grace = to_ms(service["stop_grace_period"], "stop_grace_period")
        assert grace >= settings.ms("grace") + 10_000


def test_compose_keeps_redis_data(compose: dict[str, Any]) -> None:
    redis = compose["services"]["redis"]
    assert "--appendonly yes" in redis["command"]
    assert "--maxmemory-policy noeviction" in redis["command"]
    volume, place = redis["volumes"][0].split(":")
    assert volume in compose["volumes"] and place == "/data"
    assert redis["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    assert "ports" not in redis


def test_prometheus_finds_the_services_of_compose(
    deploy: Path, compose: dict[str, Any], image: Any
) -> None:
    scrape = yaml.safe_load((deploy / "prometheus" / "prometheus.yml").read_text())
    found = [job["dns_sd_configs"][0] for job in scrape["scrape_configs"]]
    assert [target["names"] for target in found] == [[name] for name in PROCESSES]
    assert {str(target["port"]) for target in found} == {image.value("EXPOSE")}
    assert "./prometheus:/etc/prometheus:ro" in compose["services"]["prometheus"]["volumes"]


@pytest.mark.parametrize("name", PROCESSES)
def test_mounted_and_built_paths_exist(name: str, deploy: Path, compose: dict[str, Any]) -> None:
    service = compose["services"][name]
    assert (deploy / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    for volume in service.get("volumes", ()):
        assert (deploy / volume.split(":")[0]).is_dir()


def test_compose_serves_a_dashboard_that_nobody_enters_without_a_token(
    compose: dict[str, Any],
) -> None:
    service = compose["services"]["dashboard"]
    assert service["command"] == ["dashboard"]
    assert service["ports"] == ["127.0.0.1:8288:8288"]
    needed = service["environment"]["QFLOW_DASHBOARD_TOKENS"]
    assert needed.startswith("${QFLOW_DASHBOARD_TOKENS:?")
    given = {
        name: "me:admin:0123456789abcdef" if value == needed else value
        for name, value in service["environment"].items()
        if value == needed or "$" not in value
    }
    settings = load(environ=given)
    assert settings.dashboard_port == 8288
    assert not access_of(settings).is_open
    with pytest.raises(ConfigError, match="needs tokens"):
        access_of(replace(settings, dashboard_tokens=""))
