"""The `qflow` command.

Exit codes: 0 done, 1 failed, 2 the command line or a setting is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `qflow` command line."""
    from qflow.cli import quick

    if quick.answer(sys.argv[1:]):
        return
    from qflow.cli.commands import cli

    cli(prog_name="qflow")
