"""What a page is given and what it answers: plain values, so that pages are plain functions.

A page is `def page(site, ask) -> Answer`. It runs on a thread of its own, may block on Redis, and
knows nothing of HTTP beyond this.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from qflow.core.middleware import Hooks
from qflow.errors import QflowError
from qflow.read.opened import Opener
from qflow.store.keys import Keys
from qflow.store.redis import Redis
from qflow.store.stream import Keep
from qflow.web.access import Access, Who


class Refused(QflowError):
    """A request that is answered with an HTTP status of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages share. `prefix` is the path that the dashboard lives under, "" or "/qflow";
    `unmask` the role that may see masked values, "nobody" for none."""

    redis: Redis
    keys: Keys
    access: Access
    opener: Opener = field(default_factory=Opener)
    hooks: Hooks | None = None
    prefix: str = ""
    unmask: str = "nobody"
    keep: Keep = field(default_factory=lambda: Keep(500, 7 * 86_400))

    def unmasks_for(self, who: Who | None) -> bool:
        """Return whether masked values may be shown to somebody."""
        allowed = who is not None and self.unmask == who.role
        return allowed and not self.opener.mask.is_empty


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: the parts of its path, its query, the fields of its form or its JSON body."""

    who: Who
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    form: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False

    def json(self) -> Any:
        """Return the JSON of the body; raise Refused, naming the place, where it is none."""
        try:
            return json.loads(self.body or b"{}")
        except UnicodeDecodeError as error:
            raise Refused(400, f"the body is not UTF-8 at byte {error.start}") from None
        except json.JSONDecodeError as error:
            at = f"line {error.lineno} column {error.colno}"
            raise Refused(400, f"the body is not JSON at {at}: {error.msg}") from None
        except RecursionError:
            raise Refused(400, "the body is nested too deeply") from None


@dataclass(frozen=True, slots=True)
class Html:
    """A page made from a template."""

    template: str
    context: Mapping[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON answer; `name` makes it a file to download."""

    value: Any
    status: int = 200
    name: str = ""


@dataclass(frozen=True, slots=True)
class Go:
    """Another page to look at; `leaving` ends the session on the way."""

    path: str
    leaving: bool = False


Answer = Html | Json | Go
Page = Callable[[Site, Ask], Answer]


class Endpoint(NamedTuple):
    """A path under /api/v1: what it gives, and the parameters of its query with their meaning."""

    path: str
    page: Page
    summary: str
    query: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    role: str = "viewer"
