"""`qflow mcp`: functions, runs and drafts for coding agents."""

from __future__ import annotations

import click

from qflow.cli.context import CONNECTION, path, with_settings
from qflow.config import Settings
from qflow.errors import UsageError


@click.command()
@path
@click.option("--http", is_flag=True, help="Streamable HTTP at /mcp instead of standard input.")
@click.option("--readonly", is_flag=True, help="Leave out the tools that change something.")
@with_settings(*CONNECTION, "mcp_port")
def command(settings: Settings, http: bool, readonly: bool) -> None:
    """Serve the Model Context Protocol, for the folder of functions PATH.

    On standard input and output, or with --http on the loopback address, which has no logins: who can
    reach it can do all that its tools do.
    """
    try:
        from qflow.mcp.server import server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise UsageError("qflow mcp needs the MCP SDK: pip install 'qflow[mcp]'") from None
    made = server(settings, readonly=readonly)
    if not http:
        made.run("stdio")
        return
    click.echo(f"mcp at http://127.0.0.1:{settings.mcp_port}/mcp  (Ctrl-C stops it)", err=True)
    made.run("streamable-http", host="127.0.0.1", port=settings.mcp_port)
