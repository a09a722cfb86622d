"""The table of commands: each one's module is imported only when it runs or its help is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from qflow.cli.endings import INTERRUPTED, hush, report, say
from qflow.errors import QflowError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "init": "Write a starter project.",
    "dev": "Run everything here, reloading functions as you edit them.",
    "worker": "Run functions: execute the steps of their runs.",
    "router": "Turn events into runs.",
    "scheduler": "Wake sleeps and retries, fire cron schedules, rescue dead workers' runs.",
    "dashboard": "See and steer everything in a browser.",
    "new": "Write a workflow from words.",
    "send": "Send an event.",
    "signal": "Give a signal to the step that waits for it.",
    "approvals": "List, approve and reject what runs wait for a person to decide.",
    "run": "Start one function and follow its steps until it ends.",
    "runs": "List, show, follow and control runs.",
    "functions": "List, show, explain, pause and resume published functions.",
    "events": "List and follow events.",
    "webhooks": "List, add and remove inbound webhooks.",
    "limits": "List concurrency limits: who holds slots, who waits.",
    "check": "Say what is wrong with the source of functions, without running it.",
    "test": "Run one function in a sandbox, on a virtual clock.",
    "fix": "Ask a model for a patch of a failed run, proved on that run's history.",
    "doctor": "Say what is right and wrong with Redis and qflow, with remedies.",
    "bench": "Measure speed on this machine.",
    "mcp": "Serve functions, runs and drafts to coding agents.",
    "completion": "Print the completion script of a shell.",
}
"""Every command and its help in one line; `qflow.cli.<name>` has it as `command`."""


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"qflow.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where there is none of that name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, 1)
            hint = f"did you mean {near[0]!r}?" if near else "see qflow --help"
            raise UsageError(f"no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete command names from the table, importing none."""
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        found = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run the command line and exit; every expected error is one line on standard error."""
        extra["standalone_mode"] = False
        try:
            result = super().main(args, *rest, **extra)
            sys.stdout.flush()
        except click.exceptions.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            sys.exit(_explain(error))
        except QflowError as error:
            sys.exit(report(error))
        except BrokenPipeError:
            sys.exit(hush())
        sys.exit(result if isinstance(result, int) else 0)


def _explain(error: click.ClickException) -> int:
    """Write an error of click's as one line, and return its exit code."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help itself
        error.show()
    else:
        hint = f" (see {context.command_path} --help)" if context else ""
        say(error.format_message() + hint)
    return error.exit_code


def _version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from qflow import __version__

        click.echo(f"qflow {__version__}")
        ctx.exit()


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Print the version.",
)
def cli() -> None:
    """Durable, event-driven workflows in Python on Redis and RQ.

    Begin with `qflow dev`. Settings come from flags, QFLOW_* variables, and [tool.qflow] in
    pyproject.toml or qflow.toml, in that order.
    """
