"""A step that kills its worker every time ends by itself; everything else goes on."""

from __future__ import annotations

from chaos.scene import Scene, timed


def test_step_that_kills_its_worker(scene: Scene) -> None:
    with timed("poison") as figures:
        scene.start_all("router", "scheduler", "worker")
        scene.send("load/hold", 6, seconds=2.5)
        scene.send("load/poison")
        scene.send("load/deadly")
        scene.send("load/flow", 20)
        total = 6 + 1 + 1 + 20
        deaths = _replace_the_dead(scene, total)
        figures.update(deaths=deaths)
        assert deaths >= 3
        _check_poison(scene)
        (deadly,) = scene.reports(scene.runs("deadly", "failed"))
        assert "WorkerDied" in deadly.fields["error"]
        assert deadly.executions["kill"] == 3
        scene.check_load({"flow": 20, "hold": 6})
        scene.check_quiet()


def _replace_the_dead(scene: Scene, total: int) -> int:
    """Keep two workers running until all runs have ended; return how many died."""

    def ended() -> bool:
        workers = [p for p in scene.qflow.processes if p.args[0] == "worker"]
        for _ in range(2 - sum(worker.exit_code is None for worker in workers)):
            scene.spawn("worker")
        done = scene.redis.pipeline(
            [("ZCARD", scene.keys.by_status(status)) for status in ("completed", "failed")]
        )
        return sum(done) == total

    scene.until(ended, "all runs to end")
    return sum(p.exit_code == -9 for p in scene.qflow.processes)


def _check_poison(scene: Scene) -> None:
    assert not scene.runs("poison", "failed"), list(scene.reports(scene.runs("poison", "failed")))
    (poison,) = scene.reports(scene.runs("poison"))
    assert poison.output == "WorkerDied", "the handler could not catch what became of its step"
    assert poison.executions == {"s0": 1, "kill": 3}, "what was done before it was done again"
    (failed,) = [entry for entry in poison.told("step") if not entry["ok"]]
    assert (failed["id"], failed["a"]) == ("kill", 3)
    assert [died["step"] for died in poison.told("died")] == ["kill"] * 3
