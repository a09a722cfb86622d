"""Hosts whose clocks are an hour wrong: no sleep, retry, lease or tick moves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from chaos.scene import Scene, timed

HOUR_S = 3600
PATCH = """
import time
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + {offset}
time.time_ns = lambda: _time_ns() + {offset} * 10**9
"""


def skewed(folder: Path, hours: int, scene: Scene) -> dict[str, str]:
    """Return the environment of a process whose clock is wrong by so many hours.

    Python's clock is patched: under libfaketime, waits of Python's threads never end.
    """
    site = folder / f"site{hours}"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(PATCH.format(offset=hours * HOUR_S))
    return {"PYTHONPATH": os.pathsep.join([str(site), scene.qflow.env["PYTHONPATH"]])}


@pytest.mark.parametrize("hours", [1, -1])
def test_wrong_clocks_move_nothing(scene: Scene, tmp_path: Path, hours: int) -> None:
    with timed(f"clock {hours:+d} h"):
        ahead, behind = skewed(tmp_path, hours, scene), skewed(tmp_path, -hours, scene)
        scene.start("worker", **ahead)
        scene.start("router", **behind)
        scene.start("scheduler", **ahead)
        now_ms = int(scene.redis.call("TIME")[0]) * 1000
        scene.send("load/clock")
        scene.send("load/mixed", 20, sleep=0.5)
        scene.send("load/flow", 20)
        scene.until_ended(41)
        (clock,) = scene.reports(scene.runs("clock"))
        assert abs(clock.output - now_ms / 1000 - hours * HOUR_S) < 60, "the clock was right"
        scene.start("worker", **behind)
        scene.send("load/mixed", 20, "second", sleep=0.5)
        scene.until_ended(61)
        assert scene.check_load({"mixed": 40, "flow": 20}) == 0
        assert scene.counter("deaths") == scene.counter("fenced") == 0
        for report in scene.reports(scene.runs("mixed")):
            assert abs(int(report.fields["created"]) - now_ms) < 60_000
            _check_waits(report.trace, now_ms)
        scene.check_quiet()


def _check_waits(trace: list[dict[str, object]], now_ms: int) -> None:
    waits = [n for n, entry in enumerate(trace) if "due" in entry]
    assert len(waits) == 2, trace
    for n in waits:
        set_ms, due_ms = int(str(trace[n]["ms"])), int(str(trace[n]["due"]))
        claim_ms = next(int(str(e["ms"])) for e in trace[n:] if e["t"] == "claim")
        assert abs(due_ms - set_ms - (500 if trace[n]["t"] == "sleep" else 20)) < 50
        assert 0 <= claim_ms - due_ms < 10_000
    for entry in trace:
        if entry["t"] == "step":
            assert abs(int(str(entry["s"])) - now_ms) < 60_000
