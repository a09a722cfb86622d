"""What a workflow is told by its environment."""

from __future__ import annotations

import os

from qflow import NonRetriableError


def required(name: str, meaning: str) -> str:
    """Return the environment variable `name`; an empty one ends the step, saying what to set."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise NonRetriableError(f"{name} is not set: set it to {meaning}, and restart the worker")
    return value


def optional(name: str, default: str = "") -> str:
    """Return the environment variable `name`, or `default` where it is empty."""
    return os.environ.get(name, "").strip() or default
