"""The HTTP interface under /api/v1: one table gives the routes and the OpenAPI document.

It gives what the pages show, from the same reads, as JSON; times are ms since the epoch, by Redis's
clock. Errors are `{"error": …, "status": …}`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from qflow.read import bulks, doctor, events, finding, functions, query, runs, topology, webhooks
from qflow.read.faults import faults
from qflow.read.pace import paces
from qflow.read.stats import overview
from qflow.read.timeline import as_dict
from qflow.read.waterfall import waterfall
from qflow.web import api_runs, audit
from qflow.web.exchange import Answer, Ask, Endpoint, Json, Refused, Site
from qflow.web.intake import accept
from qflow.web.pages import acting, bulk
from qflow.web.pages import webhooks as hooks
from qflow.web.pages.events import ignored, received
from qflow.web.pages.story import tell

_MOST: Final = 500


def _functions(site: Site, _ask: Ask) -> Answer:
    views = functions.functions(site.redis, site.keys)
    found = paces(site.redis, site.keys, [view.id for view in views])
    listed = []
    for view in views:
        pace = found[view.id]
        told = {key: value for key, value in view.as_dict().items() if key != "source"}
        listed.append(
            {**told, "p50_ms": pace.p50, "p95_ms": pace.p95, "failure_rate": pace.failure_rate}
        )
    return Json({"functions": listed})


def _function(site: Site, ask: Ask) -> Answer:
    return Json(functions.function(site.redis, site.keys, ask.path["function"]).as_dict())


def _runs(site: Site, ask: Ask) -> Answer:
    asked = query.parse(ask.query.get("q", ""))
    page = runs.page(
        site.redis,
        site.keys,
        function=asked.function,
        statuses=asked.statuses,
        cursor=ask.query.get("cursor", ""),
        limit=_limit(ask),
        since=asked.since_ms(runs.now_ms(site.redis)),
    )
    rows = [site.opener.row(row).as_dict() for row in page.rows]
    return Json({"runs": rows, "cursor": page.cursor or None})


def _run(site: Site, ask: Ask) -> Answer:
    told = tell(site, runs.find(site.redis, site.keys, ask.path["run"]))
    spent = dict(waterfall(told).spent)
    return Json({**as_dict(told), "spent_ms": spent})


def _events(site: Site, ask: Ask) -> Answer:
    page = events.page(
        site.redis,
        site.keys.rejected if ask.query.get("rejected") else site.keys.events,
        cursor=ask.query.get("cursor", ""),
        limit=_limit(ask),
        name=ask.query.get("name", ""),
    )
    rows = [site.opener.event(row).as_dict() for row in page.rows]
    return Json({"events": rows, "cursor": page.cursor or None})


def _event(site: Site, ask: Ask) -> Answer:
    row = events.find(site.redis, site.keys.events, ask.path["event"])
    views = functions.functions(site.redis, site.keys)
    (found,) = received(site, [row], views)
    started = {run.function for run in found.runs}
    left = ignored(site, row, [view for view in views if view.id not in started])
    return Json(
        {
            **found.row.as_dict(),
            "runs": [run.as_dict() for run in found.runs],
            "ignored": [{"function": each.function, "why": each.why} for each in left],
        }
    )


def _send(site: Site, ask: Ask) -> Answer:
    return Json({"ids": accept(site, ask.body), "status": 200})


def _errors(site: Site, ask: Ask) -> Answer:
    groups = faults(site.redis, site.keys, ask.query.get("function", ""))
    mask = site.opener.mask
    return Json({"errors": [{**g.as_dict(), "message": mask.text(g.message)} for g in groups]})


def _workers(site: Site, _ask: Ask) -> Answer:
    found = topology.workers(site.redis, site.keys)
    fields = ("name", "live", "lease_ms", "runs", "host", "pid", "state", "finished", "failed")
    leader = topology.leader(site.redis, site.keys)
    return Json(
        {
            "workers": [{name: getattr(each, name) for name in fields} for each in found],
            "leader": {"holder": leader.holder or None, "live": leader.live},
        }
    )


def _health(site: Site, _ask: Ask) -> Answer:
    found = doctor.findings(doctor.examine(site.redis, site.keys))
    seen = overview(site.redis, site.keys)
    return Json(
        {
            "findings": [finding.as_dict() for finding in found],
            "queue_depth": seen.queue_depth,
            "oldest_wait_ms": seen.oldest_wait_ms,
            "runs": seen.runs,
        }
    )


def _cancel(site: Site, ask: Ask) -> Answer:
    return Json({"id": acting.cancel_run(site, ask), "status": "cancelled"})


def _rerun(site: Site, ask: Ask) -> Answer:
    wanted = ask.json()
    if not isinstance(wanted, dict):
        raise Refused(400, "the body is an object with step and data, both optional")
    data = json.dumps(wanted["data"]) if "data" in wanted else ""
    return Json({"id": acting.rerun_run(site, ask, str(wanted.get("step") or ""), data)})


def _pause(site: Site, ask: Ask) -> Answer:
    wanted = ask.json()
    how = wanted.get("how", "hold") if isinstance(wanted, dict) else ""
    acting.pause_function(site, ask.path["function"], how)
    return Json({"paused": how})


def _find(site: Site, ask: Ask) -> Answer:
    found = finding.find(site.redis, site.keys, ask.query.get("q", ""))
    return Json(
        {"found": [{**each._asdict(), "path": f"/{each.kind}s/{each.id}"} for each in found]}
    )


def _bulks(site: Site, _ask: Ask) -> Answer:
    return Json({"bulk": [view.as_dict() for view in bulks.newest(site.redis, site.keys)]})


def _begin_bulk(site: Site, ask: Ask) -> Answer:
    return Json(bulk.begin_json(site, ask).as_dict())


def _bulk(site: Site, ask: Ask) -> Answer:
    return Json(bulks.find(site.redis, site.keys, ask.path["bulk"]).as_dict())


def _stop_bulk(site: Site, ask: Ask) -> Answer:
    name = bulk.stop_bulk(site, ask.path["bulk"])
    return Json(bulks.find(site.redis, site.keys, name).as_dict())


def _webhooks(site: Site, _ask: Ask) -> Answer:
    return Json({"webhooks": [view.as_dict() for view in webhooks.webhooks(site.redis, site.keys)]})


def _save_webhook(site: Site, ask: Ask) -> Answer:
    wanted = ask.json()
    if not isinstance(wanted, dict) or not all(isinstance(each, str) for each in wanted.values()):
        raise Refused(400, "the body is an object of texts: id, preset, event, secret_env")
    return Json(hooks.save_webhook(site, wanted).as_dict())


def _remove_webhook(site: Site, ask: Ask) -> Answer:
    hooks.remove_webhook(site, ask.path["webhook"])
    return Json({"removed": ask.path["webhook"]})


def _resume(site: Site, ask: Ask) -> Answer:
    return Json({"started": acting.resume_function(site, ask.path["function"])})


def _audit(site: Site, _ask: Ask) -> Answer:
    return Json({"audit": audit.entries(site)})


def _limit(ask: Ask) -> int:
    given = ask.query.get("limit", "50")
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:5]) <= _MOST:
        raise Refused(400, f"limit={given!r}: a whole number from 1 to {_MOST}")
    return int(given)


_CURSOR: Final = ("cursor", "the `cursor` of the page before")
_LIMIT: Final = ("limit", f"at most so many, up to {_MOST}; 50 unless given")

_TABLE: Final = (
    Endpoint("functions", _functions, "Every published function, its runs by status, its pace"),
    Endpoint("functions/{function}", _function, "One function, with its source"),
    Endpoint(
        "runs",
        _runs,
        "Runs, newest first",
        (("q", "function:ID status:S,S since:2h"), _CURSOR, _LIMIT),
    ),
    Endpoint("runs/{run}", _run, "One run: steps, attempts, output, where the time went"),
    Endpoint(
        "events",
        _events,
        "Events, newest first",
        (
            ("name", "with * anywhere"),
            ("rejected", "1: those that could not be read"),
            _CURSOR,
            _LIMIT,
        ),
    ),
    Endpoint(
        "events/{event}", _event, "One event: runs it started, functions that ignored it and why"
    ),
    Endpoint(
        "events", _send, "Send an event, a list of them, or one a line", (), "POST", "operator"
    ),
    Endpoint("runs/{run}/cancel", _cancel, "Cancel a run", (), "POST", "operator"),
    Endpoint(
        "runs/{run}/rerun",
        _rerun,
        "Run it again: {step, data}, both optional",
        (),
        "POST",
        "operator",
    ),
    Endpoint(
        "functions/{function}/pause", _pause, "Pause: {how: hold or skip}", (), "POST", "operator"
    ),
    Endpoint("functions/{function}/resume", _resume, "End a pause", (), "POST", "operator"),
    Endpoint(
        "find", _find, "What has an id: runs and events", (("q", "an id, or part of a run's"),)
    ),
    Endpoint("bulk", _bulks, "Actions on many runs, newest first"),
    Endpoint(
        "bulk",
        _begin_bulk,
        "Act on many runs: {kind: cancel, rerun or retry, q or runs: [id], rate: runs a second}",
        (),
        "POST",
        "operator",
    ),
    Endpoint("bulk/{bulk}", _bulk, "One action: how far it is, and with which runs it failed"),
    Endpoint("bulk/{bulk}/stop", _stop_bulk, "Stop it", (), "POST", "operator"),
    Endpoint("webhooks", _webhooks, "Webhooks with their counts and newest deliveries"),
    Endpoint(
        "webhooks",
        _save_webhook,
        "Add or change one: {id, preset, event, secret_env, header, id_header}, headers optional",
        (),
        "POST",
        "admin",
    ),
    Endpoint("webhooks/{webhook}/remove", _remove_webhook, "Remove one", (), "POST", "admin"),
    Endpoint("errors", _errors, "Failed runs by fingerprint", (("function", "only of this one"),)),
    Endpoint("workers", _workers, "Workers with their leases, and the leading scheduler"),
    Endpoint("health", _health, "What `qflow doctor` finds"),
    *api_runs.TABLE,
    Endpoint("audit", _audit, "Who did what", (), "GET", "admin"),
)


def _openapi(site: Site, _ask: Ask) -> Answer:
    return Json(document(site.prefix))


def document(prefix: str = "") -> dict[str, Any]:
    """Return the OpenAPI document of the interface."""
    from qflow import __version__

    paths: dict[str, Any] = {}
    for each in ENDPOINTS[:-1]:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    paths["/e/{key}"] = {
        "post": {
            "summary": "Send events as Inngest's clients do; the key is an event key",
            "parameters": [_parameter("key", "path", "an event key")],
            **_answers(),
        }
    }
    paths["/w/{webhook}"] = {
        "post": {
            "summary": "Deliver to a webhook; the signature is the login",
            "parameters": [_parameter("webhook", "path", "the id of a webhook")],
            **_answers(),
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "qflow", "version": __version__},
        "servers": [{"url": prefix or "/"}],
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def _operation(each: Endpoint) -> dict[str, Any]:
    named = [_parameter(name, "path", "") for name in re.findall(r"{(\w+)}", each.path)]
    asked = [_parameter(name, "query", text) for name, text in each.query]
    content: dict[str, Any] = {"content": {"application/json": {}}}
    body: dict[str, Any] = {"requestBody": content} if each.method == "POST" else {}
    return {
        "summary": each.summary,
        "description": f"Takes the role {each.role}.",
        "parameters": named + asked,
        **body,
        **_answers(),
    }


def _answers() -> dict[str, Any]:
    texts = {"200": "done", "400": "what is wrong, and where", "413": "over a limit"}
    return {"responses": {status: {"description": text} for status, text in texts.items()}}


def _parameter(name: str, place: str, text: str) -> dict[str, Any]:
    described = {"description": text} if text else {}
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"},
            **described}  # fmt: skip


ENDPOINTS: Final = (
    *(each._replace(path=f"/api/v1/{each.path}") for each in _TABLE),
    Endpoint("/api/v1/openapi.json", _openapi, "This document"),
)
