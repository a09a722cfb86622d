"""`qflow test`: run one function in the sandbox, on a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from qflow.cli import display
from qflow.cli.context import as_json, path, with_settings
from qflow.cli.payload import read_object, read_value
from qflow.config import Settings
from qflow.core.event import check_name
from qflow.errors import UsageError

if TYPE_CHECKING:
    from qflow.authoring.sandbox.cage import Outcome

_FIELDS = {"name", "data", "id", "ts", "v"}


@click.command()
@click.argument("function")
@path
@click.option(
    "--event",
    default="{}",
    metavar="FILE|JSON|-",
    help="Its event: name and data, or data only; a file of it, JSON, or - for standard input.",
)
@click.option(
    "--stub",
    "stubs",
    multiple=True,
    metavar="STEP=JSON",
    help="What a step gives instead of being executed; may be repeated.",
)
@click.option("--no-faults", is_flag=True, help="Only as it goes: no crash, no failing steps.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds that the whole may take.")
@as_json
@with_settings()
def command(settings: Settings, function: str, as_json: bool, **options: Any) -> int:
    """Run FUNCTION of the folder PATH in a sandbox, with an event, on a virtual clock.

    Without network, secrets or other files than a copy of PATH. Steps run for real; one that reaches
    outside gives an example of what its annotation says it returns, or what --stub says. After that it
    is run again with its waits answered, with a crash after each step, and with each step failing once.

    Exit 1 where it fails, does not do the same again, or is ended by a limit.
    """
    from qflow.authoring.sandbox.cage import Limits, run

    request = {
        "function": function,
        **_event(options["event"]),
        "values": dict(map(_stub, options["stubs"])),
        "faults": not options["no_faults"],
    }
    if options["timeout"] <= 0:
        raise UsageError(f"--timeout {options['timeout']:g}: more than 0 seconds")
    outcome = run(settings.path, request, limits=Limits(wall_s=options["timeout"]))
    if as_json:
        display.print_json(_told(outcome))
    else:
        _print(function, outcome)
    if outcome.result is not None and "unknown" in outcome.result:
        return 2
    return 0 if outcome.ok else 1


def _event(given: str) -> dict[str, Any]:
    """Return the event or the data that `--event` stands for."""
    is_file = not given.lstrip().startswith(("{", "@", "-"))
    read = read_object(f"@{given}" if is_file else given, "--event")
    if "name" in read and "data" in read and read.keys() <= _FIELDS:
        check_name(read["name"])
        if not isinstance(read["data"], dict):
            raise UsageError("--event: its data must be a JSON object")
        return {"event": {k: v for k, v in read.items() if k in ("name", "data", "id")}}
    return {"data": read}


def _stub(given: str) -> tuple[str, Any]:
    step, equals, text = given.partition("=")
    if not equals or not step:
        raise UsageError(f"--stub {given!r}: write STEP=JSON, as in --stub 'fetch=[1, 2]'")
    return step, read_value(text, f"--stub {step}")[0]


def _told(outcome: Outcome) -> dict[str, Any]:
    from qflow.authoring.sandbox.cage import problems

    result = outcome.result or {}
    return {
        "ok": outcome.ok,
        "problems": [outcome.problem] if outcome.problem else problems(result),
        **{k: v for k, v in result.items() if k not in ("problem", "unknown")},
        "output": outcome.output,
    }


def _print(function: str, outcome: Outcome) -> None:
    from qflow.authoring.sandbox.cage import problems

    console = display.console()
    for row in outcome.output.splitlines()[:50]:
        console.print(display.safe(row), style="dim", markup=False, soft_wrap=True)
    result = outcome.result
    if outcome.problem or result is None:
        click.echo(click.style(display.safe(outcome.problem), fg="red"), err=True)
        for reached in (result or {}).get("reached", ()):
            click.echo(f"  it reached for {display.safe(str(reached))}", err=True)
        return
    _print_scene(function, result["scenarios"][0], result["stubbed"])
    for scene in result["scenarios"]:
        line = display.status(scene["status"])
        line.append(f"  {display.one_line(scene['name'], 80)}", "")
        console.print(line)
    for problem in problems(result):
        click.echo(click.style(display.one_line(problem), fg="red"), err=True)
    trace = result["scenarios"][0].get("traceback", "")
    for row in str(trace).splitlines():
        click.echo(f"  {display.safe(row)}", err=True)
    click.echo(f"held by {', '.join(result['held_by'])}")


def _print_scene(function: str, scene: Mapping[str, Any], stubbed: Mapping[str, str]) -> None:
    from qflow.authoring.sandbox.story import story
    from qflow.cli.bars import lines
    from qflow.read.waterfall import waterfall

    console = display.console()
    notes = {step: f"stood for ({why})" for step, why in stubbed.items()}
    for line in lines(waterfall(story(function, scene)), notes):
        console.print(line)
    if scene["status"] == "completed":
        console.print(f"output  {display.compact(scene['output'], 400)}", markup=False)
    elif scene["error"]:
        console.print(display.cell(scene["error"], "yellow"))
