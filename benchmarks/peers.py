"""No-op tasks a second of other task libraries, in an environment of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.rivals.record import MARK
from qflow.store.redis import Redis
from qflow.testing.server import RedisServer

_ROOT: Final = Path(__file__).parents[1]
_HOME: Final = _ROOT / ".bench"
_PACKAGES: Final = ("rq", "hiredis", "dramatiq[redis]", "huey", "taskiq", "taskiq-redis")
_PATIENCE_S: Final = 120.0


@dataclass(frozen=True)
class Peer:
    """A library: its module of tasks, its commands to start two worker processes, its load."""

    name: str
    module: str
    commands: tuple[tuple[str, ...], ...]
    tasks: int


_TASKS: Final = "benchmarks.rivals."
_RQ: Final = ("rq", "worker", "--quiet", "-w", "rq.worker.SimpleWorker", "-u", "{redis}", "bench")
PEERS: Final = (
    Peer("rq SimpleWorker", _TASKS + "rq_tasks", (_RQ, _RQ), 2_000),
    Peer(
        "dramatiq",
        _TASKS + "dramatiq_tasks",
        (("dramatiq", _TASKS + "dramatiq_tasks", "-p2", "-t8"),),
        15_000,
    ),
    Peer(
        "huey",
        _TASKS + "huey_tasks",
        (("huey_consumer", _TASKS + "huey_tasks.huey", "-k", "process", "-w", "2", "-q"),),
        15_000,
    ),
    Peer(
        "taskiq",
        _TASKS + "taskiq_tasks",
        (
            (
                "taskiq",
                "worker",
                _TASKS + "taskiq_tasks:broker",
                "-w",
                "2",
                "--log-level",
                "WARNING",
            ),
        ),
        15_000,
    ),
)


def install() -> Path:
    """Return the folder of the peers' programs, installing them on first use."""
    programs = _HOME / "peers" / "bin"
    ready = _HOME / "peers" / ".ready"
    if not ready.exists():
        print("installing the peers into .bench/peers …", file=sys.stderr)
        _HOME.mkdir(exist_ok=True)
        (_HOME / ".gitignore").write_text("*\n")
        subprocess.run([sys.executable, "-m", "venv", _HOME / "peers"], check=True)
        pip = (programs / "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, *_PACKAGES], check=True)
        ready.touch()
    return programs


def versions() -> dict[str, str]:
    """Return the installed version of each peer."""
    names = ("rq", "dramatiq", "huey", "taskiq", "taskiq-redis", "redis")
    code = "import sys, importlib.metadata as m\nfor n in sys.argv[1:]: print(n, m.version(n))"
    shown = subprocess.run(
        [install() / "python", "-c", code, *names], capture_output=True, text=True, check=True
    )
    found = dict(line.split() for line in shown.stdout.splitlines())
    return {"redis-py" if name == "redis" else name: found[name] for name in found}


def measure(server: RedisServer, peer: Peer, tasks: int = 0) -> dict[str, float]:
    """Enqueue no-op tasks, then start two worker processes; return tasks/s and what they cost.

    The clock starts when each process has done its first task, so no start-up is in it.
    """
    programs = install()
    tasks = tasks or peer.tasks
    redis = Redis(server.url)
    redis.call("FLUSHALL")
    with TemporaryDirectory(prefix="qflow-bench-") as folder, ExitStack() as running:
        marks = Path(folder) / "marks"
        marks.touch()
        env = {
            **os.environ,
            "BENCH_REDIS": server.url,
            "BENCH_MARKS": str(marks),
            "PYTHONPATH": str(_ROOT),
            "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        }
        fill = f"from {peer.module} import fill; fill({tasks})"
        subprocess.run([programs / "python", "-c", fill], env=env, cwd=folder, check=True)
        log = running.enter_context((Path(folder) / "log").open("wb"))
        for command in peer.commands:
            args = [part.format(redis=server.url) for part in command]
            args[0] = str(programs / args[0])
            child = subprocess.Popen(
                args, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
            running.callback(_end, child)
        _wait(peer, marks, tasks * MARK.size)
        data = marks.read_bytes()
    redis.close()
    return figures(data)


def _wait(peer: Peer, marks: Path, size: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while marks.stat().st_size < size:
        if time.monotonic() > deadline:
            log = (marks.parent / "log").read_text("utf-8", "replace")[-2000:]
            raise SystemExit(f"{peer.name} did not end its tasks\n{log}")
        time.sleep(0.02)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill a program and what it started: its tasks are done, and some take 10 s to end."""
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def figures(data: bytes) -> dict[str, float]:
    """Return the rate in the marks of tasks, from when each process had done one."""
    marks = sorted((at, pid) for pid, at in MARK.iter_unpack(data))
    begun: dict[int, int] = {}
    for at, pid in marks:
        begun.setdefault(pid, at)
    since, last = max(begun.values()), marks[-1][0]
    counted = sum(at > since for at, _ in marks)
    return {
        "tasks_per_s": counted / ((last - since) / 1e9),
        "processes": len(begun),
        "counted": counted,
    }
