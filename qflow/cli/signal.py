"""`qflow signal`: give a signal to the step that waits for it."""

from __future__ import annotations

import os

import click

from qflow.cli.context import CONNECTION, connect, with_settings
from qflow.cli.payload import read_json
from qflow.config import Settings
from qflow.core import codec
from qflow.core.memo import value_text
from qflow.core.waits import check_signal


@click.command()
@click.argument("name")
@click.option(
    "--data", default="null", metavar="JSON|@FILE|-", help="What the step is given: any JSON."
)
@click.option("--json", "as_json", is_flag=True, help='Print {"delivered": …}.')
@with_settings(*CONNECTION)
def command(settings: Settings, name: str, data: str, as_json: bool) -> int:
    """Give the signal NAME to the step that waits for it. Exit 1 where none does."""
    from qflow.store import script, wait

    check_signal(name, "qflow signal")
    text = value_text(codec.encode(read_json(data), f"the data of signal {name!r}"))
    redis, keys = connect(settings)
    ttl_s = settings.ms("rq_ttl") // 1000
    given = bool(script.run(redis, wait.signal(keys, name, os.urandom(12).hex(), text, ttl_s)))
    if as_json:
        from qflow.cli.display import print_json

        print_json({"delivered": given}, indent=None)
    else:
        click.echo("delivered" if given else f"nobody waits for signal {name!r}", err=not given)
    return 0 if given else 1
