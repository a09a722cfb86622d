"""What `qflow dev` says when it is up: where Redis is, what starts each function, what to try."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from qflow.core.cron import Cron, describe

Specs = Mapping[str, Mapping[str, Any]]

_SHOWN: Final = 30

EXAMPLE: Final = """\
import qflow

app = qflow.App("hello")


@app.function("hello", trigger="test/hello")
def hello(event, step):
    return step.run("greet", lambda: f"Hello {event.data['name']}!")
"""


def of_folder(specs: Specs, folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the published functions that stand in `folder`."""
    return {
        id: spec
        for id, spec in sorted(specs.items())
        if (file := Path(spec.get("file") or "")).is_relative_to(folder) and file.is_file()
    }


def banner(version: str, places: Mapping[str, str], path: str, functions: Specs) -> list[str]:
    """Return the lines of the banner."""
    lines = ["", f"  qflow {version} is up.", ""]
    lines += [f"  {name:<10} {place}" for name, place in places.items()]
    if not functions:
        return [*lines, "", *no_functions(path), "", "  Ctrl-C stops everything.", ""]
    lines += [f"  Functions  {len(functions)} in {path}", *_table(functions)]
    name = _event_to_send(functions)
    if name:
        lines += ["", f"  Send one   qflow send {shlex.quote(name)} --data '{{}}'"]
    else:
        lines += ["", f"  Run one    qflow run {next(iter(functions))}"]
    return [*lines, "  Look       qflow runs list", "  Ctrl-C stops everything.", ""]


def no_functions(path: str) -> list[str]:
    """Return what to do about a folder without functions."""
    return [
        f"  No functions in {path} yet. Save this as {Path(path) / 'hello.py'}:",
        "",
        *(f"      {line}".rstrip() for line in EXAMPLE.splitlines()),
        "",
        '  then: qflow send test/hello --data \'{"name": "Jane"}\'',
    ]


def changes(before: Specs, after: Specs) -> str:
    """Return in words what differs between two sets of functions, "" where nothing does."""
    added = [id for id in after if id not in before]
    removed = [id for id in before if id not in after]
    changed = [id for id in after if id in before and after[id]["version"] != before[id]["version"]]
    parts = ((added, "new"), (changed, "changed"), (removed, "removed"))
    return "".join(f"; {word}: {_listed(ids)}" for ids, word in parts if ids)


def in_words(trigger: Mapping[str, Any]) -> str:
    """Return a trigger in plain English."""
    if "event" not in trigger:
        return describe(Cron.from_spec(dict(trigger)))
    name, when = str(trigger["event"]), trigger.get("when")
    words = f"on any event {name}" if name.endswith("*") else f"on event {name}"
    return f"{words} when {when}" if when else words


def _table(functions: Specs) -> list[str]:
    shown = list(functions.items())[:_SHOWN]
    width = max(len(id) for id, _ in shown)
    lines = [
        f"    {id:<{width}}  {'; '.join(in_words(trigger) for trigger in spec['triggers'])}"
        for id, spec in shown
    ]
    if len(functions) > _SHOWN:
        lines.append(f"    and {len(functions) - _SHOWN} more: qflow functions list")
    return lines


def _event_to_send(functions: Specs) -> str:
    """Return the name of an event that starts something, exact names first."""
    names = [t["event"] for spec in functions.values() for t in spec["triggers"] if "event" in t]
    exact = [name for name in names if not name.endswith("*")]
    return next(iter(exact), names[0].removesuffix("*") + "example" if names else "")


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
