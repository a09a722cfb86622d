"""The versions of a workflow: who asked for what, what came of it, and the way back.

Kept in `.qflow/workflows/<id>.json`, beside the code and not in Redis: a version is written with its
code, and a run under way keeps the version that its worker published.
"""

from __future__ import annotations

import json
import os
from difflib import unified_diff
from typing import Final, Literal

from pydantic import ValidationError

from qflow.authoring.actions import Strict
from qflow.authoring.draft import File, read
from qflow.authoring.spec import WorkflowSpec
from qflow.errors import UsageError

FOLDER: Final = os.path.join(".qflow", "workflows")


class Version(Strict):
    """One version: `state` is a draft until a person activates it."""

    number: int
    at: str
    author: str
    words: str
    provider: str
    state: Literal["draft", "active"]
    spec: WorkflowSpec
    code: str
    test: str = ""


class History(Strict):
    """All versions of a workflow, oldest first."""

    id: str
    versions: tuple[Version, ...] = ()

    @property
    def newest(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    @property
    def active(self) -> Version | None:
        """The version whose code stands in the folder of functions, None where none does."""
        return next((each for each in reversed(self.versions) if each.state == "active"), None)

    def version(self, number: int) -> Version:
        """Return a version by its number; raise UsageError where there is none."""
        for each in self.versions:
            if each.number == number:
                return each
        raise UsageError(
            f"workflow {self.id!r} has no version {number}; it has 1 to {len(self.versions)}"
        )

    def added(self, version: Version) -> History:
        """Return the history with one more version, numbered as the next."""
        numbered = version.model_copy(update={"number": len(self.versions) + 1})
        return self.model_copy(update={"versions": (*self.versions, numbered)})


def load(id: str) -> History:
    """Return the versions of a workflow; none where it was never written in words."""
    text = read(_path(id))
    if not text:
        return History(id=id)
    try:
        return History.model_validate_json(text)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise UsageError(f"{_path(id)} cannot be read: {reason}; restore or remove it") from None


def known(id: str) -> History:
    """Return the versions of a workflow; raise UsageError where there are none."""
    found = load(id)
    if not found.versions:
        ids = ", ".join(every()) or "none yet"
        raise UsageError(f"no workflow {id!r} was written in words here; there are: {ids}")
    return found


def save(history: History) -> None:
    """Write the versions of a workflow, whole or not at all."""
    text = json.dumps(history.model_dump(mode="json"), indent=1, ensure_ascii=False)
    File(_path(history.id), text + "\n").write()


def every() -> list[str]:
    """Return the ids of the workflows that were written in words."""
    try:
        names = os.listdir(FOLDER)
    except OSError:
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def diff(old: Version, new: Version) -> str:
    """Return what a version changed of another one's code."""
    lines = unified_diff(
        old.code.splitlines(keepends=True),
        new.code.splitlines(keepends=True),
        f"version {old.number}",
        f"version {new.number}",
    )
    return "".join(lines)


def _path(id: str) -> str:
    return os.path.join(FOLDER, f"{id}.json")
