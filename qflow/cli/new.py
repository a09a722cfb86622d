"""`qflow new`: a workflow from words."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime

import click

from qflow.authoring import accept, connectors, draft, modelled, planner, providers, versions
from qflow.authoring.planner import answers
from qflow.authoring.providers import Provider
from qflow.authoring.spec import Question, WorkflowSpec
from qflow.authoring.versions import History, Version
from qflow.cli import display
from qflow.cli.context import with_settings
from qflow.cli.endings import FAILED
from qflow.config import Settings
from qflow.errors import UsageError

OFFLINE = "offline"


@click.command()
@click.argument("words", required=False, default="")
@click.option("--change", metavar="ID", default="", help="Change this workflow by WORDS.")
@click.option("--rollback", metavar="ID", default="", help="Go back to an earlier version of it.")
@click.option(
    "--to", type=int, default=0, help="The version to go back to; default: the one before."
)
@click.option("--versions", "listed", metavar="ID", default="", help="List its versions.")
@click.option("--id", "wanted", default="", help="The workflow's id; default: from the words.")
@click.option("--yes", is_flag=True, help="Take what holds for open questions, and write.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, and write nothing.")
@with_settings("path")
def command(
    settings: Settings, words: str, change: str, rollback: str, listed: str, **how: object
) -> int | None:
    """Write a workflow from WORDS: "sync our Salesforce contacts every hour".

    Asks what the words leave open, shows what would be written, and writes it where you agree. A workflow
    with open questions is kept as a draft, which no worker sees.
    """
    session = _Session(settings.path, providers.chosen(settings), yes=bool(how["yes"]))
    if listed:
        _list(versions.known(listed))
        return None
    if rollback:
        return session.go_back(versions.known(rollback), int(str(how["to"])))
    history = versions.known(change) if change else None
    spec = _planned(session, words, history)
    if how["wanted"]:
        spec = WorkflowSpec.model_validate(spec.model_dump() | {"id": how["wanted"]})
    if how["as_json"]:
        display.print_json(draft.as_json(spec, settings.path))
        return None
    return session.write(spec, words, history)


def _planned(session: _Session, words: str, history: History | None) -> WorkflowSpec:
    """Return the workflow that the words mean to the model or, without one, to the rules."""
    provider = session.provider
    if history is None:
        return modelled.plan(provider, words).value if provider else planner.plan(words)
    spec = history.newest.spec
    return modelled.change(provider, spec, words).value if provider else planner.change(spec, words)


class _Session:
    """One session in the terminal, which ends with files written, a draft, or nothing."""

    def __init__(self, folder: str, provider: Provider | None, *, yes: bool) -> None:
        self.folder = folder
        self.provider = provider
        self.yes = yes

    def write(self, spec: WorkflowSpec, words: str, history: History | None) -> int | None:
        """Ask what is open, show what would be written, and write it."""
        self._check_free(spec, history)
        _say(spec)
        spec = self._answered(spec)
        history = history or versions.load(spec.id)
        if spec.questions:
            self._keep(spec, words, history, "draft")
            click.echo("\nnothing is active: these questions are open")
            for question in spec.questions:
                click.echo(f"  {question.text}")
            click.echo(f'answer them with `qflow new --change {spec.id} "…"`')
            return FAILED
        return self._activate(spec, words, history)

    def go_back(self, history: History, number: int) -> int | None:
        """Write the code of an earlier version again, as a new version."""
        active = history.active
        wanted = number or (active.number if active else 2) - 1
        version = history.version(wanted)
        self._check_free(version.spec, history)
        return self._activate(version.spec, f"back to version {wanted}", history)

    def _activate(self, spec: WorkflowSpec, words: str, history: History) -> int | None:
        made = draft.files(spec, self.folder)
        for file in made:
            click.echo(file.diff(), nl=False)
        *modules, _test = made
        drafts = {os.path.basename(file.path): file.text for file in modules}
        objections = list(accept.objections(self.folder, drafts, spec.id, tools=False))
        if objections:
            for each in objections:
                click.echo(click.style(display.one_line(each), fg="red"), err=True)
            click.echo("nothing was written", err=True)
            return FAILED
        if not self.yes and not click.confirm("\nWrite this?"):
            click.echo("nothing was written")
            return FAILED
        for file in made:
            file.write()
        number = self._keep(spec, words, history, "active")
        click.echo(
            f"\nwrote {', '.join(file.path for file in made)}: version {number} of {spec.id}"
        )
        for variable in connectors.secrets(spec):
            click.echo(f"  set {variable.name}: {variable.meaning}")
        packages = connectors.packages(spec)
        if packages:
            click.echo(f"  pip install {' '.join(packages)}")
        return None

    def _answered(self, spec: WorkflowSpec) -> WorkflowSpec:
        """Return the spec with the questions answered that somebody answers."""
        left: set[str] = set()
        while question := next((q for q in spec.questions if q.id not in left), None):
            try:
                spec, is_open = self._ask(spec, question)
            except UsageError as error:
                click.echo(f"  {error}")
                continue
            if is_open:
                left.add(question.id)
        return spec

    def _ask(self, spec: WorkflowSpec, question: Question) -> tuple[WorkflowSpec, bool]:
        holds = answers.standing(spec, question)
        if self.yes:
            if question.needed:
                return spec, True
            return answers.answer(spec, question, ""), False
        shown = display.one_line(question.text)
        text = click.prompt(shown, default=holds, show_default=bool(holds), type=str).strip()
        if not text and question.needed:
            return spec, True
        return answers.answer(spec, question, "" if text == holds else text), False

    def _keep(self, spec: WorkflowSpec, words: str, history: History, state: str) -> int:
        code = {file.path: file.text for file in draft.files(spec, self.folder)}
        *_, module, test = code.values()
        version = Version.model_validate(
            {"number": 0, "at": datetime.now(UTC).isoformat(timespec="seconds"), "author": _user()}
            | {
                "words": words,
                "provider": self.provider.name if self.provider else OFFLINE,
                "state": state,
                "spec": spec,
            }
            | {"code": module, "test": test}
        )
        history = history.added(version)
        versions.save(history)
        return history.newest.number

    def _check_free(self, spec: WorkflowSpec, history: History | None) -> None:
        """Raise UsageError where writing would undo what a person wrote."""
        *_, module, _ = draft.files(spec, self.folder)
        there = draft.read(module.path)
        if not there:
            return
        if history is None:
            raise UsageError(
                f"{module.path} is there already: change it with --change {spec.id}, or give this one "
                "another id with --id"
            )
        if history.active is None or history.active.code != there:
            raise UsageError(
                f"{module.path} was edited by hand since; change it there, or move it away first"
            )


def _say(spec: WorkflowSpec) -> None:
    click.echo(f"{spec.id}: {display.one_line(spec.summary)}")
    for text in spec.understood:
        click.echo(f"  understood: {display.one_line(text)}")
    for text in spec.assumed:
        click.echo(f"  assumed: {display.one_line(text)}")
    for text in spec.ignored:
        click.echo(f"  not understood: {display.one_line(text)}")


def _list(history: History) -> None:
    table = display.table("version", "when", "state", "by", "words", give_way="words")
    for each in history.versions:
        table.add_row(str(each.number), each.at, each.state, each.author, display.cell(each.words))
    display.console().print(table)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this user id, as in some containers
        return "unknown"
