"""Templates: found beside this module, escaped always, with the filters of `words`."""

from __future__ import annotations

import os
from functools import cache
from hashlib import sha256
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from qflow.read.said import given, of_attempt
from qflow.read.waterfall import waterfall
from qflow.web import coloured, words
from qflow.web.drawing import rects, ruler, spark

STATIC: Final = os.path.join(os.path.dirname(__file__), "static")


def moment(ms: int | None, now_ms: int) -> Markup:
    """Return a moment as how long ago it was; pointing at it shows the exact one."""
    if ms is None:
        return Markup("–")
    exact = words.clock(ms)
    shown = words.ago(ms, now_ms)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact.replace(" ", "T"), exact, shown
    )


def code_marks(text: str) -> Markup:
    """Return a sentence with what stands in backticks as code."""
    parts = words.safe(text).split("`")
    shown = [
        Markup("<code>{}</code>").format(p) if at % 2 else escape(p) for at, p in enumerate(parts)
    ]
    return Markup("").join(shown)


@cache
def version() -> str:
    """Return a mark of the static files, so that browsers may keep them until they change."""
    digest = sha256()
    for name in sorted(os.listdir(STATIC)):
        with open(os.path.join(STATIC, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:10]


@cache
def environment() -> Environment:
    """Return the templates."""
    made = Environment(
        loader=PackageLoader("qflow.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("ago", "clock", "compact", "count", "error_line", "length", "percent", "zoned"):
        made.filters[name] = getattr(words, name)
    made.filters["length_of"] = len
    made.filters["safe_text"] = words.safe  # Jinja's own `safe` would leave text unescaped
    made.filters["json"] = lambda value: coloured.json(words.pretty(value))
    made.filters["python"] = coloured.python
    made.filters["moment"] = moment
    made.filters["code_marks"] = code_marks
    made.globals.update(
        spark=spark, ruler=ruler, rects=rects, said_by=of_attempt, given=given, waterfall=waterfall
    )
    made.globals["asset"] = version()
    return made


def warm() -> None:
    """Read all templates, so that the first visitor need not wait for it."""
    made = environment()
    for name in made.list_templates():
        made.get_template(name)


def render(template: str, context: dict[str, Any]) -> str:
    """Return a page."""
    return environment().get_template(template).render(context)
