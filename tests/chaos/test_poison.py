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


def test_a_long_step_beside_one_deadly_step_after_the_other(scene: Scene) -> None:
    """It is with a death of its worker twice. The third time it is alone, so who arrives then dies alone."""
    scene.start_all("router", "scheduler", "worker")
    (event,) = scene.send("load/hold", seconds=3)
    innocent = scene.run_of("hold", event)
    scene.until_inside(innocent, scene.qflow.processes[-1])
    scene.send("load/poison")

    def is_tried() -> bool:
        _keep_workers(scene, 1)
        lane = scene.redis.call("HGET", scene.keys.run(innocent), "lane") or b""
        return lane.startswith(b"s|") and lane.split(b"|")[3] == b"2"

    scene.until(is_tried, "the long step to have been with two deaths")
    scene.send("load/poison", 2, prefix="late")
    _replace_the_dead(scene, 4, workers=1)
    scene.check_load({"hold": 1})
    (held,) = scene.reports([innocent])
    assert len(held.told("died")) == 2
    for poison in scene.reports(scene.runs("poison")):
        assert poison.output == "WorkerDied"
        assert poison.executions["kill"] == 3
    assert len(scene.runs("poison")) == 3
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


def _keep_workers(scene: Scene, count: int) -> None:
    """Start workers in the place of those that died."""
    workers = [p for p in scene.qflow.processes if p.args[0] == "worker"]
    for _ in range(count - sum(worker.exit_code is None for worker in workers)):
        scene.spawn("worker")


def _replace_the_dead(scene: Scene, total: int, workers: int = 2) -> int:
    """Keep workers running until all runs have ended; return how many died."""

    def ended() -> bool:
        _keep_workers(scene, workers)
        done = scene.redis.pipeline(
            [("ZCARD", scene.keys.by_status(status)) for status in ("completed", "failed")]
        )
        return sum(done) == total

    scene.until(ended, "all runs to end")
    return sum(p.exit_code == -9 for p in scene.qflow.processes)
