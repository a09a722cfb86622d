"""qflow's own worker reads no payload: someone who can write to Redis cannot run code in it."""

from __future__ import annotations

import pickle
import re
import zlib
from pathlib import Path

import pytest
from cases.world import World

import qflow
from qflow import SyncStep

LOADS = re.compile(
    r"\b(?:import\s+(?:c?pickle|dill|cloudpickle|marshal|shelve)|from\s+(?:c?pickle|dill|marshal|shelve)\b"
    r"|pickle\.loads?|yaml\.(?:unsafe_)?load\b|eval\(|exec\()"
)
PACKAGE = Path(qflow.__file__).parent


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_nothing_is_unpickled(path: Path) -> None:
    found = LOADS.findall(path.read_text())
    assert not found, f"{path} loads what may come from Redis: {found}"


class Poison:
    """Unpickling it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.target), "w")


def test_a_poisoned_payload_is_never_loaded(world: World) -> None:
    target = world.folder / "poisoned"

    @world.app.function("safe", trigger="go")
    def safe(step: SyncStep) -> str:
        step.run("one", lambda: 1)
        step.sleep("nap", 0.05)
        return "safe"

    world.publish()
    run = world.run_of(world.send("go"), "safe")
    payload = pickle.dumps(Poison(target))
    poison = zlib.compress(payload)
    job = world.keys.job(f"{run}-enter-1")
    fields = [part for name in ("data", "meta", "result") for part in (name, poison)]
    world.redis.call("HSET", job, *fields)
    world.worker()
    assert world.until_status(run, "completed").output == "safe"
    assert not target.exists()
    pickle.loads(payload).close()
    assert target.exists(), "the poison works where it is loaded"
