"""The sentences of the evaluation, by the offline planner: at least 95 in 100 fully right."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from authoring.outline import expected, outline

from qflow.authoring.planner import plan

SENTENCES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "sentences.toml").read_text("utf-8")
)["sentence"]
GOAL = 0.95
FEWEST = 60


def test_the_planner_understands_the_sentences(capsys: Any) -> None:
    wrong = []
    for sentence in SENTENCES:
        got, meant = outline(plan(sentence["words"])), expected(sentence)
        differences = {name: (meant[name], got[name]) for name in meant if meant[name] != got[name]}
        if differences:
            wrong.append(f"{sentence['words']}\n    {differences}")
    right = len(SENTENCES) - len(wrong)
    with capsys.disabled():
        print(f"\noffline planner: {right} of {len(SENTENCES)} sentences fully right")
    assert len(SENTENCES) >= FEWEST
    assert right / len(SENTENCES) >= GOAL, "\n".join(wrong)


def test_planning_is_the_same_every_time() -> None:
    for sentence in SENTENCES:
        assert plan(sentence["words"]) == plan(sentence["words"])
