"""Run states and the transitions allowed between them; the diagram in the docs comes from here."""

from __future__ import annotations

from typing import Final, Literal, get_args

RunStatus = Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "skipped"]

RUN_STATUSES: Final[tuple[RunStatus, ...]] = get_args(RunStatus)

TRANSITIONS: Final[dict[RunStatus, tuple[RunStatus, ...]]] = {
    "queued": ("running", "cancelled", "skipped"),
    "running": ("queued", "waiting", "completed", "failed", "cancelled"),
    "waiting": ("queued", "running", "cancelled"),
    "completed": (),
    "failed": (),
    "cancelled": (),
    "skipped": (),
}

UNFINISHED: Final[tuple[RunStatus, ...]] = ("queued", "running", "waiting")
ENDED: Final[tuple[RunStatus, ...]] = ("completed", "failed", "cancelled", "skipped")


def mermaid() -> str:
    """Return the state diagram as Mermaid text."""
    lines = ["stateDiagram-v2", "    [*] --> queued", "    [*] --> skipped"]
    for state, targets in TRANSITIONS.items():
        lines += [f"    {state} --> {target}" for target in targets]
        if not targets:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines)
