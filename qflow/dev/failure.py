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

    Of a traceback, the last frames in `folder` are shown and the one that raised, unless that is
    qflow's or the import system's; files are named as seen from `folder`.
    """
    lines = [line for line in output if line.strip()]
    if _TRACEBACK not in lines:
        *before, last = lines[-_LINES:] or [f"it ended with exit code {exit_code} and no word"]
        return last.removeprefix("error: "), before
    start = len(lines) - 1 - lines[::-1].index(_TRACEBACK)
    frames, error = _split(lines[start + 1 :])
    users = [frame for frame in frames if _is_in(frame[0], folder)]
    place = _place(users[-1][0], folder) if users else ""
    summary = next((line for line in error if not line.startswith(" ")), f"exit code {exit_code}")
    kept = users[-_FRAMES:]
    if frames and frames[-1] not in kept and not _is_machinery(frames[-1][0]):
        kept.append(frames[-1])
    shown = [line for frame in kept for line in (_shorten(frame[0], folder), *frame[1:])]
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


def _is_in(line: str, folder: Path) -> bool:
    match = _FRAME.match(line)
    return match is not None and Path(match["file"]).is_relative_to(folder)


def _is_machinery(line: str) -> bool:
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
