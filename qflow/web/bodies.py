"""Bodies of requests, read no further than they may be long."""

from __future__ import annotations

from starlette.requests import Request

from qflow.web.exchange import Refused


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request; raise Refused as soon as it is larger than `most` bytes."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Refused(413, f"the body has more than {most // 1024} KiB, the limit")
        parts.append(part)
    return b"".join(parts)
