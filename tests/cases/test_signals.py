"""A step waits for a signal, or for a person's approval."""

from __future__ import annotations

from cases.world import World

from qflow import Approval, StepError, SyncStep
from qflow.core.ids import step_hash
from qflow.core.memo import value_text
from qflow.core.waits import approval_signal
from qflow.store import script, wait


def test_a_signal(world: World) -> None:
    @world.app.function("ask", trigger="go")
    def ask(step: SyncStep) -> object:
        return step.wait_for_signal("answer", "door", timeout="1m")

    world.worker()
    assert world.app.signal("door", 1) is False
    sent = world.send("go")
    world.until(lambda: world.app.signal("door", {"open": True, "by": ("a", "b")}))
    assert world.ended(sent, "ask").output == {"open": True, "by": ("a", "b")}
    assert world.app.signal("door") is False


def test_a_second_waiter_fails(world: World) -> None:
    @world.app.function("ask", trigger="go")
    def ask(step: SyncStep) -> object:
        try:
            return step.wait_for_signal("answer", "door", timeout="1m")
        except StepError as error:
            return str(error)

    world.worker()
    first = world.send("go")
    world.until(lambda: world.redis.call("EXISTS", world.keys.signal("door")))
    second = world.ended(world.send("go"), "ask").output
    assert "another step waits for signal 'door' already" in second
    assert world.app.signal("door", 2)
    assert world.ended(first, "ask").output == 2


def test_an_approval(world: World) -> None:
    @world.app.function("ask", trigger="go")
    def ask(step: SyncStep) -> object:
        given = step.approval("budget", "Buy a boat?", assignee="jane", timeout="1m")
        late = step.approval("budget", "Really?", timeout=0.05)
        assert isinstance(given, Approval)
        return [given.approved, given.by, given.note, late]

    world.worker()
    sent = world.send("go")
    run = world.run_of(sent, "ask")
    world.until(lambda: world.redis.call("ZCARD", world.keys.approvals))
    name = approval_signal(run, step_hash("budget"))
    told = value_text('{"approved":true,"by":"joe","note":"ok","at":1}')
    assert script.run(world.redis, wait.signal(world.keys, name, "id1", told, 500)) == 1
    assert world.ended(sent, "ask").output == [True, "joe", "ok", None]
    assert world.redis.call("EXISTS", world.keys.approvals) == 0
