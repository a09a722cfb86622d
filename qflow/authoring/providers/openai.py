"""Any service that speaks OpenAI's chat completions: hosted ones, Ollama, vLLM, LM Studio, and so on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from qflow.authoring.providers.asking import Message, ProviderError
from qflow.authoring.providers.wire import Refusal, post

_UNPROCESSABLE: Final = (400, 415, 422, 501)


@dataclass(frozen=True)
class OpenAICompatible:
    """A model behind `<base_url>/chat/completions`, constrained by `response_format`.

    A service that refuses a JSON schema there is asked for JSON, with the schema in words.
    """

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        """What messages and versions call it."""
        return f"openai:{self.model}"

    def complete(self, system: str, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """Return the JSON text that the model answers."""
        constrained = {"name": "answer", "schema": schema, "strict": False}
        try:
            return self._ask(system, messages, {"type": "json_schema", "json_schema": constrained})
        except Refusal as refusal:
            if refusal.status not in _UNPROCESSABLE:
                raise
        words = (
            f"{system}\n\nAnswer with JSON of this schema and nothing else:\n{json.dumps(schema)}"
        )
        return self._ask(words, messages, {"type": "json_object"})

    def _ask(
        self, system: str, messages: Sequence[Message], response_format: Mapping[str, Any]
    ) -> str:
        body = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": system},
                *({"role": message.role, "content": message.text} for message in messages),
            ],
            "response_format": response_format,
            "temperature": 0,
        }
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        told = post(self.name, url, headers, body, self.timeout_s)
        try:
            content = told["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            content = None
        if not isinstance(content, str):
            raise ProviderError(f"{self.name} answers without a message; see QFLOW_AI_BASE_URL")
        return content
