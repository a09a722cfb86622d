"""What a check has found: a rule, a place in the source, and what to do about it."""

from __future__ import annotations

import ast
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something in source text that keeps it from being accepted."""

    line: int
    column: int
    rule: str
    message: str
    remedy: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.rule}: {self.message}; {self.remedy}"

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)


def at(node: ast.AST, rule: str, message: str, remedy: str) -> Finding:
    """Return a finding at the place of a node of the syntax tree."""
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
    return Finding(line, column, rule, message, remedy)
