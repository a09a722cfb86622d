"""Node.js and the npm packages that some tests call."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def run_node(script: str, folder: Path, package: str, *args: str) -> str:
    """Run a module that imports `package`, and return what it prints.

    The package is looked for in node_modules above this file and where NODE_PATH says; where it is
    missing, the test is skipped, or fails with CI set.
    """
    node, found = shutil.which("node"), node_modules(package)
    if node is None or found is None:
        reason = "node is not installed" if node is None else f"npm package {package!r} is missing"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    file = folder / "script.mjs"
    file.write_text(script)
    (folder / "node_modules").symlink_to(found)
    said = subprocess.run(
        [node, str(file), *args], capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 0, said.stderr
    return said.stdout


def node_modules(package: str) -> Path | None:
    """Return the folder of npm packages that has this one."""
    named = [Path(part) for part in os.environ.get("NODE_PATH", "").split(os.pathsep) if part]
    above = [folder / "node_modules" for folder in Path(__file__).resolve().parents]
    return next((folder for folder in (*named, *above) if (folder / package).is_dir()), None)
