"""REST services over HTTP, with their errors sorted: which does waiting mend, which not."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from qflow import NonRetriableError, RetryAfterError

from .environment import required

M = TypeVar("M", bound=BaseModel)

_TIMEOUT_S: Final = 30.0
_LONGEST_WAIT: Final = timedelta(days=1)
_SHOWN: Final = 200


class ServiceError(Exception):
    """A service failed in a way that another attempt may mend."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service by its name and the environment variables that hold its address and token."""

    name: str
    address: str
    token: str = ""

    async def get(self, path: str, model: type[M], params: Mapping[str, str] | None = None) -> M:
        """GET a path below the service's address and return the JSON answer as a `model`."""
        response = await self._send("GET", path, params=params)
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            found = error.errors(include_url=False)[0]
            place = ".".join(map(str, found["loc"]))
            raise ServiceError(
                f"{self.name} answered no proper {model.__name__}: {place} {found['msg']}"
            ) from None

    async def post(self, body: Mapping[str, Any]) -> None:
        """POST a JSON body to the service's address."""
        await self._send("POST", "", json=body)

    async def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        base = required(self.address, f"the https:// address of {self.name}")
        if not base.startswith(("https://", "http://")):
            raise NonRetriableError(f"{self.address} must begin with https://; correct it")
        headers = {}
        if self.token:
            token = required(self.token, f"an access token of {self.name}")
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with httpx.AsyncClient(verify=_tls(), timeout=_TIMEOUT_S) as client:
                url = base.rstrip("/") + path
                response = await client.request(method, url, headers=headers, **what)
        except httpx.TransportError as error:
            why = f"{type(error).__name__} {error}".strip()
            raise ServiceError(f"{self.name} ({self.address}) is out of reach: {why}") from None
        self._check(response)
        return response

    def _check(self, response: httpx.Response) -> None:
        """Raise what a failed answer means; the address stays out of it, for it may be a secret."""
        if response.is_success:
            return
        status, text = response.status_code, " ".join(response.text.split())[:_SHOWN]
        said = f"{self.name} answered {status} {response.reason_phrase}: {text or 'nothing more'}"
        if status == httpx.codes.UNAUTHORIZED and self.token:
            raise NonRetriableError(f"{said}; put a valid token into {self.token}")
        if status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
            wait = _retry_after(response.headers.get("Retry-After", ""))
            if wait is not None:
                raise RetryAfterError(said, wait)
            raise ServiceError(said)
        if status < httpx.codes.INTERNAL_SERVER_ERROR and status != httpx.codes.REQUEST_TIMEOUT:
            raise NonRetriableError(f"{said}; see {self.address} and what is asked of it")
        raise ServiceError(said)


def _retry_after(value: str) -> timedelta | None:
    """Return the wait that a Retry-After header asks for: seconds, or a date; None for neither."""
    try:
        wait = timedelta(seconds=int(value))
    except OverflowError:
        return _LONGEST_WAIT
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(max(wait, timedelta()), _LONGEST_WAIT)


@cache
def _tls() -> ssl.SSLContext:
    """Return the one TLS context of this process: making it holds the event loop for a while."""
    return httpx.create_ssl_context()
