"""Durable, event-driven workflows in Python on Redis and RQ."""

from qflow.app import App
from qflow.core.context import Run
from qflow.core.cron import Cron
from qflow.core.event import Event
from qflow.core.function import Function
from qflow.core.retry import Backoff
from qflow.core.step import Step, SyncStep
from qflow.core.trigger import EventTrigger
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
    StepError,
    StepTimeout,
)

__all__ = [
    "App",
    "Backoff",
    "CodecError",
    "ConfigError",
    "Cron",
    "DefinitionError",
    "Event",
    "EventError",
    "EventTrigger",
    "Function",
    "LimitError",
    "NestedStepError",
    "NonRetriableError",
    "QflowError",
    "RedisError",
    "RetryAfterError",
    "Run",
    "Step",
    "StepError",
    "StepTimeout",
    "SyncStep",
]

__version__ = "0.1.0"
