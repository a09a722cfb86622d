"""Steps side by side, and steps for each of several things."""

from __future__ import annotations

from typing import Final

from qflow.authoring.actions import Copy, Fetch
from qflow.authoring.planner.words import Words, name
from qflow.authoring.spec import Loop, Parallel, Run, Step

Placed = tuple[int, Step]

_BESIDE: Final = r"\b(?:in parallel|side by side|at the same time|simultaneously|both)\b,?"
_EACH: Final = (
    r"\bfor (?:each|every) (?:of the |of its )?([a-z]+)(?: (?:of|in) (?:the|its) \w+)?,?"
    r"(?= ?(?:\x1f|call|post|send|e?-?mail|notify|write|save))"
)


def grouped(words: Words, steps: list[Placed]) -> list[Placed]:
    """Return steps with those side by side, and those for each of several things, put together."""
    each = words.take(_EACH)
    if each is not None:
        steps = _for_each(words, steps, each.start(), each[1])
    beside = words.take(_BESIDE)
    return steps if beside is None else _side_by_side(words, steps)


def _for_each(words: Words, steps: list[Placed], place: int, noun: str) -> list[Placed]:
    made: list[Placed] = []
    is_found = False
    for at, step in steps:
        if at > place and isinstance(step, Run) and not is_found:
            is_found = True
            of = next(
                (s.id for _, s in made if isinstance(s, Run) and isinstance(s.action, Fetch)), ""
            )
            items = name(noun if noun.endswith("s") else f"{noun}s")
            action = step.action
            made.append((at, Loop(id=step.id, of=of, items=items, action=action)))
            words.understood.append(f"for each of {items}")
            if not of:
                words.ask(
                    "items", f"Which field of the event has the {items}?", f"@{step.id}/items"
                )
        else:
            made.append((at, step))
    return made


def _side_by_side(words: Words, steps: list[Placed]) -> list[Placed]:
    """Put the longest row of steps that can run side by side into one."""
    rows: list[list[int]] = [[]]
    for number, (_, step) in enumerate(steps):
        if isinstance(step, Run) and not isinstance(step.action, Fetch | Copy):
            rows[-1].append(number)
        else:
            rows.append([])
    row = max(rows, key=len)
    if len(row) < 2:
        return steps
    branches = [step for number, (_, step) in enumerate(steps) if number in row]
    group = Parallel.model_validate({"id": words.free_id("side-by-side"), "branches": branches})
    words.understood.append("these side by side: " + ", ".join(step.id for step in branches))
    first = steps[row[0]][0]
    return [*steps[: row[0]], (first, group), *steps[row[-1] + 1 :]]
