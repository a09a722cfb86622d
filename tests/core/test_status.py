"""The table of run states."""

from __future__ import annotations

from qflow.core.status import ENDED, RUN_STATUSES, TRANSITIONS, UNFINISHED, mermaid


def test_every_state_stands_in_the_table() -> None:
    assert tuple(TRANSITIONS) == RUN_STATUSES == UNFINISHED + ENDED


def test_nothing_follows_an_end_and_every_end_can_be_reached() -> None:
    reached = {target for targets in TRANSITIONS.values() for target in targets}
    assert {state for state, targets in TRANSITIONS.items() if not targets} == set(ENDED)
    assert {*ENDED} - reached == set()


def test_an_unfinished_run_can_always_end() -> None:
    assert all("cancelled" in TRANSITIONS[state] for state in UNFINISHED)


def test_the_diagram_has_every_transition() -> None:
    lines = mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    arrows = sum(len(targets) or 1 for targets in TRANSITIONS.values())
    assert len(lines) == len({*lines}) == 1 + 2 + arrows
