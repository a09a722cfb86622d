"""Which model the settings name: none, which is the offline planner, or one."""

from __future__ import annotations

from typing import Final

from qflow.authoring.providers.anthropic import Anthropic
from qflow.authoring.providers.asking import Provider
from qflow.authoring.providers.openai import OpenAICompatible
from qflow.config import Settings
from qflow.errors import ConfigError

_ANTHROPIC: Final = "https://api.anthropic.com"
_OPENAI: Final = "https://api.openai.com/v1"


def chosen(settings: Settings) -> Provider | None:
    """Return the model to ask, None for the offline planner; raise ConfigError where half of it is set."""
    kind = settings.ai_provider
    if kind == "auto":
        if not (settings.ai_base_url or settings.ai_key or settings.ai_model):
            return None
        kind = "anthropic" if "anthropic" in settings.ai_base_url else "openai"
    if kind == "offline":
        return None
    if not settings.ai_model:
        raise ConfigError("QFLOW_AI_MODEL is not set: name the model to ask, such as qwen3:14b")
    timeout_s = settings.ms("ai_timeout") / 1000
    if kind == "anthropic":
        if not settings.ai_key:
            raise ConfigError("QFLOW_AI_KEY is not set: Anthropic's interface needs a key")
        base = settings.ai_base_url or _ANTHROPIC
        return Anthropic(base, settings.ai_model, settings.ai_key, timeout_s)
    if not (settings.ai_base_url or settings.ai_key):
        raise ConfigError(
            "QFLOW_AI_KEY is not set: give a key, or QFLOW_AI_BASE_URL for a service without one"
        )
    base = settings.ai_base_url or _OPENAI
    return OpenAICompatible(base, settings.ai_model, settings.ai_key, timeout_s)
