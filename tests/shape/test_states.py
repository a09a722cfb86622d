"""The transitions that the Lua scripts make are those of the table in core/status.py."""

from __future__ import annotations

import ast
import re

from shape.headers import Header
from shape.tree import BY_NAME, INCLUDES, SCRIPTS

from qflow.core.status import ENDED, RUN_STATUSES, TRANSITIONS, UNFINISHED

OF_LANE = {
    "q": "queued",
    "b": "queued",
    "h": "queued",
    "d": "waiting",
    "w": "waiting",
    "s": "running",
}
HEADERS = [Header(path) for path in SCRIPTS]


def starts(header: Header) -> set[str]:
    """Return the states that a script takes a run from: those of the lanes it accepts."""
    if "-- include: fence" in header.text:
        return {"running"}  # only the worker that executes a run passes the fence
    letters = re.findall(r"state [~=]= '(\w)'|'\^(\w)\|", header.body)
    return {OF_LANE[one or other] for one, other in letters}


def ends(header: Header) -> set[str]:
    """Return the states that a script takes a run to."""
    found = re.findall(r"move_index\(ns, [^)]*, ('?\w+'?), known\[\d\]\)", header.body)
    found += re.findall(r"'ZADD', ns \.\. ':runs:(\w+)'", header.body)  # many at once
    return {
        status for name in found for status in (_given() if name == "status" else {name.strip("'")})
    }


def test_moves() -> None:
    moves = {(a, b) for header in HEADERS for a in starts(header) for b in ends(header) if a != b}
    allowed = {(a, b) for a, targets in TRANSITIONS.items() for b in targets}
    assert moves <= allowed
    assert {end for _, end in moves} == {*RUN_STATUSES} - {"cancelled", "skipped"}


def test_the_record_says_what_the_index_says() -> None:
    record = re.compile(r"'HSET', run_key, 'lane', .*?'status', '?(\w+)", re.DOTALL)
    written = {h.path.stem: set(record.findall(h.body)) for h in HEADERS if ends(h)}
    moved = {h.path.stem: {"status"} if "status" in _names(h) else ends(h) for h in HEADERS}
    moved["advance"].add("queued")  # moved by hand, where a run yields its slots
    assert written == {name: moved[name] for name in written}


def test_new_runs_are_queued_or_skipped() -> None:
    create = "".join(path.read_text() for path in INCLUDES if path.stem in ("create", "admit"))
    written = re.findall(r"'status', '(\w+)', '(?:event|lane)'|:(\w+)', now, run", create)
    assert {one or other for one, other in written} == {"runs", "queued", "skipped"}


def test_ended_runs_stay_ended() -> None:
    assert all(TRANSITIONS[status] == () for status in ENDED)


def _names(header: Header) -> list[str]:
    return re.findall(r"move_index\(ns, [^)]*, (\w+), known", header.body)


def _given() -> set[str]:
    """Return the statuses that the engine ends runs with."""
    calls = BY_NAME["qflow.engine.apply"].calls("End")
    return {str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)}


def test_cancelled_runs_were_unfinished() -> None:
    (cancel,) = (path.read_text() for path in INCLUDES if path.stem == "cancel")
    assert re.findall(r"move_index\(.*'(\w+)', known", cancel) == ["cancelled"]
    assert [a for a, targets in TRANSITIONS.items() if "cancelled" in targets] == list(UNFINISHED)
