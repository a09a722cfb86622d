"""A TCP proxy between qflow and Redis that loses replies, delays, and falls silent."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Listens on a free loopback port from `with` to the end of its block.

    `lose` is the fraction of exchanges whose request is passed on and whose connection is then
    closed instead of the reply; `delay_s` is added to each request. While `silent`, connections
    stay open and accept bytes, and nothing passes in either direction until it ends.
    """

    def __init__(
        self, port: int, *, lose: float = 0.0, delay_s: float = 0.0, seed: int = 0
    ) -> None:
        self._target = ("127.0.0.1", port)
        self._lose = lose
        self._delay_s = delay_s
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.lost = 0
        self.exchanges = 0
        self.held = 0

    @property
    def url(self) -> str:
        """Where qflow finds Redis behind this proxy."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._open.set()
        with self._lock:
            open_ones = list(self._sockets)
        for each in open_ones:
            _end(each)

    def fall_silent(self) -> None:
        """Let nothing pass until `speak`."""
        self._open.clear()

    def speak(self) -> None:
        """Let everything pass again, first what was held back."""
        self._open.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._sockets |= {near, far}
            doomed = threading.Event()
            for pump in (self._requests, self._replies):
                threading.Thread(target=pump, args=(near, far, doomed), daemon=True).start()

    def _requests(self, near: socket.socket, far: socket.socket, doomed: threading.Event) -> None:
        for data in self._chunks(near):
            with self._lock:
                self.exchanges += 1
                if self._chance.random() < self._lose:
                    doomed.set()
            if self._delay_s:
                time.sleep(self._delay_s)
            if not _pass_on(far, data):
                break
        self._close(near, far)

    def _replies(self, near: socket.socket, far: socket.socket, doomed: threading.Event) -> None:
        for data in self._chunks(far):
            if doomed.is_set():
                with self._lock:
                    self.lost += 1
                break
            if not _pass_on(near, data):
                break
        self._close(near, far)

    def _chunks(self, source: socket.socket) -> Iterator[bytes]:
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                return
            if not data:
                return
            if not self._open.is_set():
                with self._lock:
                    self.held += 1
                self._open.wait()
            yield data

    def _close(self, *ends: socket.socket) -> None:
        with self._lock:
            self._sockets -= set(ends)
        for each in ends:
            _end(each)


def _pass_on(to: socket.socket, data: bytes) -> bool:
    try:
        to.sendall(data)
    except OSError:
        return False
    return True


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
