"""Durable, event-driven workflows in Python on Redis and RQ."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qflow.app import App
    from qflow.core.cancel import CancelOn, Timeouts
    from qflow.core.context import Run
    from qflow.core.cron import Cron
    from qflow.core.event import Event
    from qflow.core.function import Function
    from qflow.core.middleware import Middleware, Place, StepContext
    from qflow.core.retry import Backoff
    from qflow.core.sealed import Sealed
    from qflow.core.step import Step, SyncStep
    from qflow.core.trigger import EventTrigger
    from qflow.core.waits import Approval
    from qflow.errors import (
        CodecError,
        ConfigError,
        DefinitionError,
        EventError,
        LimitError,
        NestedStepError,
        NonRetriableError,
        QflowError,
        RedisError,
        RetryAfterError,
        SealedError,
        StepError,
        StepTimeout,
    )

__all__ = [
    "App",
    "Approval",
    "Backoff",
    "CancelOn",
    "CodecError",
    "ConfigError",
    "Cron",
    "DefinitionError",
    "Event",
    "EventError",
    "EventTrigger",
    "Function",
    "LimitError",
    "Middleware",
    "NestedStepError",
    "NonRetriableError",
    "Place",
    "QflowError",
    "RedisError",
    "RetryAfterError",
    "Run",
    "Sealed",
    "SealedError",
    "Step",
    "StepContext",
    "StepError",
    "StepTimeout",
    "SyncStep",
    "Timeouts",
]

__version__ = "0.1.0"

# Imported when first asked for: a producer or a command line pays for what it uses only.
_HOMES = {
    "App": "qflow.app",
    "Approval": "qflow.core.waits",
    "Backoff": "qflow.core.retry",
    "CancelOn": "qflow.core.cancel",
    "CodecError": "qflow.errors",
    "ConfigError": "qflow.errors",
    "Cron": "qflow.core.cron",
    "DefinitionError": "qflow.errors",
    "Event": "qflow.core.event",
    "EventError": "qflow.errors",
    "EventTrigger": "qflow.core.trigger",
    "Function": "qflow.core.function",
    "LimitError": "qflow.errors",
    "Middleware": "qflow.core.middleware",
    "NestedStepError": "qflow.errors",
    "NonRetriableError": "qflow.errors",
    "Place": "qflow.core.middleware",
    "QflowError": "qflow.errors",
    "RedisError": "qflow.errors",
    "RetryAfterError": "qflow.errors",
    "Run": "qflow.core.context",
    "Sealed": "qflow.core.sealed",
    "SealedError": "qflow.errors",
    "Step": "qflow.core.step",
    "StepContext": "qflow.core.middleware",
    "StepError": "qflow.errors",
    "StepTimeout": "qflow.errors",
    "SyncStep": "qflow.core.step",
    "Timeouts": "qflow.core.cancel",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
