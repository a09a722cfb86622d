"""A local HTTP server that speaks as models' services do, with the replies that a test writes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """An answer: JSON text of the model, or a whole body; `hang` never answers."""

    text: str = ""
    status: int = 200
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


@dataclass
class ModelServer:
    """The server: what it will say, and what it was asked."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


def openai_body(text: str) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


def anthropic_body(text: str) -> str:
    try:
        part: dict[str, Any] = {"type": "tool_use", "name": "answer", "input": json.loads(text)}
    except ValueError:
        part = {"type": "text", "text": text}
    return json.dumps({"role": "assistant", "content": [part]})


@contextmanager
def serving(speak: Callable[[str], str]) -> Iterator[ModelServer]:
    """Serve; each request takes the next reply, the last one again and again."""
    state = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            state.asked.append(json.loads(self.rfile.read(length)))
            state.paths.append(self.path)
            state.headers.append({k.lower(): v for k, v in self.headers.items()})
            reply = state.replies.pop(0) if len(state.replies) > 1 else state.replies[0]
            if reply.hang:
                state.ended.wait(60)
                return
            body = (speak(reply.text) if reply.body is None else reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.ended.set()
        server.shutdown()
        server.server_close()
