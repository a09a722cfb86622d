"""Says in a few lines why a folder of functions cannot be imported: the place, then the error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_TRACEBACK: Final = "Traceback (most recent call last):"
_FRAME: Final = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+)')
_OURS: Final = str(Path(__file__).resolve().parents[1])
_FRAMES: Final = 3
_LINES: Final = 12


def summarise(output: Sequence[str], exit_code: int, folder: Path) -> tuple[str, list[str]]:
    """Return a one-line reason and the lines that show it, from what a failed worker said.

    Of a traceback, the frames of qflow and of the import system are left out, and files are named
    as seen from `folder`.
    """
    lines = [line for line in output if line.strip()]
    if _TRACEBACK not in lines:
        said = lines[-_LINES:]
        return (said[-1] if said else f"it ended with exit code {exit_code} and no word"), said[:-1]
    start = len(lines) - 1 - lines[::-1].index(_TRACEBACK)
    frames, error = _split(lines[start + 1 :])
    users = [frame for frame in frames if not _is_foreign(frame[0])][-_FRAMES:]
    place = _place(users[-1][0], folder) if users else ""
    summary = next((line for line in error if not line.startswith(" ")), f"exit code {exit_code}")
    shown = [line for frame in users for line in (_shorten(frame[0], folder), *frame[1:])]
    return (f"{place}: {summary}" if place else summary), [*shown, *error][-_LINES:]


def _split(lines: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Return the frames of a traceback, each with its source lines, and the lines of the error."""
    frames: list[list[str]] = []
    for at, line in enumerate(lines):
        if _FRAME.match(line):
            frames.append([line])
        elif line.startswith("    ") and frames:
            frames[-1].append(line)
        else:
            return frames, list(lines[at:])
    return frames, []


def _is_foreign(line: str) -> bool:
    match = _FRAME.match(line)
    return match is None or match["file"].startswith(("<frozen ", _OURS))


def _place(line: str, folder: Path) -> str:
    match = _FRAME.match(line)
    return f"{_relative(match['file'], folder)}:{match['line']}" if match else ""


def _shorten(line: str, folder: Path) -> str:
    match = _FRAME.match(line)
    return line.replace(match["file"], _relative(match["file"], folder)) if match else line


def _relative(file: str, folder: Path) -> str:
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file
