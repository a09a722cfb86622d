"""The parts of docs/ that are made from the code; run as a script, it rewrites them.

`docs/settings.md` and `docs/llms.txt` as a whole; in `docs/internals.md` what stands between
`<!-- made: name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from api.surface import listing, public

from qflow.cli.commands import COMMANDS
from qflow.config import Settings, env_name
from qflow.core.status import mermaid
from qflow.store.keys import RQ, Keys

ROOT = Path(__file__).parents[2]
LLMS = ROOT / "docs" / "llms.txt"
SETTINGS = ROOT / "docs" / "settings.md"
INTERNALS = ROOT / "docs" / "internals.md"

_PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = """\
# Settings

Made from `qflow/config.py` by `make docs`. A setting comes from, in this order: the flag, the
variable, `[tool.qflow]` in `pyproject.toml` or `qflow.toml` in the current folder, the default.
Durations are text such as `90s`, `1h30m`, `7d`. A bad value is a one-line error that names its place.

```toml
# qflow.toml
redis_url = "redis://redis.internal:6379/0"
slots = 20
```

| key | variable | flag of | default | meaning |
|---|---|---|---|---|
"""


def settings() -> str:
    """Return docs/settings.md."""
    rows = (
        (
            f"`{field.name}`",
            f"`{env_name(field.name)}`",
            _flag(field.name),
            f"`{field.default}`" if field.default != "" else "–",
            field.metadata["help"],
        )
        for field in fields(Settings)
    )
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def llms() -> str:
    """Return docs/llms.txt: the public API on one page, for models."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    links = "".join(
        f"- [{page.read_text('utf-8').partition(chr(10))[0].lstrip('# ')}]({page.name})\n"
        for page in pages
    )
    commands = "".join(f"- `qflow {name}`: {text}\n" for name, text in COMMANDS.items())
    names = "".join(
        f"### {name}\n\n{inspect.cleandoc(value.__doc__ or '')}\n\n"
        for name, value in public().items()
    )
    guide = (ROOT / "qflow" / "cli" / "starter" / "AGENTS.md.txt").read_text("utf-8")
    rules = guide.partition("## Rules of functions\n\n")[2]
    return (
        "# qflow\n\n> Durable, event-driven workflows in Python on Redis and RQ.\n\n"
        "Made from the public API by `make docs`.\n\n"
        f"## Rules of functions\n\n{rules}\n## Pages\n\n{links}\n## Commands\n\n{commands}\n"
        f"## Signatures\n\n```\n{listing()}```\n\n## Public names\n\n{names.rstrip()}\n"
    )


def internals() -> str:
    """Return docs/internals.md with its made parts as they should be."""
    parts = {"states": f"```mermaid\n{mermaid()}\n```\n", "keys": _keys()}
    text = INTERNALS.read_text("utf-8")
    return _PART.sub(lambda match: f"{match[1]}{parts[match[2]]}{match[3]}", text)


def _flag(name: str) -> str:
    commands = [
        command
        for command in COMMANDS
        if any(p.name == name for p in _parameters(import_module(f"qflow.cli.{command}").command))
    ]
    if len(commands) > 4:
        return "all that reach Redis"
    return ", ".join(f"`{command}`" for command in commands) or "–"


def _parameters(command: click.Command) -> Iterator[click.Parameter]:
    yield from command.params
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            yield from _parameters(sub)


def _keys() -> str:
    rows = (f"| `{key}` | {_cell(text)} |\n" for key, text in _documented(Keys("<ns>")))
    return "| key | what it is |\n|---|---|\n" + "".join(rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _documented(keys: Keys) -> Iterator[tuple[str, str]]:
    members = {n: m for kind in reversed(Keys.__mro__) for n, m in vars(kind).items()}
    for name, member in members.items():
        if isinstance(member, cached_property):
            yield _shown(getattr(keys, name)), member.func.__doc__ or ""
        elif inspect.isfunction(member) and not name.startswith("_"):
            parameters: list[Any] = [
                f"<{p}>" for p in inspect.signature(member).parameters if p != "self"
            ]
            yield _shown(member(keys, *parameters)), member.__doc__ or ""


def _shown(key: str) -> str:
    return key.replace(
        f"{RQ}:scheduler:scheduled_jobs:<ns>", f"{RQ}:scheduler:scheduled_jobs[:<ns>]"
    )


if __name__ == "__main__":
    LLMS.write_text(llms(), "utf-8")
    SETTINGS.write_text(settings(), "utf-8")
    INTERNALS.write_text(internals(), "utf-8")
