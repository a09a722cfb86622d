"""Starts stock RQ workers on a world's queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cases.world import World

CLASSES = ("rq.Worker", "rq.SimpleWorker")
"""One that forks for every job, one that executes jobs in its own process."""


@contextmanager
def stock_worker(
    world: World, kind: str = CLASSES[0], *more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `rq worker` in the world's folder until the end of the block."""
    log = world.folder / f"{kind}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [
                sys.executable, "-c", "from rq.cli import main; main()", "worker",
                "--worker-class", kind, "--url", world.url, *more, world.keys.queue_name,
            ],
            cwd=world.folder,
            env=world.environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield child
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"rq worker goes on: {log.read_text()[-2000:]}") from None
    finally:
        kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a worker with -9, and with it the process that it forked for its job."""
    if child.poll() is None:
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        for pid in (child.pid, *map(int, children)):  # the forked one leads a group of its own
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    child.wait()
