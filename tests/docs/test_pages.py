"""What the pages say is so: commands and options exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from docs.pages import PAGES, ROOT, blocks

from qflow.cli.commands import cli

COMMANDS = [command for page in PAGES for block in blocks(page) for command in block.commands]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def words_of(program: str) -> list[list[str]]:
    """Return the words after `program` in every command that calls it."""
    lines = [part for command in COMMANDS for part in re.split(r"&&|\|\||[|;]", command)]
    split = [shlex.split(line.split(" #")[0]) for line in lines if program in line]
    return [words[1:] for words in split if words[0] == program]


@pytest.mark.parametrize("words", words_of("qflow"), ids=" ".join)
def test_qflow_commands_and_their_options_exist(words: list[str]) -> None:
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        parent = click.Context(command, info_name="qflow")
        name, found, words = command.resolve_command(parent, words)
        assert found is not None, name
        command = found
    command.make_context("qflow", list(words))


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"`make ([a-z]+)`", page.read_text())}
    typed = {word for words in words_of("make") for word in words}
    assert named | typed <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    broken = {link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()}
    assert broken == set()
