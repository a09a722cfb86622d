"""HTTP services, with their errors sorted: which does waiting mend, which not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from qflow import NonRetriableError, RetryAfterError

from .settings import required


class ServiceError(Exception):
    """A service failed in a way that another attempt may mend."""


@dataclass(frozen=True)
class Service:
    """A service by its name and the environment variables that hold its address and token."""

    name: str
    address: str
    token: str = ""

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        """GET a path below the service's address."""
        return await self._send("GET", path, params=params)

    async def post(self, body: Any, path: str = "") -> httpx.Response:
        """POST a JSON body."""
        return await self._send("POST", path, json=body)

    async def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        base = required(self.address, f"the https:// address of {self.name}").rstrip("/")
        headers = {}
        if self.token:
            token = required(self.token, f"an access token of {self.name}")
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with httpx.AsyncClient(timeout=30) as client:
                url = base + path.removeprefix(urlsplit(base).path)  # pages name their whole path
                response = await client.request(method, url, headers=headers, **what)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise NonRetriableError(
                f"{self.address} must begin with https://; correct it"
            ) from None
        except httpx.TransportError as error:
            raise ServiceError(f"{self.name} is out of reach: {type(error).__name__}") from None
        return self._checked(response)

    def _checked(self, response: httpx.Response) -> httpx.Response:
        """Return a good answer; the address stays out of errors, for it may be a secret."""
        if response.is_success:
            return response
        status, wait = response.status_code, response.headers.get("Retry-After", "")
        said = f"{self.name} answered {status}: {' '.join(response.text.split())[:200]}"
        if status in (429, 503) and wait.isdecimal():
            raise RetryAfterError(said, min(timedelta(seconds=int(wait)), timedelta(days=1)))
        if status >= 500 or status in (408, 429):
            raise ServiceError(said)
        if status == 401 and self.token:
            raise NonRetriableError(f"{said}; put a valid token into {self.token}")
        raise NonRetriableError(f"{said}; see {self.address} and what is asked of it")
