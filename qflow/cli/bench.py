"""`qflow bench`: the benchmarks of the repository at hand."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

import click

from qflow.errors import QflowError


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Run the benchmarks of qflow's repository, from its folder; ARGUMENTS go to them."""
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.util.find_spec("benchmarks.run")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise QflowError(
            "no benchmarks here: they come with qflow's repository; run this in a checkout of it"
        )
    return int(importlib.import_module("benchmarks.run").main(list(arguments)) or 0)
