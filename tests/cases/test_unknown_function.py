"""A job whose function this worker lacks waits for a worker that has it."""

from __future__ import annotations

from cases.world import World


def test_postponed_then_executed_elsewhere(world: World) -> None:
    other = world.make_app("other")
    ran = []

    @world.app.function("mine", trigger="mine")
    def mine() -> str:
        return "mine"

    @other.function("theirs", trigger="theirs", retries=0)
    def theirs() -> str:
        ran.append(1)
        return "theirs"

    first = world.worker(world.app)
    world.publish(other)
    run = world.run_of(world.send("theirs"), "theirs")
    world.until(lambda: world.emitted("function.unknown"), "the job to be found unknown")
    world.until_status(run, "waiting")
    world.until(lambda: len(world.emitted("function.unknown")) > 3, "it to have come back")
    assert world.outcome("mine", "mine").output == "mine", "the worker goes on meanwhile"
    world.stop([first])
    world.worker(other)
    after = world.until_status(run, "completed")
    assert after.output == "theirs"
    assert ran == [1]
    (postponed,) = after.told("postponed")
    assert postponed["n"] > 2
    assert len(after.told("claim")) == 2, "the first of them, and the one that executed it"
    assert after.fields["attempt"] == "0"
