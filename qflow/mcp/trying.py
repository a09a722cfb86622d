"""Tools that try code without deploying it: checks, dry runs, drafts."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Final

from qflow.authoring.check import check
from qflow.authoring.masking import masked, masked_text
from qflow.authoring.sandbox import cage
from qflow.errors import UsageError

DRAFTS: Final = os.path.join(".qflow", "drafts")

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\.py")
_FINDINGS: Final = 50


@dataclass(frozen=True)
class Trying:
    """What the tools that try code work on: the folder of functions."""

    folder: str

    def check_source(self, source: str, name: str = "draft.py") -> dict[str, Any]:
        """Check the source of a module as if it stood in the folder of functions under `name`; nothing is
        executed. Each finding has rule, line, message and remedy."""
        found = check(source, os.path.join(self.folder, _module(name)))
        return {
            "ok": not found,
            "findings": [finding.as_dict() for finding in found[:_FINDINGS]],
            "more": max(0, len(found) - _FINDINGS),
        }

    def dry_run(
        self,
        function: str,
        data: dict[str, Any] | None = None,
        source: str = "",
        name: str = "draft.py",
        values: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Play a function in a sandbox, on a virtual clock, with event `data`: as it goes, with its waits
        answered, with a crash after each step, with each step failing once. `source` stands as module
        `name` in a copy of the folder; `values` stand for steps by id. No network, no secrets."""
        drafts = {_module(name): source} if source else None
        request = {"function": function, "data": data or {}, "values": values or {}}
        outcome = cage.run(self.folder, request, drafts=drafts)
        result = outcome.result or {}
        scenes = result.get("scenarios", [])
        problems = [outcome.problem] if outcome.problem else cage.problems(result)
        return {
            "ok": outcome.ok,
            "problems": [masked_text(each)[:1000] for each in problems[:20]],
            "scenarios": [{k: s[k] for k in ("name", "status")} for s in scenes],
            "output": masked(scenes[0]["output"]) if scenes else None,
            "moments": scenes[0]["moments"][:100] if scenes else [],
            "stood_for": result.get("stubbed", {}),
            "held_by": result.get("held_by", []),
        }

    def propose_draft(self, name: str, source: str) -> dict[str, Any]:
        """Leave a module as a draft for a person to read; no worker imports it. Refused where the checks
        find something."""
        module = _module(name)
        told = self.check_source(source, module)
        if not told["ok"]:
            return {"written": None, **told}
        home = os.path.join(os.path.dirname(os.path.abspath(self.folder)), DRAFTS)
        os.makedirs(home, exist_ok=True)
        path = os.path.join(home, module)
        with open(f"{path}.part", "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(f"{path}.part", path)
        shown = os.path.join(DRAFTS, module)
        following = f"a person reads it and moves it to {os.path.basename(self.folder)}/{module}"
        return {"written": shown, **told, "next": following}


def _module(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"name={name!r}: a module of the folder, such as 'sync_contacts.py', without a path"
        )
    return name
