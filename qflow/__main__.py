"""`python -m qflow` is the `qflow` command."""

from qflow.cli.main import main

main()
