"""How much two workers do beside one, where both share the machine with Redis."""

from __future__ import annotations

from collections.abc import Mapping


def ratio(two: Mapping[str, float], one: Mapping[str, float]) -> float:
    """Return steps/s of two workers over steps/s of one, of one round of measurements."""
    return two["steps_per_s"] / one["steps_per_s"]
