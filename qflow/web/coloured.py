"""Source and JSON with their parts in colour, made here so that pages need no script for it."""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import JsonLexer, PythonLexer

from qflow.web.words import LONGEST_SHOWN, safe

_FORMATTER = HtmlFormatter(nowrap=True)


@lru_cache(maxsize=256)
def python(source: str) -> Markup:
    """Return Python source as HTML: escaped, each part in a span of its class."""
    return Markup(highlight(safe(source), PythonLexer(stripnl=False), _FORMATTER))  # noqa: S704  # pygments escapes


@lru_cache(maxsize=256)
def json(text: str) -> Markup:
    """Return JSON as HTML, cut at what a page shows."""
    shown = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "\n…"
    return Markup(highlight(shown, JsonLexer(), _FORMATTER))  # noqa: S704  # pygments escapes
