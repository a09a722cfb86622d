"""Answers to requests that cannot be met: JSON for programs, a page for people."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from qflow.errors import LimitError, QflowError, RedisError, UsageError
from qflow.read.nearest import NotFound
from qflow.web.exchange import Refused
from qflow.web.rendering import render

_TITLES = {
    400: "That cannot be done",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    409: "Too late",
    413: "Too large",
    429: "Too often",
    503: "Redis is out of reach",
}


def status_of(error: QflowError) -> int:
    """Return the HTTP status that an error is answered with."""
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, LimitError):
        return 413
    if isinstance(error, RedisError):
        return 503
    return 400 if isinstance(error, UsageError) else 409


def refuse(scope: Scope, status: int, message: str) -> Response:
    """Return the answer: JSON under /api, /e and /w, for browsers a page, or the way to log in."""
    state: dict[str, Any] = scope.get("state", {})
    prefix = scope.get("qflow.prefix", "")
    headers = Headers(scope=scope)
    path = scope["path"].removeprefix(prefix)
    if path.startswith(("/api/", "/e/", "/w/")) or "text/html" not in headers.get(
        "accept", "text/html"
    ):
        return JSONResponse({"error": message, "status": status}, status)
    partial = headers.get("hx-request") == "true"
    if status == 401 and not partial:
        wanted = quote(
            path + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        )
        return RedirectResponse(f"{prefix}/login?next={wanted}", 303)
    context = {
        "title": _TITLES.get(status, "Something went wrong"),
        "message": message,
        "status": status,
        "prefix": prefix,
        "who": state.get("who"),
        "vitals": None,
        "at": "",
        "now": 0,
    }
    return HTMLResponse(render("problem.html", context), status)
