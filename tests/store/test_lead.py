"""lead.lua: one leader at a time, each new one under a higher token."""

from __future__ import annotations

from store.lab import Lab

from qflow.store import lease


def bid(lab: Lab, name: str, lease_ms: int = 5000, *, resign: bool = False) -> lease.Lead:
    lab.redis.call("SCRIPT", "FLUSH")
    return lease.lead(lab.redis, lab.keys, name, lease_ms, resign=resign)


def test_taken_kept_and_refused(lab: Lab) -> None:
    first = bid(lab, "a")
    assert (first.token, first.wait_ms) == (1, 5000)
    assert abs(first.now_ms - lab.now_ms) < 5000
    assert bid(lab, "a").token == 1, "kept under the same token"
    standby = bid(lab, "b")
    assert standby.token == 0
    assert 0 < standby.wait_ms <= 5000


def test_a_lapsed_lead_is_taken_under_a_higher_token(lab: Lab) -> None:
    assert bid(lab, "a").token == 1
    lab.redis.call("HSET", lab.keys.leader, "until", lab.now_ms - 1)
    assert bid(lab, "b").token == 2
    assert bid(lab, "a").token == 0


def test_a_leader_that_lapsed_itself_gets_a_new_token(lab: Lab) -> None:
    """Somebody may have led in between without a trace, so its old token must not count on."""
    assert bid(lab, "a").token == 1
    lab.redis.call("HSET", lab.keys.leader, "until", lab.now_ms - 1)
    assert bid(lab, "a").token == 2


def test_resigned(lab: Lab) -> None:
    bid(lab, "a")
    assert bid(lab, "b", resign=True).token == 0, "not b's to resign"
    assert bid(lab, "b").token == 0
    bid(lab, "a", resign=True)
    assert bid(lab, "b").token == 2
