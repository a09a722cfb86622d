"""What stands before every page: who asks, from where, and what browsers may do with the answer."""

from __future__ import annotations

import time
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qflow.web.access import LOCAL, Access, Who
from qflow.web.refusals import refuse

COOKIE: Final = "qflow_session"
UNLOGGED: Final = ("/e/", "/w/")
"""Paths that take event keys and signatures instead of logins."""

_OPEN_PATHS: Final = ("/static/", "/login", "/healthz")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Lets requests through that say who they are from, and refuses forged ones."""

    def __init__(self, app: ASGIApp, access: Access, prefix: str = "") -> None:
        self._app = app
        self._access = access
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(self._prefix)
        refused = self._forged(scope["method"], path, headers)
        if refused:
            await refuse(scope, 403, refused)(scope, receive, with_headers)
            return
        who = self._who(headers)
        if who is None and not path.startswith((*_OPEN_PATHS, *UNLOGGED)):
            answer = refuse(scope, 401, "log in first, or send Authorization: Bearer TOKEN")
            await answer(scope, receive, with_headers)
            return
        scope.setdefault("state", {})["who"] = who
        await self._app(scope, receive, with_headers)

    def _forged(self, method: str, path: str, headers: Headers) -> str:
        """Say why a request may not come from where it seems to, "" where it may."""
        host = headers.get("host", "")
        if self._access.is_open and (urlsplit(f"//{host}").hostname or "") not in _LOOPBACK:
            return (
                f"this dashboard has no tokens, so it answers on this machine's loopback address only, "
                f"not as {host!r}: set QFLOW_DASHBOARD_TOKENS"
            )
        if method in _SAFE or headers.get("authorization"):
            return ""
        origin = headers.get("origin")
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return "this request comes from another site's page"
        if origin is not None and urlsplit(origin).netloc != host:
            return f"this request comes from a page of {origin}"
        return ""

    def _who(self, headers: Headers) -> Who | None:
        if self._access.is_open:
            return LOCAL
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._access.by_token(token.strip())
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return None
        found = cookies.get(COOKIE)
        return self._access.by_session(found.value, time.time()) if found else None
