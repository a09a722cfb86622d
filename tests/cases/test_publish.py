"""Workers publish their functions; what a new version lacks starts nothing more."""

from __future__ import annotations

import json

from cases.world import World


def test_an_event_before_any_worker_is_held(world: World) -> None:
    early = world.send("go")

    @world.app.function("late", trigger="go")
    def late() -> str:
        return "started"

    world.worker()
    assert world.ended(early, "late").output == "started"


def test_removed_and_changed_functions(world: World) -> None:
    first, second = world.make_app("shop"), world.make_app("shop")

    @first.function("kept", trigger="go")
    def kept() -> str:
        return "one"

    @first.function("gone", trigger="go")
    def gone() -> str:
        return "gone"

    @second.function("kept", trigger=["go", "more"])
    def kept_too() -> str:
        return "two"

    old = world.worker(first)
    event = world.send("go")
    assert world.ended(event, "kept").output == "one"
    assert world.ended(event, "gone").output == "gone"
    world.stop([old])
    world.worker(second)
    event = world.send("go")
    assert world.ended(event, "kept").output == "two"
    assert world.outcome("kept", "more").output == "two"
    assert world.redis.call("GET", world.keys.seen("gone", event)) is None
    assert [name.decode() for name in world.redis.call("HKEYS", world.keys.functions)] == ["kept"]


def test_a_function_that_moved_to_another_app_stays(world: World) -> None:
    before, target = world.make_app("zoo"), world.make_app("ark")

    @before.function("moved", trigger="go")
    def moved() -> None: ...

    world.publish(before)
    empty = world.make_app("zoo")

    @target.function("moved", trigger="go")
    def moved_too() -> str:
        return "here"

    world.worker(target, empty)
    assert world.outcome("moved", "go").output == "here"
    spec = json.loads(world.redis.call("HGET", world.keys.functions, "moved"))
    assert spec["app"] == "ark"


def test_apps_do_not_remove_each_others_functions(world: World) -> None:
    one, two = world.make_app("one"), world.make_app("two")
    one.function("a", trigger="go")(lambda: "a")
    two.function("b", trigger="go")(lambda: "b")
    world.worker(one, two)
    world.publish(one)
    event = world.send("go")
    assert world.ended(event, "a").output == "a"
    assert world.ended(event, "b").output == "b"


def test_version_follows_source_and_configuration(world: World) -> None:
    def handler() -> None: ...

    versions = []
    for retries in (1, 2, 2):
        app = world.make_app("tests")
        app.function("f", trigger="go", retries=retries)(handler)
        world.publish(app)
        versions.append(json.loads(world.redis.call("HGET", world.keys.functions, "f"))["version"])
    assert versions[0] != versions[1] == versions[2]
    assert world.redis.call("GET", world.keys.functions_version) == b"2"
