"""`POST /w/<webhook>`: a delivery with the right signature becomes an event."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from qflow.core.event import MAX_EVENT_BYTES
from qflow.core.webhook import Delivery, Unsigned, Webhook, challenge, check, read
from qflow.errors import QflowError
from qflow.store import stream, webhook
from qflow.web import audit
from qflow.web.access import Who
from qflow.web.bodies import read_body
from qflow.web.exchange import Ask, Refused, Site
from qflow.web.refusals import status_of

_AUDITED_EVERY_S: Final = 60.0
"""Refusals of one webhook are audited this often: a flood of them must not push out all else."""


def endpoint(site: Site) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `POST /w/<webhook>`."""
    audited: dict[str, float] = {}

    async def receive(request: Request) -> Response:
        name = request.path_params["webhook"]
        hook: Webhook | None = None
        try:
            hook = await run_in_threadpool(webhook.find, site.redis, site.keys, name)
            if hook is None:
                raise Refused(404, "there is no webhook of this name")
            body = await read_body(request, MAX_EVENT_BYTES)
            delivery = Delivery(dict(request.headers), body)
            return await run_in_threadpool(_take, site, hook, delivery)
        except QflowError as error:
            status = 401 if isinstance(error, Unsigned) else status_of(error)
            if hook is not None:
                await run_in_threadpool(_note_refusal, site, hook, status, str(error), audited)
            return JSONResponse({"error": str(error), "status": status}, status)

    return receive


def _take(site: Site, hook: Webhook, delivery: Delivery) -> Response:
    secrets = [secret for name in hook.variables if (secret := os.environ.get(name))]
    if not secrets:
        raise Refused(503, f"its secret is not here: set {hook.variables[0]} for the dashboard")
    check(hook, delivery, secrets, int(time.time()))
    event = read(hook, delivery, time.time_ns() // 1_000_000)
    told = challenge(hook, event)
    if told is not None:
        webhook.note(site.redis, site.keys, hook.id, 200, "", "", "the address was checked")
        return PlainTextResponse(told)
    stream.append(site.redis, site.keys, [event])
    webhook.note(site.redis, site.keys, hook.id, 200, event.name, event.id, "")
    return JSONResponse({"ids": [event.id], "status": 200})


def _note_refusal(
    site: Site, hook: Webhook, status: int, why: str, audited: dict[str, float]
) -> None:
    if status == 503 and "its secret" not in why:
        return  # Redis is out of reach: there is nowhere to write
    webhook.note(site.redis, site.keys, hook.id, status, "", "", why)
    now = time.monotonic()
    if status == 401 and now - audited.get(hook.id, -_AUDITED_EVERY_S) >= _AUDITED_EVERY_S:
        audited[hook.id] = now
        sender = Ask(Who("webhook", "viewer"), form={"why": why})
        audit.note(site, sender, f"/w/{hook.id} refused")
