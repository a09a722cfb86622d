"""`qflow completion`: what a shell needs to complete qflow's commands and options."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    r"""Print the completion script of a SHELL.

    \b
    bash: qflow completion bash >~/.local/share/bash-completion/completions/qflow
    zsh:  qflow completion zsh >~/.zfunc/_qflow      (with ~/.zfunc in $fpath)
    fish: qflow completion fish >~/.config/fish/completions/qflow.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click has all three
    click.echo(kind(ctx.find_root().command, {}, "qflow", "_QFLOW_COMPLETE").source())
