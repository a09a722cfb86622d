"""The headers of the Lua scripts, and what their bodies do with KEYS and ARGV."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_LINE = re.compile(r"^-- (KEYS|ARGV|Returns|Callers|Builds): (.+)$", re.MULTILINE)
_BINDING = re.compile(r"^local ([\w, \n]+?) =((?:[^\n]|\n  )*)$", re.MULTILINE)
_GROUP = re.compile(r"\[([^\]]+)\]\.\.\.")


@dataclass(frozen=True)
class Header:
    """A script and what its header says of it."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The script's source, includes not spliced in."""
        return self.path.read_text("utf-8")

    @cached_property
    def lines(self) -> dict[str, str]:
        """The header's named lines."""
        return dict(_LINE.findall(self.text))

    @property
    def purpose(self) -> str:
        """What stands above the named lines."""
        return self.text.partition("\n-- KEYS:")[0]

    @property
    def keys(self) -> list[str]:
        """Names of the keys, in order."""
        return self.lines["KEYS"].split()

    @property
    def arguments(self) -> list[str]:
        """Names of the arguments that every call has, in order."""
        return _GROUP.sub("", self.lines.get("ARGV", "")).split()

    @property
    def groups(self) -> list[int]:
        """Sizes of the groups of arguments that may be repeated."""
        return [len(group.split()) for group in _GROUP.findall(self.lines.get("ARGV", ""))]

    @property
    def callers(self) -> list[str]:
        """Python functions that make calls of it."""
        return self.lines["Callers"].split()

    @cached_property
    def body(self) -> str:
        """The script without its comments."""
        return re.sub(r"--[^\n]*", "", self.text)

    @cached_property
    def bound(self) -> dict[str, list[str]]:
        """Local names that are bound to KEYS and to ARGV, in order."""
        found: dict[str, list[str]] = {"KEYS": [], "ARGV": []}
        for names, source in _BINDING.findall(self.body):
            for table, locals_ in found.items():
                if _is_unpacked(source, table, len(names.split(","))):
                    locals_ += [name.strip() for name in names.split(",")]
        return found

    @cached_property
    def rest(self) -> str:
        """The body without the bindings."""
        keep = self.body
        for match in _BINDING.finditer(self.body):
            count = len(match[1].split(","))
            if any(_is_unpacked(match[2], table, count) for table in ("KEYS", "ARGV")):
                keep = keep.replace(match[0], "")
        return keep


def _is_unpacked(source: str, table: str, count: int) -> bool:
    """Tell whether `source` gives the first `count` of TABLE: by unpack, or one by one."""
    parts = [re.sub(r"^tonumber\((.*)\)$", r"\1", part.strip()) for part in source.split(",")]
    whole = [f"unpack({table})"], [f"unpack({table}", "1", f"{count})"]
    return parts in (*whole, [f"{table}[{i}]" for i in range(1, count + 1)])
