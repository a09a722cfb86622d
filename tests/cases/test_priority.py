"""Priorities: runs queue as if they had come so many seconds sooner or later."""

from __future__ import annotations

from cases.world import World

from qflow import Event


def test_seconds_ahead_and_behind(world: World) -> None:
    order: list[int] = []
    world.app.function("work", trigger="go", priority="event.data.p")(
        lambda event: order.append(event.data["n"])
    )
    world.app.function("plain", trigger="also")(lambda event: order.append(event.data["n"]))
    world.publish()
    given = [("go", 0), ("also", 0), ("go", 60), ("go", -60), ("go", 120), ("go", 60), ("also", 0)]
    sent = [
        (world.send(name, {"n": n, "p": p}), "work" if name == "go" else "plain")
        for n, (name, p) in enumerate(given)
    ]
    for event, function in sent:
        world.run_of(event, function)
    world.worker(slots=1)
    for event, function in sent:
        assert world.ended(event, function).status == "completed"
    assert order == [4, 2, 5, 0, 1, 6, 3]
    assert world.redis.call("EXISTS", world.keys.behind) == 0


def test_rq_shows_who_is_queued_in_order(world: World) -> None:
    world.app.function("work", trigger="go", priority="event.data.p")(lambda: None)
    world.publish()
    plain = [world.run_of(world.send("go", {"p": 0}), "work") for _ in range(50)]
    vip = [world.run_of(world.send("go", {"p": p}), "work") for p in (1, 600)]
    queued = [raw.decode()[:26] for raw in world.redis.call("LRANGE", world.keys.queue, 0, -1)]
    assert queued[0] == vip[1]
    assert queued.index(vip[0]) <= 1
    assert sorted(queued) == sorted(plain + vip)


def test_the_backlog_of_a_limit_keeps_the_order(world: World) -> None:
    order: list[int] = []
    world.app.function("work", trigger="go", priority="event.data.p", concurrency=1)(
        lambda event: order.append(event.data["n"])
    )
    world.publish()
    sent = world.app.send(
        [Event("go", data={"n": n, "p": p}) for n, p in enumerate([0, 0, 60, 600, 0])]
    )
    for event in sent:
        world.run_of(event, "work")
    world.worker()
    for event in sent:
        world.ended(event, "work")
    assert order == [0, 3, 2, 1, 4]
