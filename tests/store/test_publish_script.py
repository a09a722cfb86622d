"""publish.lua: what a publisher says it has takes effect, and what it no longer has ends."""

from __future__ import annotations

import json

from store.lab import Lab

from qflow.store import directory


def functions(lab: Lab) -> dict[str, dict[str, object]]:
    return {fn: json.loads(spec) for fn, spec in lab.hash(lab.keys.functions).items()}


def test_published_once_and_changed(lab: Lab) -> None:
    assert lab.publish("a", "b") == 1
    assert lab.version == "1"
    assert set(functions(lab)) == {"a", "b"}
    before = lab.snapshot()
    assert lab.publish("a", "b") == 0, "nothing changed"
    assert lab.snapshot() == before
    assert lab.publish("a", "c") == 1
    assert lab.version == "2"
    assert set(functions(lab)) == {"a", "c"}


def test_nothing_is_a_publication_too(lab: Lab) -> None:
    """It lets the routers begin: there may simply be no functions yet."""
    assert lab.publish() == 0
    assert lab.version == "1"
    lab.publish("a")
    assert lab.publish() == 1
    assert functions(lab) == {}


def test_schedules_follow_their_functions(lab: Lab) -> None:
    lab.publish("a", "b", crons=("a|* * * * *|UTC", "b|@hourly|UTC"))
    handled = {
        member: lab.redis.call("ZSCORE", lab.keys.cron, member)
        for member in lab.members(lab.keys.cron)
    }
    assert set(handled) == {"a|* * * * *|UTC", "b|@hourly|UTC"}
    lab.redis.call("ZADD", lab.keys.cron, 5, "b|@hourly|UTC")
    assert lab.publish("a", "b", crons=("a|0 * * * *|UTC", "b|@hourly|UTC")) == 1
    assert set(lab.members(lab.keys.cron)) == {"a|0 * * * *|UTC", "b|@hourly|UTC"}
    assert lab.redis.call("ZSCORE", lab.keys.cron, "b|@hourly|UTC") == b"5", (
        "it goes on where it was"
    )
    lab.publish("a")
    assert lab.members(lab.keys.cron) == []


def test_publishers_do_not_touch_each_other(lab: Lab) -> None:
    lab.publish("a", publisher="one:workers", crons=("a|@daily|UTC",))
    lab.publish("b", publisher="two:workers", crons=("b|@daily|UTC",))
    lab.publish("c", publisher="one:workers")
    assert set(functions(lab)) == {"b", "c"}
    assert lab.members(lab.keys.cron) == ["b|@daily|UTC"]


def test_a_function_that_moved_is_its_new_publishers(lab: Lab) -> None:
    lab.publish("a", "b", publisher="one:workers", crons=("a|@daily|UTC",))
    lab.publish("a", publisher="two:workers", crons=("a|@daily|UTC",))
    lab.publish("b", publisher="one:workers")
    assert functions(lab)["a"]["publisher"] == "two:workers"
    assert lab.members(lab.keys.cron) == ["a|@daily|UTC"]
    lab.publish(publisher="two:workers")
    assert set(functions(lab)) == {"b"}
    assert lab.members(lab.keys.cron) == []


def test_versions_are_kept_with_when_they_were_in_force(lab: Lab) -> None:
    def publish(version: str) -> dict[str, list[str]]:
        spec = {"id": "a", "version": version, "source": '"version": "trap"', "triggers": []}
        lab(directory.publish(lab.keys, "app", [spec], []))
        kept = lab.hash(lab.keys.versions("a"))
        return {name: value.split("|", 2) for name, value in kept.items()}

    assert publish("v1")["v1"][1] == ""
    found = publish("v2")
    assert (found["v1"][1].isdigit(), found["v2"][1]) == (True, "")
    assert json.loads(found["v1"][2])["version"] == "v1"
    back = publish("v1")
    assert (back["v1"][0], back["v1"][1], back["v2"][1] != "") == (found["v1"][0], "", True)
    for number in range(60):
        publish(f"w{number}")
    assert len(lab.hash(lab.keys.versions("a"))) == 50
    assert publish("w59")["w59"][1] == ""
