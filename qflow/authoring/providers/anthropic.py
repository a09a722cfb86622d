"""Anthropic's own interface: the form of the answer is a tool that the model must call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from qflow.authoring.providers.asking import Message, ProviderError
from qflow.authoring.providers.wire import post

_VERSION: Final = "2023-06-01"
_TOKENS: Final = 8_192


@dataclass(frozen=True)
class Anthropic:
    """A model behind `<base_url>/v1/messages`."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        """What messages and versions call it."""
        return f"anthropic:{self.model}"

    def complete(self, system: str, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """Return the input with which the model calls the tool, as JSON text; else what it says."""
        tool = {"name": "answer", "description": "Give the answer.", "input_schema": schema}
        body = {
            "model": self.model,
            "max_tokens": _TOKENS,
            "system": system,
            "messages": [{"role": each.role, "content": each.text} for each in messages],
            "tools": [tool],
            "tool_choice": {"type": "tool", "name": "answer"},
        }
        headers = {"x-api-key": self.key, "anthropic-version": _VERSION}
        url = f"{self.base_url.rstrip('/')}/v1/messages"
        told = post(self.name, url, headers, body, self.timeout_s)
        parts = told.get("content") if isinstance(told, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and part.get("type") == "tool_use":
                return json.dumps(part.get("input"))
        texts = [str(p.get("text", "")) for p in parts or () if isinstance(p, dict)]
        if not texts:
            raise ProviderError(f"{self.name} answers without content; see QFLOW_AI_BASE_URL")
        return "".join(texts)
