"""A scene to look at."""

from __future__ import annotations

import pytest
from read.scenes import Scene

from qflow.store.keys import Keys
from qflow.store.redis import Redis


@pytest.fixture
def scene(redis: Redis, keys: Keys) -> Scene:
    """A namespace whose worker `w1` has a lease and whose functions `pay` and `ship` are published."""
    made = Scene(redis, keys)
    made.publish("pay", "ship")
    made.enlist()
    return made
