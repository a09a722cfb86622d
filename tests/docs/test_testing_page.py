"""The tests of docs/testing.md run, in a folder as the page describes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from docs.pages import ROOT, blocks

FILE = re.compile(r"# ((?:workers|tests)/\w+\.py)$")


def test_the_page_s_tests_pass(tmp_path: Path) -> None:
    written = []
    for block in blocks(ROOT / "docs" / "testing.md"):
        if block.language == "python":
            found = FILE.match(block.text.partition("\n")[0])
            assert found, f"no file is named for: {block.text[:60]}"
            written.append(tmp_path / found[1])
            written[-1].parent.mkdir(exist_ok=True)
            written[-1].write_text(block.text)
        elif block.language == "toml":
            (tmp_path / "pyproject.toml").write_text(block.text)
    tests = sum(file.read_text().count("\ndef test_") for file in written)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--strict-config", "--strict-markers", "tests"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f" {tests} passed" in done.stdout, done.stdout + done.stderr
