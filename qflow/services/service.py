"""The loop that router, scheduler, rescuer and pruner share: tick, wait, never die.

A service writes `tick` only; its loop, its wait, what happens on errors and its telemetry are here.
"""

from __future__ import annotations

import os
import socket
import threading
from abc import ABC, abstractmethod
from typing import Final

from qflow.errors import QflowError
from qflow.telemetry import emit

_AFTER_ERROR_S: Final = 0.5


class Service(ABC):
    """A long-lived loop. `kind` names it in telemetry and Redis, `name` this instance of it."""

    kind: str

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}.{os.getpid()}.{os.urandom(3).hex()}"

    @abstractmethod
    def tick(self) -> float:
        """Do what is there to do; return how many seconds to wait before the next tick."""

    def start(self) -> None:
        """Prepare, once Redis is there; may be called again after an error."""

    def stop(self) -> None:
        """Let go of what others may be waiting for."""

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set. An error is reported and waited out, never the end."""
        started = False
        while not stop.is_set():
            try:
                if not started:
                    self.start()
                    started = True
                wait_s = self.tick()
                emit("loop.ticked", loop=self.kind)
            except QflowError as error:
                emit("loop.failed", loop=self.kind, error=str(error))
                wait_s, started = _AFTER_ERROR_S, False
            except Exception as error:  # noqa: BLE001  # one bad item must not end the loop
                emit("loop.failed", loop=self.kind, error=repr(error))
                wait_s = _AFTER_ERROR_S
            if wait_s > 0:
                stop.wait(wait_s)
        try:
            self.stop()
        except QflowError as error:
            emit("loop.failed", loop=self.kind, error=str(error))
