"""The route table, and how a request becomes a page's question and its answer a response."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from qflow.core.event import MAX_EVENT_BYTES
from qflow.errors import QflowError
from qflow.read.runs import now_ms
from qflow.web import api, audit, hooks, intake, login
from qflow.web.access import Attempts, Who
from qflow.web.bodies import read_body
from qflow.web.exchange import Answer, Ask, Go, Html, Json, Page, Refused, Site
from qflow.web.guard import COOKIE, Guard
from qflow.web.live import Live
from qflow.web.pages import (
    acting,
    approvals,
    bulk,
    comparing,
    errors,
    events,
    health,
    limits,
    runs,
    schedules,
    sending,
    story,
    webhooks,
    workers,
    workflow,
    workflows,
)
from qflow.web.refusals import refuse, status_of
from qflow.web.rendering import STATIC, render
from qflow.web.vitals import vitals

_MOST_BYTES: Final = 2 * MAX_EVENT_BYTES


class Place(NamedTuple):
    """A page: its path, what answers it, and the role that may ask. `post` changes something."""

    path: str
    page: Page
    role: str = "viewer"
    post: bool = False


PAGES: Final = (
    Place("/", workflows.listing),
    Place("/vitals", lambda _site, _ask: Html("_vitals.html", {})),
    Place("/workflows/{function}", workflow.runs),
    Place("/workflows/{function}/steps", workflow.steps),
    Place("/workflows/{function}/code", workflow.code),
    Place("/workflows/{function}/configuration", workflow.configuration),
    Place("/workflows/{function}/versions", workflow.versions),
    Place("/runs", runs.listing),
    Place("/bulk", bulk.listing),
    Place("/bulk", bulk.start, "operator", post=True),
    Place("/bulk/new", bulk.preview, "operator"),
    Place("/bulk/{bulk}", bulk.show),
    Place("/bulk/{bulk}/stop", bulk.halt, "operator", post=True),
    Place("/runs/{run}", story.show),
    Place("/runs/{run}/history", story.history),
    Place("/runs/{run}/against", comparing.choose),
    Place("/runs/{run}/against/{other}", comparing.show),
    Place("/runs/{run}/json", story.download),
    Place("/runs/{run}/cancel", acting.cancel, "operator", post=True),
    Place("/runs/{run}/again", acting.again_form, "operator"),
    Place("/runs/{run}/again", acting.rerun, "operator", post=True),
    Place("/runs/{run}/hurry/{what}", acting.hurry, "operator", post=True),
    Place("/workflows/{function}/pause", acting.pause_workflow, "operator", post=True),
    Place("/workflows/{function}/resume", acting.resume_workflow, "operator", post=True),
    Place("/errors/{fingerprint}/replay", acting.replay, "operator", post=True),
    Place("/events", events.listing),
    Place("/events/send", sending.form),
    Place("/events/send", sending.send, "operator", post=True),
    Place("/events/rejected", events.rejected),
    Place("/events/{event}", events.show),
    Place("/webhooks", webhooks.listing),
    Place("/webhooks", webhooks.save, "admin", post=True),
    Place("/webhooks/{webhook}/remove", webhooks.remove, "admin", post=True),
    Place("/errors", errors.listing),
    Place("/approvals", approvals.listing),
    Place("/approvals/{approval}/{decision}", approvals.decide, "operator", post=True),
    Place("/schedules", schedules.listing),
    Place("/schedules/{function}/run", schedules.run_now, "operator", post=True),
    Place("/limits", limits.listing),
    Place("/workers", workers.listing),
    Place("/health", health.show),
    Place("/audit", audit.show, "admin"),
)


def create_app(site: Site, closing: Callable[[], bool] = lambda: False) -> ASGIApp:
    """Return the dashboard as an ASGI application; `closing` tells its endless answers to end."""
    live, attempts = Live(site, closing), Attempts()

    async def stream(request: Request) -> Response:
        events = live.events(request.query_params.get("run", ""))
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [
        *(_route(site, place) for place in PAGES),
        *(_route(site, Place(e.path, e.page, e.role, e.method == "POST")) for e in api.ENDPOINTS),
        Route("/e/{key}", intake.endpoint(site), methods=["POST"]),
        Route("/w/{webhook}", hooks.endpoint(site), methods=["POST"]),
        Route("/login", login.endpoint(site, attempts), methods=["GET", "POST"]),
        Route(
            "/logout", _endpoint(site, Place("/logout", login.leave, post=True)), methods=["POST"]
        ),
        Route("/live", stream),
        Route("/healthz", alive),
        Mount("/static", _Kept(directory=STATIC)),
    ]
    app: ASGIApp = Starlette(
        routes=[Mount(site.prefix, routes=routes)] if site.prefix else routes,
        middleware=[
            Middleware(_Prefixed, prefix=site.prefix),
            Middleware(GZipMiddleware, minimum_size=1_000),
            Middleware(Guard, access=site.access, prefix=site.prefix),
        ],
        exception_handlers={404: _missing, 405: _missing, Exception: _broken},
    )
    return app


def _route(site: Site, place: Place) -> Route:
    return Route(place.path, _endpoint(site, place), methods=["POST" if place.post else "GET"])


def _endpoint(site: Site, place: Place) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            who: Who = request.state.who
            if not who.may(place.role):
                raise Refused(403, f"{who.name} is a {who.role}; this takes the role {place.role}")
            ask = await _ask(request, who, place)
            return await run_in_threadpool(_respond, site, place, ask)
        except QflowError as error:
            return refuse(request.scope, status_of(error), str(error))

    return endpoint


async def _ask(request: Request, who: Who, place: Place) -> Ask:
    body, form = b"", dict[str, str]()
    if place.post:
        body = await read_body(request, _MOST_BYTES)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
            form = dict(fields)
    return Ask(
        who=who,
        path=dict(request.path_params),
        query=dict(request.query_params),
        body=body,
        form=form,
        partial=request.headers.get("hx-request") == "true",
    )


def _respond(site: Site, place: Place, ask: Ask) -> Response:
    if place.post:
        audit.note(site, ask, place.path)
    elif ask.query.get("unmask"):
        site = _unmasked(site, ask, place)
    return _response(site, ask, place.page(site, ask))


def _unmasked(site: Site, ask: Ask, place: Place) -> Site:
    if not site.unmasks_for(ask.who):
        raise Refused(403, "masked values are not shown to you: QFLOW_UNMASK says who may see them")
    audit.note(site, ask, f"{place.path} unmasked")
    return replace(site, opener=site.opener.unmasked())


def _response(site: Site, ask: Ask, answer: Answer) -> Response:
    if isinstance(answer, Json):
        text = json.dumps(answer.value, ensure_ascii=True, indent=2 if answer.name else None)
        headers = {"Content-Disposition": f'attachment; filename="{answer.name}"'}
        return Response(text, answer.status, headers if answer.name else None, "application/json")
    if isinstance(answer, Go):
        response = RedirectResponse(f"{site.prefix}{answer.path}", 303)
        if answer.leaving:
            response.delete_cookie(COOKIE, path=f"{site.prefix}/")
        return response
    return HTMLResponse(page_text(site, ask, answer), answer.status)


def page_text(site: Site, ask: Ask, answer: Html) -> str:
    """Return the text of a page; one that is whole also has what stands around all of them."""
    context: dict[str, Any] = {"prefix": site.prefix, "who": ask.who, "query": ask.query}
    context["partial"] = ask.partial
    context["now"] = now_ms(site.redis)
    context["vitals"] = vitals(site)
    context["may_unmask"] = site.unmasks_for(ask.who) and not ask.query.get("unmask")
    context["is_open"] = site.access.is_open
    return render(answer.template, {**context, **answer.context})


async def _missing(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    words = "there is no such page" if status == 404 else f"{request.method} does not work here"
    return refuse(request.scope, status, f"{request.url.path}: {words}")


async def _broken(request: Request, error: Exception) -> Response:
    kind = type(error).__name__
    return refuse(
        request.scope, 500, f"the dashboard itself failed with {kind}; its log says where"
    )


class _Prefixed:
    """Tells what refuses a request which path the dashboard lives under."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["qflow.prefix"] = self._prefix
        await self._app(scope, receive, send)


class _Kept(StaticFiles):
    """Files that browsers may keep: their addresses change with their contents."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
