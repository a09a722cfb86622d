"""Logging in with a token, and out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from qflow.errors import RedisError
from qflow.web import audit
from qflow.web.access import SESSION_S, Attempts
from qflow.web.exchange import Answer, Ask, Go, Site
from qflow.web.guard import COOKIE
from qflow.web.rendering import render

_MOST = 4_096


def endpoint(site: Site, attempts: Attempts) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers /login."""

    async def login(request: Request) -> Response:
        wanted = _local(request.query_params.get("next", "/"))
        if request.method == "GET":
            return _form(site, wanted, "", 200)
        address = request.client.host if request.client else ""
        if not attempts.allows(address):
            return _form(site, wanted, "Too many wrong tokens; try again in a minute.", 429)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST:
                return _form(site, wanted, "That is no token.", 413)
        token = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        who = site.access.by_token(token.strip())
        if who is None:
            attempts.failed(address)
            return _form(site, wanted, "This token is not known here.", 403)
        try:
            await run_in_threadpool(audit.note, site, Ask(who), "/login")
        except RedisError as error:
            return _form(site, wanted, str(error), 503)
        response = RedirectResponse(f"{site.prefix}{wanted}", 303)
        response.set_cookie(
            COOKIE,
            site.access.session(who, time.time()),
            path=f"{site.prefix}/",
            max_age=SESSION_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    return login


def leave(_site: Site, _ask: Ask) -> Answer:
    """End the session."""
    return Go("/login", leaving=True)


def _form(site: Site, wanted: str, problem: str, status: int) -> Response:
    context = {"prefix": site.prefix, "next": wanted, "problem": problem}
    return HTMLResponse(render("login.html", context), status)


def _local(path: str) -> str:
    """Return a path of this site, whatever was asked for: never another site's address."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
