"""Which events start which functions."""

from __future__ import annotations

from cases.world import World

from qflow import EventTrigger


def test_exact_wildcard_and_several(world: World) -> None:
    started: list[tuple[str, str]] = []

    def note(function: str, *triggers: str) -> None:
        @world.app.function(function, trigger=[EventTrigger(trigger) for trigger in triggers])
        def handler(event) -> None:  # type: ignore[no-untyped-def]
            started.append((function, event.name))

    note("exact", "user/created")
    note("wild", "user/*")
    note("dotted", "user/account.*")
    note("both", "user/created", "user/*", "other")
    world.worker()
    sent = {
        "user/created": ["both", "exact", "wild"],
        "user/account.closed": ["both", "dotted", "wild"],
        "user/": ["both", "wild"],
        "user": [],
        "users/created": [],
        "user/created/twice": ["both", "wild"],
        "User/created": [],
        "other": ["both"],
        "user/*": ["both", "wild"],
    }
    ids = {name: world.send(name) for name in sent}
    for name, functions in sent.items():
        for function in functions:
            world.ended(ids[name], function)
    last = world.send("other")
    world.ended(last, "both")
    expected = [(fn, name) for name, functions in sent.items() for fn in functions]
    assert sorted(started) == sorted([*expected, ("both", "other")])
    unmatched = {fields["name"] for fields in world.emitted("event.unmatched")}
    assert unmatched == {name for name, functions in sent.items() if not functions}
