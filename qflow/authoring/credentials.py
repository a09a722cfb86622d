"""Secrets: named by environment variables, never written into code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from qflow.authoring.finding import Finding, at
from qflow.authoring.names import dotted, imported

_SHAPES: Final = (
    ("an API key", re.compile(r"\b(sk|pk|rk)[-_](live|test|proj|ant)?[-_]?[A-Za-z0-9_\-]{16,}")),
    ("a Slack token", re.compile(r"\bxox[abeprs]-[A-Za-z0-9-]{10,}")),
    ("a Slack webhook", re.compile(r"hooks\.slack\.com/services/T\w+/B\w+/\w+")),
    ("an AWS key", re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("a GitHub token", re.compile(r"\b(gh[opusr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})")),
    ("a Google key", re.compile(r"\bAIza[A-Za-z0-9_\-]{30,}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.")),
    ("a bearer token", re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._\-]{16,}")),
    ("a password in an address", re.compile(r"\b[a-z][a-z0-9+.\-]*://[^\s:/@{}]*:[^\s:/@{}]{3,}@")),
)  # fmt: skip
_NAMES: Final = re.compile(
    r"(?i)(^|_)(password|passwd|secret|api_?key|access_?key|auth_?token|token)$"
)
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_PLACEHOLDERS: Final = frozenset(("", "user:password", "none"))


def secrets_in_code(tree: ast.Module) -> Iterator[Finding]:
    """Values in the source that look like secrets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for what, shape in _SHAPES:
                found = shape.search(node.value)
                if found and "user:password@" not in found[0]:
                    yield _finding(node, what)
                    break
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _named(_last(target), node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _named(_last(node.target), node.value)
        elif isinstance(node, ast.keyword) and node.arg:
            yield from _named(node.arg, node.value)


def secrets_named(tree: ast.Module) -> tuple[str, ...]:
    """Return the environment variables that the source reads, sorted."""
    names = imported(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        first: ast.AST | None = None
        if isinstance(node, ast.Subscript) and dotted(node.value, names) == "os.environ":
            first = node.slice
        elif isinstance(node, ast.Call) and node.args:
            called = dotted(node.func, names)
            last = called.rpartition(".")[2]
            if called in ("os.getenv", "os.environ.get") or last in ("required", "optional"):
                first = node.args[0]
            elif last == "Service":
                found |= {text for arg in node.args[1:] if (text := _variable(arg))}
        if first is not None and (text := _variable(first)):
            found.add(text)
    return tuple(sorted(found))


def _variable(node: ast.AST) -> str:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) and _VARIABLE.fullmatch(value) else ""


def _named(name: str, value: ast.expr) -> Iterator[Finding]:
    if not _NAMES.search(name) or not isinstance(value, ast.Constant):
        return
    text = value.value
    if isinstance(text, str) and text not in _PLACEHOLDERS and not _VARIABLE.fullmatch(text):
        yield _finding(value, f"the value of {name!r}")


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return getattr(node, "id", "")


def _finding(node: ast.AST, what: str) -> Finding:
    return at(
        node, "secret", f"{what} stands in the code",
        "put it into an environment variable and read that in the step; change the secret, it has been seen",
    )  # fmt: skip
