"""docs/expressions.md: every line of its tables is so, and every function stands there."""

from __future__ import annotations

import json
import re

import pytest
from docs.pages import ROOT, blocks

from qflow.core import expression
from qflow.core.cel_functions import FUNCTIONS, MACROS

PAGE = ROOT / "docs" / "expressions.md"
ROW = re.compile(r"^\|(.*?)\| `(.*)` \| `(.*)` \|$", re.MULTILINE)
ROWS = [
    (how.strip(), source.replace("\\|", "|"), gives)
    for how, source, gives in ROW.findall(PAGE.read_text())
]
(EVENT,) = (json.loads(block.text) for block in blocks(PAGE) if block.language == "json")


@pytest.mark.parametrize(("source", "gives"), [row[1:] for row in ROWS], ids=lambda text: text)
def test_an_expression_gives_what_the_page_says(source: str, gives: str) -> None:
    found = expression.compile(source).value({"event": EVENT}, EVENT["ts"])
    assert json.dumps(found) == gives


def test_every_function_has_its_line() -> None:
    named = {name for how, _, _ in ROWS for name in re.findall(r"`(?:\w+\.)?(\w+)\(", how)}
    assert named == {*FUNCTIONS, *MACROS}


def test_limits_are_those_of_the_code() -> None:
    from qflow.core import cel, cel_functions

    text = PAGE.read_text()
    for limit in (cel.MAX_SOURCE, expression.BUDGET, cel_functions.MAX_MATCHED):
        assert f"{limit:,}" in text
    assert f"{expression.MAX_RESULT // 1024} KiB" in text
