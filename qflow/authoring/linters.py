"""Ruff and mypy on source text, where they are installed. Neither executes it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Final

from qflow.authoring.finding import Finding

_RULES: Final = "E9,F,B,ASYNC1,ASYNC2,PLE,S307,W6"
_TIMEOUT_S: Final = 120
_TYPE_ERROR: Final = re.compile(r"^(.*?):(\d+):(\d+): error: (.*?)(?:\s+\[([\w-]+)\])?$")


def tool(name: str) -> str:
    """Return the program of that name beside this Python or on the path, "" where there is none."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    return beside if os.access(beside, os.X_OK) else shutil.which(name) or ""


def ruff(source: str, path: str) -> Iterator[Finding]:
    """Mistakes that ruff finds."""
    program = tool("ruff")
    if not program:
        return
    done = subprocess.run(
        [program, "check", "--isolated", "--no-cache", "--output-format", "json",
         "--select", _RULES, "--stdin-filename", os.path.basename(path), "-"],
        input=source, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        return
    for each in json.loads(done.stdout or "[]"):
        place = each["location"]
        yield Finding(
            place["row"],
            place["column"],
            f"ruff {each['code'] or 'syntax'}",
            each["message"],
            "correct it",
        )


def types(source: str, path: str) -> Iterator[Finding]:
    """Errors of types that mypy finds in the source, as one of the modules of its folder."""
    program = tool("mypy")
    if not program:
        return
    folder = os.path.dirname(os.path.abspath(path))
    with tempfile.TemporaryDirectory(prefix="qflow-types-") as root:
        package = os.path.join(root, os.path.basename(folder))
        os.mkdir(package)
        if os.path.isdir(folder):
            for name in os.listdir(folder):
                if name.endswith(".py"):
                    shutil.copy(os.path.join(folder, name), package)
        draft = os.path.join(package, os.path.basename(path))
        with open(draft, "w", encoding="utf-8") as file:
            file.write(source)
        done = subprocess.run(
            [program, "--config-file=", "--ignore-missing-imports", "--follow-imports=silent",
             "--show-column-numbers", "--no-error-summary", "--no-pretty", "--no-color-output",
             "--namespace-packages", "--explicit-package-bases", "--cache-dir", _cache(), draft],
            cwd=root, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    for line in done.stdout.splitlines():
        found = _TYPE_ERROR.match(line)
        if found and os.path.basename(found[1]) == os.path.basename(path):
            yield Finding(
                int(found[2]),
                int(found[3]),
                f"types {found[5] or ''}".strip(),
                found[4],
                "correct it",
            )


def _cache() -> str:
    """Return the folder of mypy's cache: one for each user, so that only the first check is slow."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(root, "qflow", "mypy")
