"""The checks that source text passes before anything is accepted. None of them executes it."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from qflow.authoring import linters
from qflow.authoring.credentials import secrets_in_code
from qflow.authoring.finding import Finding
from qflow.authoring.handler_rules import handler_findings
from qflow.authoring.policy import at_import, forbidden, missing
from qflow.authoring.trigger_rules import trigger_findings

MAX_SOURCE: Final = 200_000
"""Characters of one module; what is longer is no workflow that a person reads."""


def check(
    source: str,
    path: str = "workers/draft.py",
    *,
    tools: bool = True,
    beside: Collection[str] = (),
) -> list[Finding]:
    """Return what keeps `source` from being accepted as the module `path`, in the order of its lines.

    Relative imports are looked up beside `path`, which need not exist, and in the names of files `beside`
    that are yet to be written. With `tools`, ruff and mypy look
    at it too, where they are installed.
    """
    found = _found(source, path, beside, tools=tools)
    return sorted({replace(finding, path=path) for finding in found})


def check_file(path: str, *, tools: bool = True) -> list[Finding]:
    """Return what `check` says of a file."""
    try:
        with open(path, encoding="utf-8") as file:
            source = file.read(MAX_SOURCE + 1)
    except UnicodeDecodeError as error:
        return [
            Finding(1, 1, "syntax", f"not UTF-8 at byte {error.start}", "save it as UTF-8", path)
        ]
    return check(source, path, tools=tools)


def check_folder(folder: str, *, tools: bool = True) -> list[Finding]:
    """Return what `check` says of every module of a folder."""
    found: list[Finding] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name.isidentifier() and name != "__pycache__"
        )
        for name in sorted(files):
            if name.endswith(".py"):
                found += check_file(os.path.join(root, name), tools=tools)
    return found


def _found(source: str, path: str, beside: Collection[str], *, tools: bool) -> Iterator[Finding]:
    if len(source) > MAX_SOURCE:
        yield Finding(
            1,
            1,
            "size",
            f"the source has more than {MAX_SOURCE} characters",
            "split it into modules",
        )
        return
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        place = error.lineno or 1, error.offset or 1
        yield Finding(*place, "syntax", error.msg, "correct the line")
        return
    except (ValueError, RecursionError, MemoryError) as error:
        yield Finding(1, 1, "syntax", f"it cannot be parsed: {error}", "write it plainly")
        return
    yield from forbidden(tree)
    yield from at_import(tree)
    yield from missing(tree, path, beside)
    yield from handler_findings(tree)
    yield from trigger_findings(tree)
    yield from secrets_in_code(tree)
    if tools:
        yield from linters.ruff(source, path)
        yield from linters.types(source, path)
