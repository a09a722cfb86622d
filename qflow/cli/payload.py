"""Reads a JSON object that is given on the command line, in a file, or on standard input."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import click

from qflow.core.event import MAX_EVENT_BYTES
from qflow.errors import LimitError, UsageError

data = click.option(
    "--data",
    default="{}",
    metavar="JSON|@FILE|-",
    help="Data: JSON, a file of it, or - for standard input.",
)


def read_data(given: str) -> dict[str, Any]:
    """Return the mapping that `--data` stands for; raises as `read_object`."""
    return read_object(given, "--data")


def read_object(given: str, option: str) -> dict[str, Any]:
    """Return the mapping that `option` stands for: JSON, @file, or - for standard input.

    Raises UsageError where it cannot be read, naming the position, or is no mapping.
    """
    value, place = read_value(given, option)
    if not isinstance(value, dict):
        kind = {list: "a list", str: "text", type(None): "null", bool: "true or false"}
        found = kind.get(type(value), "a number")
        raise UsageError(
            f"{option}{place} must be a JSON object such as '{{\"id\": 7}}', not {found}"
        )
    return value


def read_json(given: str) -> Any:
    """Return the value that `--data` stands for; UsageError where it cannot be read."""
    return read_value(given, "--data")[0]


def read_value(given: str, option: str) -> tuple[Any, str]:
    """Return any value that `option` stands for, and how to name the place that it came from."""
    text, place = _text(given, option)
    try:
        value = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        raise UsageError(
            f"{option}{place} is not JSON at {at}: {error.msg}{_quoting(given)}"
        ) from None
    except ValueError as error:
        raise UsageError(f"{option}{place} is not JSON: {error}") from None
    except RecursionError:
        raise UsageError(f"{option}{place} is nested too deeply") from None
    return value, place


def _text(given: str, option: str) -> tuple[str, str]:
    """Return the text and, where it came from elsewhere, how to name that place."""
    try:
        if given == "-":
            raw, place = sys.stdin.buffer.read(4 * MAX_EVENT_BYTES + 1), ": standard input"
        elif given.startswith("@"):
            place = f": file {given[1:]}"
            with open(given[1:], "rb") as file:
                raw = file.read(4 * MAX_EVENT_BYTES + 1)
        else:
            return given, ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}: cannot read {given[1:]!r}: {reason}") from None
    if len(raw) > 4 * MAX_EVENT_BYTES:
        raise LimitError(
            f"{option}{place} has more than {4 * MAX_EVENT_BYTES // 1024} KiB, over the limit of "
            f"{MAX_EVENT_BYTES // 1024} KiB for an event; store it elsewhere and send a reference"
        )
    try:
        return raw.decode("utf-8-sig"), place
    except UnicodeDecodeError as error:
        raise UsageError(f"{option}{place} is not UTF-8 at byte {error.start}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _quoting(given: str) -> str:
    """Remind of the shell's quotes where they seem to be what is missing."""
    return "; put it in single quotes" if given.startswith("{") and '"' not in given else ""
