"""A step that kills its worker every time ends by itself; everything else goes on."""

from __future__ import annotations

from chaos.scene import Scene, timed

INNOCENT = {"hold": 6, "flow": 20}


def test_step_that_kills_its_worker(scene: Scene) -> None:
    with timed("poison") as figures:
        figures.update(deaths=_run_among_others(scene, "poison"))
        (poison,) = scene.reports(scene.runs("poison"))
        assert poison.output == "WorkerDied", "the handler could not catch its step's end"
        assert poison.executions == {"s0": 1, "kill": 3}
        (failed,) = [entry for entry in poison.told("step") if not entry["ok"]]
        assert (failed["id"], failed["a"]) == ("kill", 3)
        assert [died["step"] for died in poison.told("died")] == ["kill"] * 3
        scene.check_quiet()


def test_branch_that_kills_its_worker(scene: Scene) -> None:
    scene.start_all("router", "scheduler", "worker")
    scene.send("load/deadfan")
    assert _replace_the_dead(scene, 1) == 3
    (deadly,) = scene.reports(scene.runs("deadfan"))
    assert deadly.output == ["WorkerDied"]
    assert deadly.executions["kill"] == 3
    scene.check_quiet()


def test_handler_that_kills_its_worker(scene: Scene) -> None:
    with timed("deadly handler") as figures:
        figures.update(deaths=_run_among_others(scene, "deadly"))
        (deadly,) = scene.reports(scene.runs("deadly", "failed"))
        assert "WorkerDied" in deadly.fields["error"]
        assert deadly.executions["kill"] == 3
        scene.check_quiet()


def _run_among_others(scene: Scene, function: str) -> int:
    """Run a deadly function beside long and short innocent ones; return how many workers died."""
    scene.start_all("router", "scheduler", "worker")
    scene.send("load/hold", INNOCENT["hold"], seconds=2.5)
    scene.send(f"load/{function}")
    scene.send("load/flow", INNOCENT["flow"])
    deaths = _replace_the_dead(scene, 1 + sum(INNOCENT.values()))
    assert deaths == 3
    scene.check_load(INNOCENT)
    return deaths


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
