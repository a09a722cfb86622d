"""How a command ends other than well: one line on standard error, and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Final

from qflow.errors import QflowError, UsageError

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130


def say(message: str) -> None:
    """Write an error as one line."""
    sys.stderr.write("error: " + " ".join(message.split()) + "\n")


def report(error: QflowError) -> int:
    """Write an error of ours, and return the exit code that it stands for."""
    say(str(error))
    return WRONG_USAGE if isinstance(error, UsageError) else FAILED


def hush() -> int:
    """Keep Python from complaining, at exit, that nobody reads its output any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
