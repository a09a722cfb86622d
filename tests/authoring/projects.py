"""Folders of functions that tests write."""

from __future__ import annotations

from pathlib import Path

HEAD = """\
import asyncio, os, signal, socket, subprocess, sys, threading, time
from dataclasses import dataclass
from qflow import App, Event, NonRetriableError, Step, SyncStep

app = App("trial")
"""


def folder(root: Path, source: str) -> str:
    """Write a folder `workers` with one module and return its path."""
    workers = root / "workers"
    workers.mkdir(exist_ok=True)
    (workers / "flow.py").write_text(HEAD + source)
    return str(workers)


def stepping(body: str, returns: str = "object") -> str:
    """Return a function `f` whose only step does `body`."""
    return (
        f"def work() -> {returns}:\n    {body}\n\n"
        '@app.function("f", trigger="a/b", retries=1)\n'
        "def f(step: SyncStep) -> object:\n    return step.run('work', work)\n"
    )
