"""The pages that people read: README, docs/ and deploy/, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "deploy" / "README.md",
]
SKIP = "<!-- test: skip -->"

_BLOCK = re.compile(r"^(?:(<!-- .*? -->)\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (workers/\w+\.py)$")


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    page: str
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file of functions that its first line says it is, or ""."""
        found = _FILE.match(self.text.partition("\n")[0])
        return found[1] if found else ""

    @property
    def commands(self) -> list[str]:
        """What is typed in a block of a terminal."""
        if self.language not in ("console", "sh", "bash"):
            return []
        joined = self.text.replace("\\\n", " ")
        return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, those to be skipped left out."""
    found = _BLOCK.findall(page.read_text("utf-8"))
    return [Block(page.name, language, text) for mark, language, text in found if mark != SKIP]
