"""Webhooks: where other services deliver to, what came, and what was refused."""

from __future__ import annotations

import os

from qflow.core.webhook import PRESETS, Webhook
from qflow.errors import QflowError
from qflow.read import webhooks
from qflow.read.nearest import NotFound, nearest
from qflow.store import webhook
from qflow.web.exchange import Answer, Ask, Go, Html, Site

_FIELDS = ("id", "preset", "event", "secret_env", "header", "id_header")


def listing(site: Site, ask: Ask) -> Answer:
    """List the webhooks with their newest deliveries."""
    return _page(site, ask, {}, "")


def save(site: Site, ask: Ask) -> Answer:
    """Configure a webhook; show the form again, with what is wrong, where that cannot be."""
    fields = {name: ask.form.get(name, "").strip() for name in _FIELDS}
    try:
        save_webhook(site, fields)
    except QflowError as error:
        return _page(site, ask, fields, str(error), 400)
    return Go("/webhooks")


def save_webhook(site: Site, fields: dict[str, str]) -> Webhook:
    """Configure a webhook; raise UsageError where it cannot be."""
    base = {name: fields.get(name, "") for name in _FIELDS[:4]}
    more = {name: fields[name] for name in _FIELDS[4:] if fields.get(name)}
    hook = Webhook(**base, **more)
    webhook.save(site.redis, site.keys, hook)
    return hook


def remove(site: Site, ask: Ask) -> Answer:
    """Forget a webhook."""
    remove_webhook(site, ask.path["webhook"])
    return Go("/webhooks")


def remove_webhook(site: Site, name: str) -> None:
    """Forget a webhook; raise NotFound where there is none of that name."""
    if not webhook.remove(site.redis, site.keys, name):
        known = [view.hook.id for view in webhooks.webhooks(site.redis, site.keys, 1)]
        near = nearest(name, known)
        raise NotFound(f"no webhook {name!r}" + (f"; did you mean {near!r}?" if near else ""))


def _page(site: Site, ask: Ask, fields: dict[str, str], problem: str, status: int = 200) -> Answer:
    found = webhooks.webhooks(site.redis, site.keys)
    missing = {view.hook.id for view in found if not any(map(os.environ.get, view.hook.variables))}
    context = {
        "at": "events", "tab": "webhooks", "webhooks": found, "missing": missing, "fields": fields,
        "problem": problem, "presets": PRESETS,
    }  # fmt: skip
    return Html("_webhook_rows.html" if ask.partial else "webhooks.html", context, status)
