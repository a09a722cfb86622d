"""Slack's incoming webhooks, with its checks of a message and its answers."""

from __future__ import annotations

import json
from typing import Any, Final

from .http import Answer, HttpService, Request

_PATH: Final = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
_LIMITS: Final = {"plain_text": 150, "mrkdwn": 3000}


class Slack(HttpService):
    """A channel with an incoming webhook; `messages` is what was posted."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []

    @property
    def webhook(self) -> str:
        """The webhook's address."""
        return self.url + _PATH

    def reset(self) -> None:
        """Forget what happened."""
        super().reset()
        self.messages.clear()

    def answer(self, request: Request) -> Answer:
        """Take a message, or say what is wrong with it."""
        if request.path != _PATH:
            return Answer(404, "no_service")
        if request.method != "POST" or request.headers.get("Content-Type") != "application/json":
            return Answer(400, "invalid_payload")
        try:
            message = json.loads(request.body)
        except ValueError:
            return Answer(400, "invalid_payload")
        if not isinstance(message, dict) or not isinstance(message.get("text"), str):
            return Answer(400, "no_text")
        if not _are_blocks(message.get("blocks", [])):
            return Answer(400, "invalid_blocks")
        self.messages.append(message)
        return Answer(200, "ok")


def _are_blocks(blocks: object) -> bool:
    return isinstance(blocks, list) and len(blocks) <= 50 and all(map(_is_block, blocks))


def _is_block(block: Any) -> bool:
    kinds = {"header": ("plain_text",), "section": ("plain_text", "mrkdwn")}
    if not isinstance(block, dict) or block.get("type") not in kinds:
        return False
    text = block.get("text")
    if not isinstance(text, dict) or text.get("type") not in kinds[block["type"]]:
        return False
    return 1 <= len(text.get("text", "")) <= _LIMITS[text["type"]]
