"""Tests of durable functions in memory: no Redis, and time that passes when the test says so.

`Harness` and what it hands out are for users. The modules `server`, `processes` and `leaks` serve
qflow's own tests, which need a real Redis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qflow.testing.controls import Controls
    from qflow.testing.harness import Harness
    from qflow.testing.record import HarnessRun, ReplayError, RunFailed, StepRecord
    from qflow.testing.state import Moment
    from qflow.testing.stub import Stub

__all__ = [
    "Controls",
    "Harness",
    "HarnessRun",
    "Moment",
    "ReplayError",
    "RunFailed",
    "StepRecord",
    "Stub",
]

# Imported when first asked for: pytest loads the plugin of this package in every test suite.
_HOMES = {
    "Controls": "qflow.testing.controls",
    "Harness": "qflow.testing.harness",
    "HarnessRun": "qflow.testing.record",
    "Moment": "qflow.testing.state",
    "ReplayError": "qflow.testing.record",
    "RunFailed": "qflow.testing.record",
    "StepRecord": "qflow.testing.record",
    "Stub": "qflow.testing.stub",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
