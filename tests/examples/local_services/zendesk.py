"""Zendesk's search export: tickets by cursor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .http import Answer, HttpService, Request

TOKEN: Final = "81d7de1b-example-oauth-token"
_ORDER: Final = ("new", "open", "pending", "hold", "solved", "closed")
_SEARCH: Final = "/api/v2/search/export"


class Zendesk(HttpService):
    """An account with `tickets`; whatever page size is asked for, `most` are given at once."""

    def __init__(self, most: int = 3) -> None:
        super().__init__()
        self.tickets: list[dict[str, Any]] = []
        self._most = most

    def add(
        self, subject: str | None, priority: str | None, days: int, status: str = "open"
    ) -> int:
        """Add a ticket that is `days` days old; return its id."""
        number = 1000 + len(self.tickets)
        created = (datetime.now(UTC) - timedelta(days=days, minutes=5)).strftime("%Y-%m-%dT%XZ")
        self.tickets.append(
            {
                "id": number,
                "subject": subject,
                "priority": priority,
                "status": status,
                "created_at": created,
                "tags": ["billing"],
                "result_type": "ticket",
            }
        )
        return number

    def answer(self, request: Request) -> Answer:
        """Answer a search."""
        if request.bearer != TOKEN:
            return Answer(401, {"error": "invalid_token", "error_description": "expired"})
        query = request.query
        if request.path != _SEARCH or query.get("filter[type]") != "ticket":
            return Answer(422, {"error": "missing_parameter", "description": "filter[type]"})
        word, _, limit = query.get("query", "").partition("<")
        if word != "status" or limit not in _ORDER or int(query.get("page[size]", "100")) > 1000:
            return Answer(422, {"error": "invalid_search", "description": query.get("query", "")})
        wanted = _ORDER[: _ORDER.index(limit)]
        found = [ticket for ticket in self.tickets if ticket["status"] in wanted]
        start = int(query.get("page[after]", "c0")[1:])
        end = start + min(self._most, int(query.get("page[size]", "100")))
        more = end < len(found)
        meta = {
            "has_more": more,
            "after_cursor": f"c{end}" if more else None,
            "before_cursor": None,
        }
        link = f"{self.url}{_SEARCH}?page[after]=c{end}" if more else None
        links = {"prev": None, "next": link}
        body = {"results": found[start:end], "facets": None, "meta": meta, "links": links}
        return Answer(200, body)
