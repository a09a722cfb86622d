"""One request to a model over HTTP, with its errors in words. Keys stand in no message."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from qflow.authoring.masking import masked_text
from qflow.authoring.providers.asking import ProviderError
from qflow.errors import UsageError

_LONGEST_WAIT_S: Final = 20.0
_SHOWN: Final = 200
_MAX_BYTES: Final = 4 << 20
_TOO_MANY: Final = (429, 503, 529)


class Refusal(ProviderError):
    """The service answered with an error; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def post(
    name: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any], timeout_s: float
) -> Any:
    """Return what a service answers to a JSON body, waiting once where it asks for that.

    Raises ProviderError, saying what to do.
    """
    try:
        return _post(name, url, headers, body, timeout_s)
    except _Later as later:
        time.sleep(later.wait_s)
    try:
        return _post(name, url, headers, body, timeout_s)
    except _Later as later:
        raise Refusal(f"{later}; try again later, or use another model", later.status) from None


class _Later(Refusal):
    def __init__(self, message: str, status: int, wait_s: float) -> None:
        super().__init__(message, status)
        self.wait_s = wait_s


def _post(
    name: str, url: str, headers: Mapping[str, str], body: Mapping[str, Any], timeout_s: float
) -> Any:
    try:
        import httpx
    except ModuleNotFoundError:
        raise UsageError("a model is asked over httpx: pip install 'qflow[ai]'") from None
    began = time.monotonic()
    try:
        with httpx.stream(
            "POST", url, headers=dict(headers), json=body, timeout=timeout_s
        ) as response:
            raw = b""
            for chunk in response.iter_bytes():
                raw += chunk
                if len(raw) > _MAX_BYTES:
                    raise ProviderError(f"{name} answers more than {_MAX_BYTES >> 20} MiB")
                if time.monotonic() - began > timeout_s:
                    raise ProviderError(_slow(name, timeout_s))
    except httpx.TimeoutException:
        raise ProviderError(_slow(name, timeout_s)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise ProviderError(f"{name} is out of reach: {why}; see QFLOW_AI_BASE_URL") from None
    if not response.is_success:
        raise _refusal(name, response.status_code, raw, response.headers.get("Retry-After", ""))
    try:
        return json.loads(raw)
    except ValueError:
        raise ProviderError(f"{name} answers no JSON; see QFLOW_AI_BASE_URL") from None


def _slow(name: str, timeout_s: float) -> str:
    return f"{name} gave no answer within {timeout_s:g} s; see QFLOW_AI_TIMEOUT"


def _refusal(name: str, status: int, raw: bytes, after: str) -> Refusal:
    text = masked_text(" ".join(raw.decode("utf-8", "replace").split()))[:_SHOWN]
    said = f"{name} answered {status}: {text or 'nothing more'}"
    if status in (401, 403):
        return Refusal(f"{said}; put a valid key into QFLOW_AI_KEY", status)
    if status == 404:
        return Refusal(f"{said}; see QFLOW_AI_BASE_URL and QFLOW_AI_MODEL", status)
    if status in _TOO_MANY:
        wait_s = float(after) if after.replace(".", "", 1).isdigit() else 1.0
        if wait_s <= _LONGEST_WAIT_S:
            return _Later(said, status, wait_s)
        return Refusal(f"{said}; it asks to wait {wait_s:g} s", status)
    return Refusal(said, status)
