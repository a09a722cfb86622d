"""Which functions an event starts: conditions of matching names only, each function once."""

from __future__ import annotations

from typing import Any, NoReturn

from qflow.core.match import NOTHING, Matched, Triggers


def specs(**functions: list[tuple[str, str | None]]) -> dict[str, dict[str, Any]]:
    return {
        function: {
            "id": function,
            "triggers": [
                {"event": name} | ({} if when is None else {"when": when})
                for name, when in triggers
            ],
        }
        for function, triggers in functions.items()
    }


def matched(published: dict[str, dict[str, Any]], name: str, **data: Any) -> Matched:
    event = {"name": name, "id": "1", "ts": 5, "data": data}
    return Triggers(published).matching(name, lambda: event, 5)


def unread() -> NoReturn:
    raise AssertionError("nobody asked for the event")


def test_conditions_choose_among_functions_of_a_name() -> None:
    published = specs(
        pro=[("a", "event.data.plan == 'pro'")],
        free=[("a", "event.data.plan != 'pro'")],
        every=[("a", None)],
    )
    assert matched(published, "a", plan="pro") == Matched(("pro", "every"), {}, 1)
    assert matched(published, "a") == Matched(("free", "every"), {}, 1)


def test_a_function_starts_once_however_many_of_its_triggers_match() -> None:
    published = specs(f=[("a/b", "event.data.x"), ("a/*", None), ("a/b", "event.data.y")])
    assert matched(published, "a/b", x=1) == Matched(("f",), {}, 0)
    assert matched(published, "a/b", y=1) == Matched(("f",), {}, 1)


def test_a_condition_that_fails_blocks_nothing_else() -> None:
    published = specs(
        bad=[("a", "size(event.data.n) > 0")],
        both=[("a", "size(event.data.n) > 0"), ("a", "event.data.n == 7")],
        good=[("a", "event.data.n == 7")],
    )
    found = matched(published, "a", n=7)
    assert found.functions == ("both", "good")
    assert set(found.failed) == {"bad", "both"}
    assert "size() needs text, a list or a map, not a number" in found.failed["bad"]


def test_a_published_condition_that_cannot_be_read_fails_alone() -> None:
    published = specs(newer=[("a", "event.data.x.unheardOf()")], good=[("a", None)])
    found = matched(published, "a")
    assert found.functions == ("good",)
    assert "unknown function 'unheardOf'" in found.failed["newer"]


def test_an_event_is_read_only_for_a_condition_and_once() -> None:
    triggers = Triggers(specs(f=[("a", None), ("b", "true")], g=[("b", "true")]))
    assert triggers.matching("a", unread, 0) == Matched(("f",), {}, 0)
    assert triggers.matching("c", unread, 0) == NOTHING
    read = []
    assert triggers.matching("b", lambda: read.append(1) or {}, 0).functions == ("f", "g")  # type: ignore[func-returns-value]
    assert read == [1]


def test_the_time_is_the_one_given() -> None:
    triggers = Triggers(specs(f=[("a", "event.ts < now_minus('1m')")]))
    event = {"name": "a", "ts": 0, "data": {}}
    assert triggers.matching("a", lambda: event, 60_000).functions == ()
    assert triggers.matching("a", lambda: event, 60_001).functions == ("f",)
