"""An HTTP server on a free loopback port: what the HTTP services have in common."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        """The token of its Authorization header, or ""."""
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if kind == "Bearer" else ""


@dataclass(frozen=True)
class Answer:
    """What is answered: a mapping or list as JSON, text as it is."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpService:
    """Answers what `answer` says, and records every request; `fail` puts failures first."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.failures: deque[Answer] = deque()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen: at the port of the last time, where there was one."""
        service = self

        class Handler(_Handler):
            owner = service

        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close the port: whoever connects is refused."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def reset(self) -> None:
        """Forget what happened."""
        self.requests.clear()
        self.failures.clear()

    def fail(self, times: int, status: int, body: Any = "", **headers: str) -> None:
        """Answer the next `times` requests with `status`; `Retry_After="1"` is that header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.failures.extend([Answer(status, body, named)] * times)

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        raise NotImplementedError


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: a client may be killed while it waits for its answer."""


class _Handler(BaseHTTPRequestHandler):
    owner: HttpService
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = dict(parse_qsl(url.query))
        request = Request(self.command, url.path, query, dict(self.headers), body)
        self.owner.requests.append(request)
        failures = self.owner.failures
        answer = failures.popleft() if failures else self.owner.answer(request)
        is_text = isinstance(answer.body, str)
        sent = (answer.body if is_text else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/html" if is_text else "application/json")
        self.send_header("Content-Length", str(len(sent)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)
