"""`qflow init`: a starter project."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import click

from qflow.errors import UsageError

_SUFFIX: Final = ".txt"
_HIDDEN: Final = {"gitignore": ".gitignore", "mcp.json": ".mcp.json"}


@click.command()
@click.argument("path", required=False, default=".", metavar="[PATH]")
def command(path: str) -> None:
    """Write a starter project to the folder PATH: workers/, tests/, qflow.toml, AGENTS.md.

    What is there already is kept as it is.
    """
    home = os.path.abspath(path)
    if os.path.exists(home) and not os.path.isdir(home):
        raise UsageError(f"{path!r} is a file: name a folder as PATH")
    name = re.sub(r"[^A-Za-z0-9_.\-]+", "-", os.path.basename(home)).strip("-_.") or "app"
    try:
        for place, text in _files(files("qflow.cli") / "starter", ""):
            _write(home, place, text.replace("NAME", name))
    except OSError as error:
        where = error.filename or home
        raise UsageError(f"cannot write {where}: {error.strerror or error}") from None
    begin = "" if home == os.getcwd() else f"cd {path} && "
    click.echo(f"next: {begin}qflow dev, and in another terminal")
    click.echo("""  qflow send user/created --data '{"name": "Jane"}'""")


def _files(folder: Traversable, place: str) -> Iterator[tuple[str, str]]:
    """Every file of the starter: where it goes, and its text."""
    for item in sorted(folder.iterdir(), key=lambda each: each.name):
        if item.is_dir():
            yield from _files(item, f"{place}{item.name}/")
        elif item.name.endswith(_SUFFIX):
            name = item.name.removesuffix(_SUFFIX)
            yield f"{place}{_HIDDEN.get(name, name)}", item.read_text("utf-8")


def _write(home: str, place: str, text: str) -> None:
    target = os.path.join(home, place)
    if os.path.lexists(target):
        click.echo(f"kept     {place}, which is there already")
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "x", encoding="utf-8") as file:
        file.write(text)
    click.echo(f"written  {place}")
