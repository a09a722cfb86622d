"""Records histories: `python tests/golden/record.py NAME…` runs those functions until they wait.

A history is a run as Redis holds it: its fields and its finished steps. Those of released versions stay
as they are; record a new function, or a new name for one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
HISTORIES = Path(__file__).with_name("histories")


def record(name: str) -> dict[str, Any]:
    """Run a function until it waits; return its history."""
    from cases.world import World
    from golden.flows import define

    from qflow import __version__
    from qflow.store.keys import Keys
    from qflow.testing.server import RedisServer

    with (
        RedisServer() as server,
        tempfile.TemporaryDirectory() as folder,
        World(server.url, Keys("golden"), Path(folder)) as world,
    ):
        define(world.app)
        world.serve()
        world.worker()
        run = world.run_of(world.send(f"golden/{name}", {"number": 7}, id=f"e-{name}"), name)
        found = world.until_status(run, "waiting")
        return {
            "function": name,
            "qflow": __version__,
            "run": run,
            "fields": dict(sorted(found.fields.items())),
            "steps": dict(sorted(found.steps.items())),
        }


def main(names: list[str]) -> None:
    """Write the histories of these functions."""
    sys.path.insert(0, str(TESTS))
    HISTORIES.mkdir(exist_ok=True)
    for name in names:
        history = record(name)
        path = HISTORIES / f"{name}-{history['qflow']}.json"
        path.write_text(json.dumps(history, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
