"""A spec as files: where its module and its test belong, and whether they may be written there."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from difflib import unified_diff

from qflow.authoring import connectors
from qflow.authoring.render import render, render_test
from qflow.authoring.spec import WorkflowSpec
from qflow.errors import UsageError


@dataclass(frozen=True)
class File:
    """A file as it should be: its path from the project's folder, and its text."""

    path: str
    text: str

    def diff(self) -> str:
        """Return what writing it changes, as a unified diff."""
        old = read(self.path)
        lines = unified_diff(
            old.splitlines(keepends=True),
            self.text.splitlines(keepends=True),
            self.path if old else "nothing",
            self.path,
        )
        return "".join(lines)

    def write(self) -> None:
        """Write it whole, or not at all."""
        folder = os.path.dirname(self.path)
        os.makedirs(folder or os.curdir, exist_ok=True)
        made = f"{self.path}.{os.getpid()}.new"
        try:
            with open(made, "w", encoding="utf-8") as file:
                file.write(self.text)
            os.replace(made, self.path)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None


def files(spec: WorkflowSpec, folder: str) -> list[File]:
    """Return the files of a workflow: the folder's App where it has none, the module, its test."""
    app = find_app(folder, spec.module)
    made = []
    if not app:
        app = "client"
        project = os.path.basename(os.path.abspath(os.path.join(folder, os.pardir)))
        made.append(File(os.path.join(folder, "client.py"), client(project)))
    package = os.path.basename(os.path.abspath(folder))
    beside = os.path.join(os.path.dirname(folder), "tests", f"test_{spec.module}.py")
    made.append(File(os.path.join(folder, f"{spec.module}.py"), render(spec, app)))
    return [*made, File(beside, render_test(spec, package, app))]


def as_json(spec: WorkflowSpec, folder: str) -> dict[str, object]:
    """Return a workflow as `qflow new --json` prints it: the code stands alone, nothing is written."""
    return {
        "id": spec.id,
        "triggers": [trigger.shown() for trigger in spec.triggers],
        "steps": [{"id": step.id, "kind": step.kind} for step in spec.every_step()],
        "secrets": [each.name for each in connectors.secrets(spec)],
        "questions": [question.text for question in spec.questions],
        "path": os.path.join(folder, f"{spec.module}.py"),
        "code": render(spec, find_app(folder, spec.module)),
    }


def find_app(folder: str, besides: str = "") -> str:
    """Return the module of a folder that has `app = App(…)`, "" where none has."""
    try:
        names = sorted(os.listdir(folder), key=lambda name: (name != "client.py", name))
    except OSError:
        return ""
    for name in names:
        module, extension = os.path.splitext(name)
        is_module = extension == ".py" and module.isidentifier() and module != besides
        if is_module and _has_app(read(os.path.join(folder, name))):
            return module
    return ""


def client(project: str) -> str:
    """Return the module of a folder's App, named for the project."""
    name = "".join(char if char.isalnum() or char in "-_." else "-" for char in project).strip(
        "-_."
    )
    return (
        '"""The application that every function in this folder belongs to."""\n\n'
        f'import qflow\n\napp = qflow.App("{name or "workflows"}")\n'
    )


def read(path: str) -> str:
    """Return a file's text, "" where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _has_app(text: str) -> bool:
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "attr", getattr(node.value.func, "id", "")) == "App"
        and any(isinstance(target, ast.Name) and target.id == "app" for target in node.targets)
        for node in body
    )
