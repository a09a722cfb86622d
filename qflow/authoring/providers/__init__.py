"""Models that turn words into a spec: any OpenAI-compatible one, Anthropic's, or one of your own."""

from qflow.authoring.providers.asking import Asked, Provider, ask
from qflow.authoring.providers.choice import chosen

__all__ = ["Asked", "Provider", "ask", "chosen"]
