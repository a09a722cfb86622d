"""What stands between a draft and its acceptance: checks of its source, then a dry run of its function."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from qflow.authoring.check import check
from qflow.authoring.sandbox import cage


def objections(
    folder: str, drafts: Mapping[str, str], function: str, *, tools: bool = True
) -> Iterator[str]:
    """Return what keeps modules (by file name) from being accepted into a folder, one line each.

    The dry run comes last, and only where the checks find nothing.
    """
    found = False
    for name, source in drafts.items():
        path = os.path.join(folder, name)
        for finding in check(source, path, tools=tools, beside=drafts.keys()):
            found = True
            yield str(finding)
    if found:
        return
    outcome = cage.run(folder, {"function": function}, drafts=drafts)
    if outcome.problem:
        yield f"dry run: {outcome.problem}"
    elif outcome.result is not None:
        yield from (f"dry run: {problem}" for problem in cage.problems(outcome.result))
