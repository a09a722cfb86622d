"""A worker out of reach for longer than its lease, inside a step: frozen, or cut off from Redis.

Another worker finishes its run; its own late commit is refused, and it goes on to useful work.
"""

from __future__ import annotations

import pytest
from chaos.proxy import Proxy
from chaos.scene import Scene, timed

from qflow.testing.processes import Process


class Frozen:
    """SIGSTOP and SIGCONT."""

    def __init__(self, scene: Scene, proxy: Proxy) -> None:
        self.worker = scene.start("worker")

    def leave(self) -> None:
        self.worker.pause()

    def come_back(self) -> None:
        self.worker.resume()


class CutOff:
    """A network that passes nothing, then everything."""

    def __init__(self, scene: Scene, proxy: Proxy) -> None:
        self._proxy = proxy
        self.worker = scene.start("worker", QFLOW_REDIS_URL=proxy.url)

    def leave(self) -> None:
        self._proxy.fall_silent()

    def come_back(self) -> None:
        assert self._proxy.held > 0, "the worker tried nothing meanwhile"
        self._proxy.speak()


@pytest.mark.parametrize("function", ["hold", "ahold"])
@pytest.mark.parametrize("fault", [Frozen, CutOff])
def test_late_commit_is_refused_and_the_worker_goes_on(
    scene: Scene, fault: type[Frozen | CutOff], function: str
) -> None:
    with timed(f"{fault.__name__} {function}"), Proxy(scene.server.port) as proxy:
        scene.start_all("router", "scheduler")
        lost = fault(scene, proxy)
        (event,) = scene.send(f"load/{function}", seconds=0.5)
        run = scene.run_of(function, event)
        scene.until_inside(run, lost.worker)
        lost.leave()
        other = scene.start("worker")
        scene.until(lambda: scene.runs(function) == [run], "the other worker to finish the run")
        lost.come_back()
        scene.until(lambda: scene.counter("fenced") >= 1, "the late commit to be refused")
        assert other.term() == 0
        _check(scene, run, other, lost.worker)
        scene.send("load/flow", 20)
        scene.until_ended(21)
        assert scene.check_load({"flow": 20}) == 0
        scene.check_quiet()


def _check(scene: Scene, run: str, other: Process, lost: Process) -> None:
    report = scene.report(run)
    assert report.check() == 1  # the lost worker's own execution, whose result was refused
    executed = {(mark, pid) for step, mark, _, pid in report.effects if step == "s0"}
    assert {pid for _, pid in executed} == {lost.pid, other.pid}
    assert (report.output[0], other.pid) in executed
    assert [died["w"].split(".")[-2] for died in report.told("died")] == [str(lost.pid)]
